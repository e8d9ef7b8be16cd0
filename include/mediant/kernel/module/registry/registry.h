/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * vfio_pci_mediate_core: the providers that are loaded. Provider modules register here, and the
 * host asks here for a device that is opened. A module of its own, since a provider that needed the
 * host's symbols could not be loaded while the host is being loaded.
 *
 *	registry.c	the list and what is exported
 *	judge.c		what a registration must be; all that knows what a provider consists of
 */
#ifndef VFIO_PCI_MEDIATE_REGISTRY_H
#define VFIO_PCI_MEDIATE_REGISTRY_H

#include <linux/types.h>

struct mediant_device_id;
struct mediant_provider;
struct module;

/*
 * Registers all of a module's providers, or none. The last thing that a module's init does: from
 * then on they may be in use. `owner` names them until it unregisters.
 *
 * -EINVAL: another ABI, or a provider that cannot be; -EBUSY: one of this name, or of an identical
 * rule, is registered. The log says which. (-EEXIST from a module's init would tell modprobe that
 * the module is loaded, and all is well.)
 */
int vfio_pci_mediate_register(const struct mediant_provider *const *providers, unsigned int count,
			      struct module *owner);

/*
 * Takes all providers of a module back that it has registered at once; none is in use, since their
 * users hold the module.
 */
void vfio_pci_mediate_unregister(struct module *owner);

/* A place in the order of a device's providers: by rank, then by time of registration. */
struct vfio_pci_mediate_place {
	unsigned int rank;
	u64 number;
};

#define VFIO_PCI_MEDIATE_BEFORE_FIRST ((struct vfio_pci_mediate_place) { .rank = ~0u })

/*
 * The first provider for a device behind a place, which moves there; NULL where there is none. The
 * caller holds *owner then, and puts it. *leaving becomes true if one was passed over because its
 * module is being unloaded.
 */
const struct mediant_provider *vfio_pci_mediate_next(const struct mediant_device_id *id,
						     struct vfio_pci_mediate_place *place,
						     struct module **owner, bool *leaving);

/*
 * Whether a provider was taken back within the last second: the kernel may not be done with its
 * module, and until then refuses to load it again.
 */
bool vfio_pci_mediate_left_lately(void);

/*
 * Registers one provider that comes and goes while its module stays. `hold` is called with the
 * registry's lock held whenever vfio_pci_mediate_next() gives the provider out, beside that its
 * module is held; who has it lets go of both. Errors as above.
 */
int vfio_pci_mediate_register_held(const struct mediant_provider *provider, struct module *owner,
				   void (*hold)(const struct mediant_provider *provider));

/* Takes one of these back: it is not given out any more. */
void vfio_pci_mediate_unregister_held(const struct mediant_provider *provider);

/*
 * The state of an open device is memory of the kernel's that a provider asks for. What migrates has
 * it twice, with a chunk of a stream.
 */
#define MEDIANT_MOST_STATE (256u << 10)

/* judge.c */
int mediant_judge(const struct mediant_provider *const *providers, unsigned int count);
bool mediant_judge_duplicates(const struct mediant_provider *fresh,
			      const struct mediant_provider *known);
unsigned int mediant_judge_match(const struct mediant_provider *provider,
				 const struct mediant_device_id *id);

#endif /* VFIO_PCI_MEDIATE_REGISTRY_H */
