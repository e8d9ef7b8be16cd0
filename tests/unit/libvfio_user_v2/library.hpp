// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/libvfio_user/adapter.hpp>
#include <mediant/migration/next_state.hpp>

#include "../vfio_user/by_hand.hpp"

#include <linux/vfio.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <set>
#include <span>
#include <vector>

/// A context that calls what an adapter registers in it, as the library does for the messages of a client: state and
/// arcs (lib/migration.c), quiesce before maps, resets and transitions, and the log of written pages (lib/dma.c). It is
/// no server: a test is the client.
struct vfu_ctx {
    static constexpr std::uint64_t page = 4096;

    explicit vfu_ctx(void* adapter) noexcept : owner{adapter} {}

    void* owner;
    std::array<vfu_region_access_cb_t*, 16> regions{};
    vfu_reset_cb_t* reset_callback = nullptr;
    vfu_device_quiesce_cb_t* quiesce = nullptr;
    vfu_dma_register_cb_t* mapped = nullptr;
    vfu_dma_unregister_cb_t* unmapped = nullptr;
    vfu_migration_callbacks_t migration{}; // .version 0: none
    std::array<std::byte, 4096> config{};
    std::vector<vfu_dma_info_t> maps;
    std::vector<std::uint32_t> interrupts; // subindices, as they were triggered
    bool logs = false;
    std::set<std::uint64_t> dirty; // I/O addresses of pages

    /// Libraries differ: the state after a reset is RUNNING, or as it was.
    bool reset_is_running = true;
    mediant::migration_state state = mediant::migration_state::running;

    // What a client asks; 0, or an errno.

    int set_state(mediant::migration_state to) {
        using namespace mediant;
        while (state != to) {
            const auto next = next_state(migrates_by_stop_copy | migrates_with_pre_copy, state, to);
            if (!next) return EINVAL;
            quiesce(this);
            if (migration.transition(this, vfu_state(*next)) != 0) return errno;
            state = *next;
        }
        return 0;
    }
    /// Less than 0: an errno.
    ssize_t read(std::span<std::byte> to) {
        if (state != mediant::migration_state::pre_copy && state != mediant::migration_state::stop_copy) return -EINVAL;
        const ssize_t came = migration.read_data(this, to.data(), to.size());
        return came < 0 ? -errno : came;
    }
    int write(std::span<const std::byte> from) {
        if (state != mediant::migration_state::resuming) return EINVAL;
        std::vector<std::byte> message(from.begin(), from.end()); // it is handed what it may write to
        return migration.write_data(this, message.data(), message.size()) < 0 ? errno : 0;
    }
    int reset() {
        quiesce(this);
        if (reset_callback(this, VFU_RESET_DEVICE) != 0) return errno;
        if (reset_is_running) state = mediant::migration_state::running;
        return 0;
    }
    void lose_client() {
        quiesce(this);
        while (!maps.empty()) unmap(maps.back());
        static_cast<void>(reset_callback(this, VFU_RESET_LOST_CONN));
        state = mediant::migration_state::running;
        logs = false;
        dirty.clear();
    }
    /// `fd` is -1 for memory that is not shared.
    void map(std::uint64_t iova, std::uint64_t size, int fd) {
        vfu_dma_info_t info{{reinterpret_cast<void*>(iova), size}, nullptr, {}, page, PROT_READ | PROT_WRITE};
        if (fd >= 0) {
            info.vaddr = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
            info.mapping = {info.vaddr, size};
        }
        maps.push_back(info);
        quiesce(this);
        mapped(this, &maps.back());
    }
    void unmap(vfu_dma_info_t info) {
        quiesce(this);
        unmapped(this, &info);
        if (info.vaddr != nullptr) ::munmap(info.mapping.iov_base, info.mapping.iov_len);
        std::erase_if(maps, [&](const auto& each) { return each.iova.iov_base == info.iova.iov_base; });
    }
    /// What was written since the last time.
    std::set<std::uint64_t> report() { return std::exchange(dirty, {}); }
    mediant::answer access(mediant::region_index region, std::uint64_t offset, std::span<std::byte> bytes, bool writes) {
        const ssize_t done = regions[static_cast<std::size_t>(region)](this, reinterpret_cast<char*>(bytes.data()),
                                                                       bytes.size(), static_cast<loff_t>(offset), writes);
        return done < 0 ? mediant::answer{0, mediant::error{errno}} : mediant::answer{static_cast<std::uint64_t>(done)};
    }

private:
    static vfu_migr_state_t vfu_state(mediant::migration_state what) {
        switch (what) {
        case mediant::migration_state::stop: return VFU_MIGR_STATE_STOP;
        case mediant::migration_state::stop_copy: return VFU_MIGR_STATE_STOP_AND_COPY;
        case mediant::migration_state::pre_copy: return VFU_MIGR_STATE_PRE_COPY;
        case mediant::migration_state::resuming: return VFU_MIGR_STATE_RESUME;
        default: return VFU_MIGR_STATE_RUNNING;
        }
    }
};

