/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * Whether a module's C half and policy objects agree on mediant/kernel/abi.h. Only the first two
 * members of a mediant_provider may be read before.
 */
#ifndef MEDIANT_ABI_CHECK_H
#define MEDIANT_ABI_CHECK_H

#include <linux/errno.h>
#include <linux/printk.h>

#include <mediant/kernel/abi.h>

static inline int mediant_check_abi(const struct mediant_provider *const *providers,
				    unsigned int count)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		const struct mediant_provider *provider = providers[i];

		if (provider->version == MEDIANT_ABI_VERSION &&
		    provider->size == sizeof(*provider))
			continue;
		pr_err("policy object has ABI version %u (%u bytes), module has %u (%zu)\n",
		       provider->version, provider->size, MEDIANT_ABI_VERSION, sizeof(*provider));
		return -EINVAL;
	}
	return 0;
}

#endif /* MEDIANT_ABI_CHECK_H */
