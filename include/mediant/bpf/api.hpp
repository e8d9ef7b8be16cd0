// SPDX-License-Identifier: BSD-3-Clause
#pragma once

/// \file
/// libbpf's headers, which are C, without a warning. From 1.4 on: older ones do not find the types of a kernel module.

#pragma GCC system_header // also for what is included from here; clang has it too

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#if LIBBPF_MAJOR_VERSION < 1 || (LIBBPF_MAJOR_VERSION == 1 && LIBBPF_MINOR_VERSION < 4)
#error mediant: libbpf 1.4 or newer is needed; cmake/setup/libbpf builds one
#endif
