// SPDX-License-Identifier: BSD-3-Clause
// flags: -ftls-model=local-exec

thread_local int a_thread_local_value = 5;
