// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
/*
 * What the kernel's BPF is told of providers. Whoever loads one has privileges and may err all the
 * same: what an ops object says is looked at before it is used, and each refusal says why.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bpf.h>
#include <linux/bpf_verifier.h>
#include <linux/btf.h>
#include <linux/capability.h>
#include <linux/ctype.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/stddef.h>
#include <linux/string.h>

#include "bpf_slots.h"
#include "registry/registry.h"

/* This module's types, as the verifier has them; NULL where there are none. Constant then. */
static struct btf *mediant_bpf_btf;
/* The type of a program's argument there, known before a program is looked at. */
static u32 mediant_bpf_call_id;

bool mediant_bpf_is_ours(const struct bpf_prog *prog)
{
	return prog->type == BPF_PROG_TYPE_STRUCT_OPS && prog->aux->attach_btf &&
	       prog->aux->attach_btf == mediant_bpf_btf;
}

static int mediant_bpf_note_btf(struct btf *btf)
{
	mediant_bpf_btf = btf;
	return 0;
}

/*
 * Called for each program before it is verified. No symbol is exported that finds a type by its
 * name; all members of a provider that can be programs have the type in question first.
 */
static int mediant_bpf_check_member(const struct btf_type *t, const struct btf_member *member,
				    const struct bpf_prog *prog)
{
	const struct btf_type *type = btf_type_by_id(mediant_bpf_btf, member->type);

	if (!type || !btf_type_is_ptr(type))
		return -EINVAL;
	type = btf_type_by_id(mediant_bpf_btf, type->type);
	if (!type || !btf_type_is_func_proto(type) || !btf_type_vlen(type))
		return -EINVAL;
	type = btf_type_by_id(mediant_bpf_btf, btf_params(type)[0].type);
	if (!type || !btf_type_is_ptr(type))
		return -EINVAL;
	WRITE_ONCE(mediant_bpf_call_id, type->type);
	return 0;
}

static bool mediant_bpf_within(int off, int size, size_t first, size_t end)
{
	return off >= 0 && size > 0 && off >= first && off < end && size <= end - off;
}

/* Of what is not a program's own memory it may write to its answers alone. */
static int mediant_bpf_check_write(struct bpf_verifier_log *log, const struct bpf_reg_state *reg,
				   int off, int size)
{
	if (reg->btf != mediant_bpf_btf || reg->btf_id != READ_ONCE(mediant_bpf_call_id) ||
	    !(reg->type & PTR_TRUSTED)) {
		bpf_log(log, "a provider may write to its state and its call alone\n");
		return -EACCES;
	}
	if (mediant_bpf_within(off, size, offsetof(struct mediant_bpf_call, value),
			       offsetofend(struct mediant_bpf_call, value)) ||
	    mediant_bpf_within(off, size, offsetof(struct mediant_bpf_call, answers),
			       offsetofend(struct mediant_bpf_call, answers)))
		return 0;
	bpf_log(log, "a provider may write to value and answers of its call, not %d bytes at %d\n",
		size, off);
	return -EACCES;
}

static bool mediant_bpf_check_argument(int off, int size, enum bpf_access_type type,
				       const struct bpf_prog *prog,
				       struct bpf_insn_access_aux *info)
{
	return bpf_tracing_btf_ctx_access(off, size, type, prog, info);
}

/* No helpers: what programs call is in bpf_calls.c. */
static const struct bpf_verifier_ops mediant_bpf_verifier_ops = {
	.is_valid_access = mediant_bpf_check_argument,
	.btf_struct_access = mediant_bpf_check_write,
};

/* All that is no program is taken over here. */
static int mediant_bpf_init_member(const struct btf_type *t, const struct btf_member *member,
				   void *kdata, const void *udata)
{
	const struct mediant_bpf_ops *from = udata;
	struct mediant_bpf_ops *to = kdata;

	switch (__btf_member_bit_offset(t, member) / 8) {
	case offsetof(struct mediant_bpf_ops, version):
		to->version = from->version;
		return 1;
	case offsetof(struct mediant_bpf_ops, state_size):
		to->state_size = from->state_size;
		return 1;
	case offsetof(struct mediant_bpf_ops, identity):
		to->identity = from->identity;
		return 1;
	case offsetof(struct mediant_bpf_ops, mediates):
		to->mediates = from->mediates;
		return 1;
	case offsetof(struct mediant_bpf_ops, rule_count):
		to->rule_count = from->rule_count;
		return 1;
	case offsetof(struct mediant_bpf_ops, range_count):
		to->range_count = from->range_count;
		return 1;
	case offsetof(struct mediant_bpf_ops, reserved):
		to->reserved = from->reserved;
		return 1;
	case offsetof(struct mediant_bpf_ops, name):
		memcpy(to->name, from->name, sizeof(to->name));
		return 1;
	case offsetof(struct mediant_bpf_ops, rules):
		memcpy(to->rules, from->rules, sizeof(to->rules));
		return 1;
	case offsetof(struct mediant_bpf_ops, ranges):
		memcpy(to->ranges, from->ranges, sizeof(to->ranges));
		return 1;
	default:
		return 0;
	}
}

