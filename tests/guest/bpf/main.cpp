// SPDX-License-Identifier: BSD-3-Clause

#include "policies.hpp"

#include "../../conformance/every_kind.hpp"

#include <mediant/tool/tool.hpp>

using devices = mediant::registry<bpf_test::counted, bpf_test::unchecked, bpf_test::many_256, bpf_test::many_4096,
                                  bpf_test::many_hooks, bpf_test::stateless, bpf_test::elements, bpf_test::many_fields,
                                  conformance_test::every_kind>;

int main(int argc, char** argv) { return mediant::tool<devices>(argc, argv); }
