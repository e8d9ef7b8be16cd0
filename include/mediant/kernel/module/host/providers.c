// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * The host's providers: those that are registered when a device is opened. The kernel is asked for
 * the module of the device's IDs each time, since it may have been unloaded, and another one may be
 * for the device's subsystem. Who is asked has its module held, who opens the device keeps it so.
 * Those that are BPF programs are found like any other, and are this module's own in that.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/jiffies.h>
#include <linux/kmod.h>
#include <linux/limits.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sysfs.h>

#include "bpf_slots.h"
#include "device.h"
#include "registry/registry.h"

static bool mediant_require_provider = true;
module_param_named(require_provider, mediant_require_provider, bool, 0644);
MODULE_PARM_DESC(require_provider,
		 "Refuse to open a device that no provider takes; off: it is opened as under vfio-pci (default: on)");

/*
 * A module that is being unloaded is not offered any more, and cannot be loaded again until it is
 * gone; a modprobe that meets it fails or has nothing to do. One that was just loaded may be
 * unloaded before it is held. So absence is believed if a second request does not help, and no
 * provider left lately; in any case after this many requests, about a second.
 */
#define MEDIANT_MOST_REQUESTS 50

/* Nothing is bound but by driver_override; an alias for any device would rival vfio-pci's. */
const struct pci_device_id mediant_ids[] = {
	{}
};

static bool mediant_takes_bpf;

/* Whether BPF providers can be attached. */
static ssize_t bpf_show(struct device_driver *driver, char *page)
{
	return sysfs_emit(page, "%d\n", mediant_takes_bpf);
}
static DRIVER_ATTR_RO(bpf);

/* The BPF providers that are attached, or serve an open device. */
static ssize_t bpf_providers_show(struct device_driver *driver, char *page)
{
	return mediant_bpf_show(page);
}
static DRIVER_ATTR_RO(bpf_providers);

static struct attribute *mediant_attrs[] = {
	&driver_attr_bpf.attr,
	&driver_attr_bpf_providers.attr,
	NULL
};

static const struct attribute_group mediant_group = {
	.attrs = mediant_attrs,
};

const struct attribute_group *mediant_groups[] = {
	&mediant_group,
	NULL
};

int mediant_init_providers(void)
{
	mediant_takes_bpf = mediant_bpf_init();
	return 0;
}

void mediant_put_provider(const struct mediant_provider *provider, struct module *owner)
{
	if (owner == THIS_MODULE)
		mediant_bpf_put(provider);
	module_put(owner);
}

bool mediant_serves(struct pci_dev *pdev)
{
	return true;
}

static void mediant_request(struct mediant_search *search)
{
	if (search->requests > 1)
		schedule_timeout_killable(msecs_to_jiffies(10));
	search->requests++;
	/* What came of it shows in the registry. */
	request_module("vfio-pci-mediate-%04x-%04x", search->id.vendor, search->id.device);
	search->rank = UINT_MAX;
	search->number = 0;
	search->leaving = false;
}

static bool mediant_request_again(const struct mediant_search *search)
{
	if (search->found && !search->leaving)
		return false; /* they declined */
	if (search->requests == MEDIANT_MOST_REQUESTS || fatal_signal_pending(current))
		return false;
	return search->requests == 1 || search->leaving || vfio_pci_mediate_left_lately();
}

static bool mediant_find(struct mediant_search *search)
{
	struct vfio_pci_mediate_place place = {
		.rank = search->rank,
		.number = search->number,
	};

	search->provider = vfio_pci_mediate_next(&search->id, &place, &search->owner,
						 &search->leaving);
	search->rank = place.rank;
	search->number = place.number;
	search->found += search->provider ? 1 : 0;
	return search->provider;
}

void mediant_search_begin(struct mediant_search *search, struct pci_dev *pdev)
{
	*search = (struct mediant_search) {
		.pdev = pdev,
		.id = mediant_id_of(pdev),
	};
	mediant_request(search);
}

bool mediant_search_next(struct mediant_search *search)
{
	while (!mediant_find(search)) {
		if (!mediant_request_again(search))
			return false;
		mediant_request(search);
	}
	return true;
}

int mediant_search_failed(struct mediant_search *search)
{
	bool required = READ_ONCE(mediant_require_provider);
	const char *why = search->found ? "every provider declined" : "there is no provider";

	pci_info_ratelimited(search->pdev, "%s (vfio-pci-mediate-%04x-%04x)%s\n", why,
			     search->id.vendor, search->id.device,
			     required ? "" : "; opened without one");
	return required ? -ENODEV : 0;
}
