// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/migration/saved_state.hpp>
#include <mediant/provider/dynamic_layers.hpp>
#include <mediant/provider/traits.hpp>
#include <mediant/registers/config_state.hpp>
#include <mediant/registers/trap_table.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

/// What a layer gives to a migration and takes from it: its policy's fields, and what its maps keep.
namespace mediant::detail {

template <const auto& Map>
inline constexpr bool keeps_shadows = [] {
    if constexpr (is_config_map<std::remove_cvref_t<decltype(Map)>>)
        return config_shadow_bytes<Map> != 0 || bar_statements<Map>.size() != 0;
    else
        return shadow_bytes<Map> != 0 || dynamic_ranges<Map>.size() != 0;
}();

/// A layer's part in a stream. `object` and `save_registers` are what write_state and state_reader ask for.
template <class Layer>
class saved_layer {
public:
    using object_type = typename Layer::policy_type;

    constexpr explicit saved_layer(Layer& layer) noexcept : layer_{&layer} {}
    [[nodiscard]] constexpr object_type& object() const noexcept { return layer_->policy(); }

    template <const auto& Map>
    [[nodiscard]] static constexpr std::size_t registers_size(const saved_registers<Map>&) {
        std::size_t total = 0;
        if constexpr (is_config<Map>) {
            for (std::size_t i = 0; i < Map.entries.size(); ++i)
                if (const std::size_t size = config_size<Map>(i); size != 0)
                    total += field_overhead + Map.entries[i].name.size() + size;
            total += field_overhead + config_field.size() + config_bytes<Map>;
        } else {
            for (const trapped_entry& e : trapped_entries<Map>)
                if (const std::size_t size = shadow_size<Map>(e); size != 0)
                    total += field_overhead + Map.entries[e.index].name.size() + size;
            if (dynamic_ranges<Map>.size() != 0) total += field_overhead + dynamic_field.size() + 1;
        }
        return total;
    }

    template <const auto& Map>
    constexpr void save_registers(const saved_registers<Map>&, payload_writer& to) const {
        if constexpr (is_config<Map>) {
            auto& state = layer_->config_now();
            for (std::size_t i = 0; i < Map.entries.size(); ++i)
                if (const std::size_t size = config_size<Map>(i); size != 0)
                    field(to, Map.entries.data()[i].name, {state.shadow_of(i), size});
            std::byte more[config_bytes<Map>]{};
            more[0] = std::byte{state.command};
            for (std::size_t i = 0; i < state.bars.size(); ++i)
                store_bytes(more + 1 + 8 * i, state.bars.data()[i].written);
            field(to, config_field, more);
        } else {
            const auto shadows = layer_->template shadows<Map>();
            for (const trapped_entry& e : trapped_entries<Map>)
                if (const std::size_t size = shadow_size<Map>(e); size != 0)
                    field(to, Map.entries.data()[e.index].name, shadows.subspan(e.shadow_at, size));
            if constexpr (dynamic_ranges<Map>.size() != 0) {
                const std::byte trapped[]{std::byte{layer_->template dynamics<Map>()}};
                field(to, dynamic_field, trapped);
            }
        }
    }

    template <const auto& Map, class Reader>
    constexpr stream_fault restore_registers(const saved_registers<Map>&, payload_reader& from, Reader& reader) const {
        std::span<const std::byte> bytes;
        if constexpr (is_config<Map>) {
            auto& state = layer_->config_now();
            for (std::size_t i = 0; i < Map.entries.size(); ++i) {
                const auto& e = Map.entries.data()[i];
                const std::size_t size = config_size<Map>(i);
                if (size == 0) continue;
                if (const auto wrong = reader.next(from, e.name, size, bytes); wrong != stream_fault::none) return wrong;
                // An added capability's own header is not the guest's to write.
                const std::size_t header = e.what != config_entry::shape::add                 ? 0
                                           : e.in.where == anchor::to::capability ? 2
                                                                                              : 4;
                for (std::size_t k = 0; k < header && k < bytes.size(); ++k)
                    if (bytes[k] != state.shadow_of(i)[k]) return stream_fault::bounds;
                if (reader.commits()) copy(bytes, state.shadow_of(i));
            }
            if (const auto wrong = reader.next(from, config_field, config_bytes<Map>, bytes); wrong != stream_fault::none)
                return wrong;
            if (bytes.empty() || !reader.commits()) return stream_fault::none;
            state.command = static_cast<std::uint8_t>(bytes[0]);
            for (std::size_t i = 0; i < state.bars.size(); ++i)
                state.bars.data()[i].written = load_bytes<std::uint64_t>(bytes.data() + 1 + 8 * i);
            return stream_fault::none;
        } else {
            const auto shadows = layer_->template shadows<Map>();
            for (const trapped_entry& e : trapped_entries<Map>) {
                const std::size_t size = shadow_size<Map>(e);
                if (size == 0) continue;
                const auto wrong = reader.next(from, Map.entries.data()[e.index].name, size, bytes);
                if (wrong != stream_fault::none) return wrong;
                if (reader.commits()) copy(bytes, shadows.data() + e.shadow_at);
            }
            if constexpr (dynamic_ranges<Map>.size() != 0) {
                const auto wrong = reader.next(from, dynamic_field, 1, bytes);
                if (wrong != stream_fault::none || bytes.empty()) return wrong;
                if (reader.commits())
                    wanted_dynamics<Map>(*layer_) = static_cast<std::uint8_t>(bytes[0]);
            }
            return stream_fault::none;
        }
    }

    /// The ranges of one map, as the stream says.
    template <const auto& Map>
    constexpr result<void> switch_ranges(const saved_registers<Map>&) const {
        if constexpr (is_config<Map>)
            return {};
        else
            return switch_as_wanted<Map>(*layer_);
    }
    template <const auto& Map>
    constexpr void trap_ranges(const saved_registers<Map>&) const {
        if constexpr (!is_config<Map>) wanted_dynamics<Map>(*layer_) = 0xff;
    }

private:
    template <const auto& Map>
    static constexpr bool is_config = is_config_map<std::remove_cvref_t<decltype(Map)>>;
    static constexpr std::string_view dynamic_field = "(dynamic ranges)"; // no register has such a name
    static constexpr std::string_view config_field = "(config space)";
    template <const auto& Map>
    static constexpr std::size_t config_bytes = 1 + 8 * bar_statements<Map>.size();

    /// With the mask beside it where a register can be written once.
    template <const auto& Map>
    [[nodiscard]] static constexpr std::size_t shadow_size(const trapped_entry& e) noexcept {
        const entry& stated = Map.entries.data()[e.index];
        if (!has_shadow<Map>(stated)) return 0;
        return static_cast<std::size_t>(counts_writes<Map>(stated) ? 2 * e.size() : e.size());
    }
    template <const auto& Map>
    [[nodiscard]] static constexpr std::size_t config_size(std::size_t i) noexcept {
        return std::size_t{config_shadow_places<Map>[i + 1]} - config_shadow_places<Map>[i];
    }
    static constexpr void field(payload_writer& to, std::string_view name, std::span<const std::byte> bytes) {
        to.name(name);
        to.number(static_cast<std::uint32_t>(bytes.size()));
        to.bytes(bytes);
    }
    static constexpr void copy(std::span<const std::byte> from, std::byte* to) noexcept {
        for (std::size_t i = 0; i < from.size(); ++i) to[i] = from[i];
    }

    Layer* layer_;
};

} // namespace mediant::detail