static int mediant_bpf_judge_name(const struct mediant_bpf_ops *ops)
{
	unsigned int i;

	for (i = 0; i < sizeof(ops->name) && ops->name[i]; i++)
		if (!isascii(ops->name[i]) || !isgraph(ops->name[i]))
			break;
	if (i && i < sizeof(ops->name) && !ops->name[i])
		return 0;
	pr_err("a BPF provider's name has 1 to %zu visible characters and a 0 behind them; at %u it does not\n",
	       sizeof(ops->name) - 1, i);
	return -EINVAL;
}

static int mediant_bpf_judge_numbers(const struct mediant_bpf_ops *ops)
{
	u32 known = MEDIANT_DEVICE_INFO | MEDIANT_REGION_INFO | MEDIANT_IRQ_INFO |
		    MEDIANT_RESET_DEVICE;

	if (ops->state_size > MEDIANT_BPF_MOST_STATE || ops->state_size % 8) {
		pr_err("BPF provider %s wants %u bytes of state; it can have %zu, in eights\n",
		       ops->name, ops->state_size, MEDIANT_BPF_MOST_STATE);
		return -EINVAL;
	}
	if (ops->mediates & ~known) {
		pr_err("BPF provider %s mediates %#x, of which %#x is nothing that it can\n",
		       ops->name, ops->mediates, ops->mediates & ~known);
		return -EINVAL;
	}
	if (!ops->rule_count || ops->rule_count > MEDIANT_BPF_RULES) {
		pr_err("BPF provider %s has %u rules; there are 1 to %u\n", ops->name,
		       ops->rule_count, MEDIANT_BPF_RULES);
		return -EINVAL;
	}
	if (ops->range_count > MEDIANT_BPF_RANGES) {
		pr_err("BPF provider %s has %u trapped ranges; there are at most %u\n", ops->name,
		       ops->range_count, MEDIANT_BPF_RANGES);
		return -EINVAL;
	}
	if (ops->reserved) {
		pr_err("BPF provider %s: reserved is %u, not 0\n", ops->name, ops->reserved);
		return -EINVAL;
	}
	return 0;
}

static int mediant_bpf_judge_programs(const struct mediant_bpf_ops *ops)
{
	const char *missing = NULL;

	if (!ops->open)
		missing = "open";
	else if (!ops->release)
		missing = "release";
	else if (!ops->reset)
		missing = "reset";
	else if (!ops->read)
		missing = "read";
	else if (!ops->write)
		missing = "write";
	else if (ops->mediates & MEDIANT_DEVICE_INFO && !ops->device_info)
		missing = "device_info";
	else if (ops->mediates & MEDIANT_REGION_INFO && !ops->region_info)
		missing = "region_info";
	else if (ops->mediates & MEDIANT_IRQ_INFO && !ops->irq_info)
		missing = "irq_info";
	else if (ops->mediates & MEDIANT_RESET_DEVICE && !ops->reset_device)
		missing = "reset_device";
	if (!missing)
		return 0;
	pr_err("BPF provider %s has no program %s\n", ops->name, missing);
	return -EINVAL;
}

static int mediant_bpf_judge_ranges(const struct mediant_bpf_ops *ops)
{
	unsigned int i, region = 0;
	u64 from = 0, end = 0;

	for (i = 0; i < ops->range_count; i++) {
		const struct mediant_bpf_range *range = &ops->ranges[i];
		const char *wrong = NULL;

		if (range->region != region)
			from = 0;
		if (range->region >= MEDIANT_OUTLINED)
			wrong = "is of no BAR, and not of the ROM";
		else if (!range->size || check_add_overflow(range->offset, range->size, &end))
			wrong = "is empty, or wraps around";
		else if (range->reserved)
			wrong = "has something in reserved";
		else if (range->region < region || range->offset < from)
			wrong = "lies before the end of the one before it";
		if (wrong) {
			pr_err("BPF provider %s: trapped range %u, region %u, %#llx + %#llx, %s\n",
			       ops->name, i, range->region, range->offset, range->size, wrong);
			return -EINVAL;
		}
		region = range->region;
		from = end;
	}
	return 0;
}