/// An entry of one region, as wide as the library's.
struct dma_sg {
    std::uint64_t region_iova;
    std::uint64_t region;
    std::uint64_t length;
    std::uint64_t offset;
    bool writeable;
};

inline void* vfu_get_private(vfu_ctx_t* context) { return context->owner; }
inline void vfu_log(vfu_ctx_t*, int, const char*, ...) {}
inline int vfu_pci_init(vfu_ctx_t*, vfu_pci_type_t, int, int) { return 0; }
inline vfu_pci_config_space_t* vfu_pci_get_config_space(vfu_ctx_t* context) {
    return reinterpret_cast<vfu_pci_config_space_t*>(context->config.data());
}
inline int vfu_realize_ctx(vfu_ctx_t*) { return 0; }
inline int vfu_setup_region(vfu_ctx_t* context, int index, std::size_t, vfu_region_access_cb_t* access, int, iovec*,
                            std::uint32_t, int, std::uint64_t) {
    context->regions[static_cast<std::size_t>(index)] = access;
    return 0;
}
inline int vfu_setup_device_nr_irqs(vfu_ctx_t*, vfu_dev_irq_type, std::uint32_t) { return 0; }
inline int vfu_setup_irq_state_callback(vfu_ctx_t*, vfu_dev_irq_type, vfu_dev_irq_state_cb_t*) { return 0; }
inline int vfu_irq_trigger(vfu_ctx_t* context, std::uint32_t subindex) {
    context->interrupts.push_back(subindex);
    return 0;
}
inline int vfu_setup_device_reset_cb(vfu_ctx_t* context, vfu_reset_cb_t* reset) {
    context->reset_callback = reset;
    return 0;
}
inline void vfu_setup_device_quiesce_cb(vfu_ctx_t* context, vfu_device_quiesce_cb_t* quiesce) {
    context->quiesce = quiesce;
}
inline int vfu_setup_device_dma(vfu_ctx_t* context, vfu_dma_register_cb_t* mapped, vfu_dma_unregister_cb_t* unmapped) {
    context->mapped = mapped;
    context->unmapped = unmapped;
    return 0;
}
inline std::size_t dma_sg_size(void) { return sizeof(dma_sg); }
inline int vfu_addr_to_sgl(vfu_ctx_t* context, vfu_dma_addr_t address, std::size_t size, dma_sg_t* list, std::size_t,
                           int how) {
    const auto iova = reinterpret_cast<std::uintptr_t>(address);
    for (std::size_t i = 0; i < context->maps.size(); ++i) {
        const auto& each = context->maps[i];
        const auto begin = reinterpret_cast<std::uintptr_t>(each.iova.iov_base);
        if (iova < begin || !mediant::fits(iova - begin, size, each.iova.iov_len)) continue;
        *list = {begin, i, size, iova - begin, (how & PROT_WRITE) != 0};
        return 1;
    }
    errno = ENOENT;
    return -1;
}
inline void vfu_sgl_mark_dirty(vfu_ctx_t* context, dma_sg_t* list, std::size_t) {
    // The library's asserts that what is marked is shared.
    if (context->maps[list->region].vaddr == nullptr) std::abort();
    if (!context->logs || !list->writeable) return;
    const std::uint64_t from = (list->region_iova + list->offset) / vfu_ctx::page * vfu_ctx::page;
    for (std::uint64_t at = from; at < list->region_iova + list->offset + list->length; at += vfu_ctx::page)
        context->dirty.insert(at);
}
inline int vfu_sgl_read(vfu_ctx_t*, dma_sg_t*, std::size_t, void*) {
    errno = ENOTCONN;
    return -1;
}
inline int vfu_sgl_write(vfu_ctx_t*, dma_sg_t*, std::size_t, void*) {
    errno = ENOTCONN;
    return -1;
}
inline int vfu_setup_device_migration_callbacks(vfu_ctx_t* context, const vfu_migration_callbacks_t* callbacks) {
    if (callbacks->version != VFU_MIGR_CALLBACKS_VERS || callbacks->transition == nullptr ||
        callbacks->read_data == nullptr || callbacks->write_data == nullptr) {
        errno = EINVAL;
        return -1;
    }
    context->migration = *callbacks;
    return 0;
}
