// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
#pragma once

#include <mediant/kernel/below_device.hpp>
#include <mediant/migration/state.hpp>
#include <mediant/provider/layer.hpp>
#include <mediant/provider/migration.hpp>

#include <cstddef>
#include <span>

namespace mediant::kernel {

namespace detail {
struct no_migration {};
template <class Layers, bool>
struct progress_of {
    using type = no_migration;
};
template <class Layers>
struct progress_of<Layers, true> {
    using type = migration<Layers, below_device>;
};
} // namespace detail

/// One open device: built where the C half says, and never moved from there.
template <class P>
class open_state {
public:
    using layer_type = layer<P, bottom<below_device>>;

    /// Whether the policy's state and the device's can be moved: the device below has none that it tells by itself, so
    /// that the policy fetches it (its save and restore).
    static constexpr bool migrates = mediant::detail::can_migrate<layer_type, below_device>();
    using progress_type = typename detail::progress_of<layer_type, migrates>::type;
    static constexpr std::size_t policy_bytes = sizeof(below_device) + sizeof(layer_type);

    explicit open_state(const mediant_below& below) noexcept
        : device_{below}, layers_{bottom<below_device>{device_}} {}
    open_state(const open_state&) = delete;
    open_state& operator=(const open_state&) = delete;

    [[nodiscard]] layer_type& layers() noexcept { return layers_; }
    [[nodiscard]] const layer_type& layers() const noexcept { return layers_; }

    result<void> open() noexcept {
        if (!device_.speaks_our_abi()) return error::invalid;
        return layers_.open();
    }

    /// The device was reset: whatever migration was in progress has ended.
    void reset() noexcept {
        if constexpr (migrates) migration_.reset(layers_);
        layers_.reset();
    }

    // Of what migrates.

    result<void> migrate(migration_state to) noexcept
        requires migrates
    {
        return migration_.go(layers_, device_, to);
    }
    result<std::size_t> read_migration(std::span<std::byte> to) noexcept
        requires migrates
    {
        return migration_.read(layers_, device_, to);
    }
    result<void> write_migration(std::span<const std::byte> from) noexcept
        requires migrates
    {
        return migration_.write(layers_, device_, from);
    }
    [[nodiscard]] const progress_type& progress() const noexcept { return migration_; }

private:
    below_device device_;
    layer_type layers_;
    /// With a copy of the policies and a chunk of the stream: too much for a kernel's stack, so that it lies here.
    [[no_unique_address]] progress_type migration_{};
};

} // namespace mediant::kernel