static int mediant_bpf_validate(void *kdata)
{
	const struct mediant_bpf_ops *ops = kdata;
	int ret;

	ret = mediant_bpf_judge_name(ops);
	if (ret)
		return ret;
	if (!ops->version || ops->version > MEDIANT_BPF_VERSION) {
		pr_err("BPF provider %s is of version %u, this module of %u\n", ops->name,
		       ops->version, MEDIANT_BPF_VERSION);
		return -EINVAL;
	}
	ret = mediant_bpf_judge_numbers(ops);
	if (!ret)
		ret = mediant_bpf_judge_programs(ops);
	if (!ret)
		ret = mediant_bpf_judge_ranges(ops);
	return ret;
}

/*
 * A provider drives devices that others use. CAP_BPF and CAP_PERFMON, with which programs are
 * loaded, can be a container's: by a token they are asked for in its own namespace.
 */
static bool mediant_bpf_allowed(void)
{
	if (capable(CAP_SYS_ADMIN))
		return true;
	pr_err_ratelimited("BPF providers are attached and replaced with CAP_SYS_ADMIN alone\n");
	return false;
}

static int mediant_bpf_reg(void *kdata, struct bpf_link *link)
{
	return mediant_bpf_allowed() ? mediant_bpf_attach(kdata) : -EPERM;
}

static void mediant_bpf_unreg(void *kdata, struct bpf_link *link)
{
	mediant_bpf_withdraw(kdata);
}

static int mediant_bpf_update(void *kdata, void *old_kdata, struct bpf_link *link)
{
	return mediant_bpf_allowed() ? mediant_bpf_replace(kdata, old_kdata) : -EPERM;
}

/* What the programs' prototypes are; never called. */
static int mediant_bpf_stub(struct mediant_bpf_call *call)
{
	return -EIO;
}

static int mediant_bpf_stub_of(struct mediant_bpf_call *call, unsigned int index)
{
	return -EIO;
}

static int mediant_bpf_stub_read(struct mediant_bpf_call *call, unsigned int region,
				 unsigned long long offset, unsigned int size)
{
	return -EIO;
}

static int mediant_bpf_stub_write(struct mediant_bpf_call *call, unsigned int region,
				  unsigned long long offset, unsigned int size,
				  unsigned long long value)
{
	return -EIO;
}

static struct mediant_bpf_ops mediant_bpf_stubs = {
	.open = mediant_bpf_stub,
	.release = mediant_bpf_stub,
	.reset = mediant_bpf_stub,
	.read = mediant_bpf_stub_read,
	.write = mediant_bpf_stub_write,
	.device_info = mediant_bpf_stub,
	.region_info = mediant_bpf_stub_of,
	.irq_info = mediant_bpf_stub_of,
	.reset_device = mediant_bpf_stub,
};

static struct bpf_struct_ops mediant_bpf_struct_ops = {
	.verifier_ops = &mediant_bpf_verifier_ops,
	.init = mediant_bpf_note_btf,
	.check_member = mediant_bpf_check_member,
	.init_member = mediant_bpf_init_member,
	.reg = mediant_bpf_reg,
	.unreg = mediant_bpf_unreg,
	.update = mediant_bpf_update,
	.validate = mediant_bpf_validate,
	.cfi_stubs = &mediant_bpf_stubs,
	.owner = THIS_MODULE,
	.name = "mediant_bpf_ops",
};

bool mediant_bpf_init(void)
{
	int ret;

	ret = mediant_bpf_offer_calls();
	if (!ret)
		ret = register_bpf_struct_ops(&mediant_bpf_struct_ops, mediant_bpf_ops);
	if (ret) {
		pr_err("no BPF providers: they could not be registered for (%d)\n", ret);
		return false;
	}
	/* A module without BTF is told that all went well, and is not asked to note its types. */
	if (!mediant_bpf_btf) {
		pr_warn("no BPF providers: this module has no BTF; it was built without the kernel's vmlinux or without pahole\n");
		return false;
	}
	pr_info("BPF providers can be attached\n");
	return true;
}
