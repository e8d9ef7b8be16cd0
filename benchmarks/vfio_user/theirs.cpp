// SPDX-License-Identifier: BSD-3-Clause
#include "theirs.hpp"

#include <sched.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <thread>
#include <vector>

#ifdef MEDIANT_HAS_LIBVFIO_USER
// The headers are C11.
#define _Static_assert static_assert
extern "C" {
#include <libvfio-user.h>
}
#undef _Static_assert

struct theirs::server {
    std::vector<std::byte> memory;
    vfu_ctx_t* context = nullptr;
    bool spinning;
    std::atomic<bool> stopping{false};
    std::thread thread{};

    static ssize_t access(vfu_ctx_t* context, char* buffer, size_t count, loff_t offset, bool is_write) {
        auto& memory = static_cast<server*>(vfu_get_private(context))->memory;
        std::byte* const there = memory.data() + offset;
        if (is_write)
            std::memcpy(there, buffer, count);
        else
            std::memcpy(buffer, there, count);
        return static_cast<ssize_t>(count);
    }

    /// One client, to its end.
    void serve() const {
        while (vfu_attach_ctx(context) != 0)
            if (stopping || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) return;
        while (vfu_run_ctx(context) >= 0 || errno == EAGAIN || errno == EINTR) {}
    }
};

theirs::theirs(const std::string& path, std::size_t size, bool spinning, int processor)
    : server_{new server{.memory = std::vector<std::byte>(size), .spinning = spinning}} {
    auto& it = *server_;
    it.context = vfu_create_ctx(VFU_TRANS_SOCK, path.c_str(), spinning ? LIBVFIO_USER_FLAG_ATTACH_NB : 0, &it,
                                VFU_DEV_TYPE_PCI);
    if (it.context == nullptr || vfu_pci_init(it.context, VFU_PCI_TYPE_CONVENTIONAL, 0, 0) != 0 ||
        vfu_setup_region(it.context, VFU_PCI_DEV_BAR0_REGION_IDX, size, server::access, VFU_REGION_FLAG_RW, nullptr, 0,
                         -1, 0) != 0 ||
        vfu_realize_ctx(it.context) != 0)
        throw std::runtime_error{std::string{"libvfio-user: "} + std::strerror(errno)};
    it.thread = std::thread{[&it, processor] {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(static_cast<unsigned>(processor), &set);
        (void)::sched_setaffinity(0, sizeof set, &set);
        it.serve();
    }};
}

theirs::~theirs() {
    server_->stopping = true;
    server_->thread.join();
    vfu_destroy_ctx(server_->context);
}

bool theirs::there() noexcept { return true; }

#else

struct theirs::server {};
theirs::theirs(const std::string&, std::size_t, bool, int) { throw std::runtime_error{"built without libvfio-user"}; }
theirs::~theirs() = default;
bool theirs::there() noexcept { return false; }

#endif
