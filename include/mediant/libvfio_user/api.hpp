// SPDX-License-Identifier: BSD-3-Clause
#pragma once

/// \file
/// libvfio-user's headers as C++. They are C11: _Static_assert is no word of C++, and they are not as careful about
/// warnings as this project; what is included from a system header is one, however it was found.
#pragma GCC system_header

#include <linux/vfio.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

#pragma push_macro("_Static_assert")
#undef _Static_assert
#define _Static_assert static_assert
extern "C" {
#include <libvfio-user.h>
}
#pragma pop_macro("_Static_assert")
