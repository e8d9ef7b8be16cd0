// SPDX-License-Identifier: BSD-3-Clause
#include <mediant/device/edu.hpp>
#include <mediant/libvfio_user/server.hpp>
#include <mediant/provider/stack.hpp>

#include <cstdio>

int main(int, char** argv) {
    mediant::device::edu hardware;
    mediant::stack<mediant::device::edu> front{hardware};
    mediant::libvfio_user::server server{front, argv[1]};
    server.run_once(0);
    std::printf("1234:11e8 is served; %s\n", server.remarks()[0].c_str());
}
