// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * What a registration must be, and what a registered provider serves.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitops.h>
#include <linux/minmax.h>
#include <linux/string.h>

#include "abi_check.h"
#include "registry.h"

int mediant_judge(const struct mediant_provider *const *providers, unsigned int count)
{
	unsigned int i, j;
	int ret;

	ret = mediant_check_abi(providers, count);
	if (ret)
		return ret;
	for (i = 0; i < count; i++) {
		const struct mediant_provider *provider = providers[i];

		if (provider->state_size > MEDIANT_MOST_STATE || provider->state_align > 8) {
			pr_err("provider %s wants %u bytes of state, aligned to %u; the most is %u, aligned to 8\n",
			       provider->name, provider->state_size, provider->state_align,
			       MEDIANT_MOST_STATE);
			return -EINVAL;
		}
		for (j = 0; j < i; j++)
			if (mediant_judge_duplicates(provider, providers[j]))
				return -EBUSY;
	}
	return 0;
}

static bool mediant_same_rule(const struct mediant_rule *a, const struct mediant_rule *b)
{
	return a->vendor == b->vendor && a->device == b->device && a->subvendor == b->subvendor &&
	       a->subdevice == b->subdevice && a->class_code == b->class_code &&
	       a->class_mask == b->class_mask;
}

bool mediant_judge_duplicates(const struct mediant_provider *fresh,
			      const struct mediant_provider *known)
{
	unsigned int i, j;

	if (!strcmp(fresh->name, known->name)) {
		pr_err("a provider of the name %s is registered\n", fresh->name);
		return true;
	}
	for (i = 0; i < fresh->rule_count; i++) {
		const struct mediant_rule *rule = &fresh->rules[i];

		for (j = 0; j < known->rule_count; j++) {
			if (!mediant_same_rule(rule, &known->rules[j]))
				continue;
			pr_err("provider %s: provider %s is registered with the same rule, %08x:%08x, subsystem %08x:%08x, class %06x/%06x\n",
			       fresh->name, known->name, rule->vendor, rule->device,
			       rule->subvendor, rule->subdevice, rule->class_code,
			       rule->class_mask);
			return true;
		}
	}
	return false;
}

static bool mediant_field_matches(unsigned int rule, unsigned int value)
{
	return rule == MEDIANT_ANY || rule == value;
}

/* How much a rule says, in bits; 0 where it does not match. As a policy object's match has it. */
static unsigned int mediant_rule_rank(const struct mediant_rule *rule,
				      const struct mediant_device_id *id)
{
	if (!mediant_field_matches(rule->vendor, id->vendor) ||
	    !mediant_field_matches(rule->device, id->device) ||
	    !mediant_field_matches(rule->subvendor, id->subvendor) ||
	    !mediant_field_matches(rule->subdevice, id->subdevice) ||
	    (rule->class_code ^ id->class_code) & rule->class_mask)
		return 0;
	return 1 + hweight32(rule->class_mask) + 16 * (rule->vendor != MEDIANT_ANY) +
	       16 * (rule->device != MEDIANT_ANY) + 16 * (rule->subvendor != MEDIANT_ANY) +
	       16 * (rule->subdevice != MEDIANT_ANY);
}

unsigned int mediant_judge_match(const struct mediant_provider *provider,
				 const struct mediant_device_id *id)
{
	unsigned int rank = 0, i;

	if (provider->match)
		return provider->match(id);
	for (i = 0; i < provider->rule_count; i++)
		rank = max(rank, mediant_rule_rank(&provider->rules[i], id));
	return rank;
}
