// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * A module of providers: it offers what is in its policy object to the host, and nothing else. It
 * needs no symbol of VFIO's. The host loads it by its aliases and holds it while a device is open.
 */
#include <linux/build_bug.h>
#include <linux/module.h>
#include <linux/string.h>

#include <mediant/kernel/abi.h>

#include "module.h"
#include "registry/registry.h"

static int __init mediant_provider_init(void)
{
	BUILD_BUG_ON(strcmp(KBUILD_MODNAME, MEDIANT_MODULE_NAME));
	return vfio_pci_mediate_register(mediant_providers, mediant_provider_count, THIS_MODULE);
}
module_init(mediant_provider_init);

static void __exit mediant_provider_exit(void)
{
	vfio_pci_mediate_unregister(THIS_MODULE);
}
module_exit(mediant_provider_exit);

MEDIANT_MODULE_ALIASES;
MODULE_LICENSE(MEDIANT_MODULE_LICENSE);
MODULE_AUTHOR(MEDIANT_MODULE_AUTHOR);
MODULE_DESCRIPTION(MEDIANT_MODULE_DESCRIPTION);
MODULE_VERSION(MEDIANT_MODULE_VERSION);
