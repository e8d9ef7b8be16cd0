// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "accesses.hpp"

#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

/// Where a policy runs, as a test sees it, and in what worlds may differ.
namespace mediant::conformance {

/// What came of an operation: how many bytes, the error if there were none, and the bytes that were read.
struct outcome {
    std::uint64_t count = 0;
    mediant::error error = mediant::error::none;
    std::array<std::byte, longest> bytes{}; ///< 0 beyond count, and of a write

    friend bool operator==(const outcome&, const outcome&) = default;
};

/// A device in some world.
template <class W>
concept world = requires(W& w, const operation& what) {
    { w.perform(what) } -> std::same_as<outcome>;
    w.pass_time(); // lets a millisecond go by
};

/// What legitimately differs between worlds; everything else must be equal.
struct rules {
    std::string_view name;
    unsigned max_access; ///< the widest access that a device sees
    bool clamps;         ///< an access over a region's end is done up to there; else it is refused whole, as invalid
    error config_end;    ///< the answer to an access that is not wholly in config space, where it is not clamped
};

/// The table. In every world a fault partway gives the count of what was done, and no error.
inline constexpr rules kernel_6_1{"kernel, at most 4 bytes at once", 4, true, error::fault};
inline constexpr rules kernel_wide{"kernel, 8 bytes at once", 8, true, error::fault};
inline constexpr rules vfio_user_4{"vfio-user, device of 4 bytes", 4, false, error::invalid};
inline constexpr rules vfio_user_8{"vfio-user, device of 8 bytes", 8, false, error::invalid};

/// Puts an answer into the form that is compared.
[[nodiscard]] inline outcome settle(const operation& what, answer came, std::array<std::byte, longest> bytes) {
    outcome out{came.count, came.count != 0 ? error::none : came.error, {}};
    if (what.what == operation::kind::read)
        std::copy_n(bytes.begin(), std::min<std::size_t>(came.count, what.size), out.bytes.begin());
    return out;
}

/// Answers as a stack in this process does, behind a front with the rules of another world: the yardstick.
template <class Stack>
class in_process {
public:
    in_process(Stack& device, const rules& front) : device_{device}, front_{front} {}

    outcome perform(const operation& what) {
        if (what.what == operation::kind::reset) return {0, device_.ioctl(reset_device{}).error(), {}};
        if (const error refused = refuse(what); refused != error::none) return {0, refused, {}};
        auto bytes = what.bytes;
        const auto part = std::span{bytes}.first(what.size);
        if (what.what == operation::kind::read) {
            const answer came = device_.read({what.region, what.offset, part});
            return settle(what, came, bytes);
        }
        return settle(what, device_.write({what.region, what.offset, part}), bytes);
    }

    void pass_time() { device_.advance(now_ += 1'000'000); }

private:
    [[nodiscard]] error refuse(const operation& what) const {
        if (front_.clamps && what.region != region_index::config) return error::none;
        const auto region = device_.ioctl(get_region_info{what.region});
        if (!region || fits(what.offset, what.size, region->size)) return error::none;
        return what.region == region_index::config ? front_.config_end : error::invalid;
    }

    Stack& device_;
    rules front_;
    std::uint64_t now_ = 0;
};

} // namespace mediant::conformance
