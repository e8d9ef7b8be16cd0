// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
#pragma once

#include <mediant/kernel/below_device.hpp>
#include <mediant/provider/layer.hpp>

#include <cstdint>

namespace mediant::kernel {

/// One open device: built where the C half says, and never moved from there.
template <class P>
class open_state {
public:
    using layer_type = layer<P, bottom<below_device>>;

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

private:
    below_device device_;
    layer_type layers_;
};

} // namespace mediant::kernel
