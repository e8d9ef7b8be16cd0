// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/bpf/api.hpp>
#include <mediant/bpf/elf.hpp>
#include <mediant/bpf/error.hpp>
#include <mediant/bpf/messages.hpp>

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace mediant::bpf {

struct btf_deleter {
    void operator()(::btf* what) const noexcept { ::btf__free(what); }
};
/// BTF, the description of types that objects, kernels and modules carry.
using type_info = std::unique_ptr<::btf, btf_deleter>;

/// The BTF of an object; throws where libbpf finds it unsound.
[[nodiscard]] inline type_info parse_type_info(bytes raw, std::string_view where) {
    if (raw.size() > std::numeric_limits<std::uint32_t>::max()) throw error{std::string{where} + ": .BTF is too large"};
    const captured_messages said;
    type_info out{::btf__new(raw.data(), static_cast<std::uint32_t>(raw.size()))};
    if (!out) throw error{std::string{where} + ": its BTF (.BTF) is not sound: " + captured_messages::lines()};
    return out;
}

/// One struct as BTF lays it out, so that members are found by their names, wherever they lie.
class layout {
public:
    struct member {
        std::string name;
        std::uint64_t offset = 0; ///< in bytes
        std::uint64_t size = 0;
        std::uint32_t type = 0;
        bool function = false; ///< it is a pointer to one
    };

    layout(const ::btf& types, std::uint32_t id) : types_{&types} {
        const ::btf_type* const type = ::btf__type_by_id(types_, id);
        if (type == nullptr || !::btf_is_struct(type)) return;
        type_ = type;
    }

    [[nodiscard]] explicit operator bool() const noexcept { return type_ != nullptr; }
    [[nodiscard]] std::string_view name() const {
        const char* const text = type_ == nullptr ? nullptr : ::btf__name_by_offset(types_, type_->name_off);
        return text == nullptr ? std::string_view{} : text;
    }
    [[nodiscard]] std::uint64_t size() const noexcept { return type_ == nullptr ? 0 : type_->size; }
    [[nodiscard]] std::size_t count() const noexcept { return type_ == nullptr ? 0 : btf_vlen(type_); }

    /// nullopt for one that is no whole bytes, or whose size cannot be told.
    [[nodiscard]] std::optional<member> at(std::size_t index) const {
        if (index >= count()) return std::nullopt;
        const ::btf_member& one = ::btf_members(type_)[index];
        const auto number = static_cast<std::uint32_t>(index);
        const std::uint32_t bits = ::btf_member_bit_offset(type_, number);
        const std::int64_t size = ::btf__resolve_size(types_, one.type);
        const char* const name = ::btf__name_by_offset(types_, one.name_off);
        if (name == nullptr || size < 0 || bits % 8 != 0 || ::btf_member_bitfield_size(type_, number) != 0)
            return std::nullopt;
        member out{name, bits / 8, static_cast<std::uint64_t>(size), one.type, false};
        const ::btf_type* const type = stripped(one.type);
        if (type != nullptr && btf_is_ptr(type)) {
            const ::btf_type* const target = stripped(type->type);
            out.function = target != nullptr && btf_is_func_proto(target);
        }
        return out;
    }

    [[nodiscard]] std::optional<member> find(std::string_view name) const {
        for (std::size_t index = 0; index < count(); ++index)
            if (auto one = at(index); one && one->name == name) return one;
        return std::nullopt;
    }

    /// The struct that a member is, or of which it is an array; false as a bool where it is neither.
    [[nodiscard]] layout of(const member& which) const {
        const ::btf_type* type = stripped(which.type);
        std::uint32_t id = which.type;
        if (type != nullptr && btf_is_array(type)) id = ::btf_array(type)->type;
        const int resolved = ::btf__resolve_type(types_, id);
        return resolved < 0 ? layout{*types_, 0} : layout{*types_, static_cast<std::uint32_t>(resolved)};
    }

    /// A number of 1, 2, 4 or 8 bytes of a struct that begins at `offset` of `from`; nullopt where the member is none, or
    /// lies beyond what there is.
    [[nodiscard]] static std::optional<std::uint64_t> number(bytes from, std::uint64_t offset, const member& which) {
        if (offset > from.size() || which.offset > from.size() - offset) return std::nullopt;
        const std::uint64_t begin = offset + which.offset;
        switch (which.size) {
        case 1: return elf::at<std::uint8_t>(from, begin);
        case 2: return elf::at<std::uint16_t>(from, begin);
        case 4: return elf::at<std::uint32_t>(from, begin);
        case 8: return elf::at<std::uint64_t>(from, begin);
        default: return std::nullopt;
        }
    }

private:
    /// Without const, volatile and typedefs; nullptr where that does not end.
    [[nodiscard]] const ::btf_type* stripped(std::uint32_t id) const {
        const ::btf_type* type = ::btf__type_by_id(types_, id);
        for (int depth = 0; type != nullptr && (btf_is_mod(type) || btf_is_typedef(type)); ++depth)
            type = depth == 32 ? nullptr : ::btf__type_by_id(types_, type->type);
        return type;
    }

    const ::btf* types_;
    const ::btf_type* type_ = nullptr;
};

} // namespace mediant::bpf
