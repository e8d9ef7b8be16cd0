// SPDX-License-Identifier: BSD-3-Clause
#include <mediant/bpf/loader.hpp>

#include <cstdio>

int main(int, char** argv) {
    try {
        const auto file = mediant::bpf::read_object(argv[1]);
        const mediant::bpf::places system;
        std::printf("link %u\n", mediant::bpf::attach(file, argv[1], system).link);
    } catch (const mediant::bpf::error& wrong) {
        std::printf("%s\n", wrong.what());
    }
}
