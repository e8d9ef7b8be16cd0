// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "kind_table.hpp"
#include "recorder.hpp"

#include <mediant/registers/map.hpp>

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

/// What a stack of policies over a recorder must do, written from the design page, bit by bit, without a look at
/// the engine: every byte asks every element of every entry whether it is its own.
namespace mediant::test {

/// How a model's hooks behave, as those of differential.cpp: a read hook answers its backing's value under an
/// exclusive or; a write hook writes the value, under an exclusive or too, to the backing; one that takes lanes
/// assigns its shadow, if it has one; a written hook only notes. Each of them first counts down to a failure.
inline constexpr std::uint64_t read_salt = 0x5aa5'3cc3'0ff0'6996;
inline constexpr std::uint64_t write_salt = 0x0102'0304'0506'0708;

/// A countdown that the model and the tested stack each have one of.
struct countdown {
    int left = -1;
    bool fails() {
        if (left < 0) return false;
        if (left == 0) return true;
        --left;
        return false;
    }
};

/// One element of one entry, or one dynamic range.
struct model_item {
    entry e; ///< its offset and size are the element's, or the alias's
    std::size_t element = 0;
    std::string name;
    std::vector<field> fields;
    std::uint64_t origin = 0; ///< of an alias

    /// What one bit is.
    struct bit_facts {
        kind how;
        from backing;
        bool value; ///< of a constant, or at reset
        toward device = toward::preserve;

        [[nodiscard]] bool read_from_device() const { return backing == from::device && policy_of(how).readable; }
        [[nodiscard]] bool written_to_device() const { return backing == from::device && policy_of(how).takes_writes(); }
    };
    [[nodiscard]] bit_facts at(std::uint64_t offset, unsigned bit) const {
        if (e.what == entry::shape::hide) return {kind::ro, from::constant, true};
        const std::uint64_t i = 8 * (offset - e.offset) + bit;
        for (const field& f : fields)
            if (i >= f.low && i < f.low + f.bits) return {f.kind, f.backing, (f.value >> (i - f.low) & 1) != 0, f.device};
        return {e.kind, e.backing, (e.value >> (e.what == entry::shape::reg ? i : bit) & 1) != 0};
    }
    /// Whether any bit of [offset, offset + size) is so.
    template <class F>
    [[nodiscard]] bool any(std::uint64_t offset, std::size_t size, const F& is) const {
        for (std::size_t i = 0; i < 8 * size; ++i)
            if (is(at(offset + i / 8, i % 8))) return true;
        return false;
    }
    [[nodiscard]] bool mediates() const {
        switch (e.what) {
        case entry::shape::hide:
        case entry::shape::deny:
        case entry::shape::alias: return true;
        case entry::shape::dynamic: return false;
        default: break;
        }
        return e.hook != on::nothing || e.widths != width::any || any(e.offset, static_cast<std::size_t>(e.size), [](const bit_facts& b) {
                   return b.how != kind::rw || b.backing != from::device;
               });
    }
    [[nodiscard]] bool takes(std::uint64_t offset, std::size_t size) const {
        if (e.widths == width::any) return true;
        for (const unsigned width : {1u, 2u, 4u, 8u})
            if (size == width && offset % width == 0 && (static_cast<unsigned>(e.widths) & width) != 0) return true;
        return false;
    }
};

/// One layer's map, and what it holds.
struct model_layer {
    std::vector<model_item> items;
    std::vector<range> dynamics;
    std::set<std::string> takes_lanes;
    std::map<std::uint64_t, std::byte> shadow; ///< by offset in the region
    std::map<std::uint64_t, std::byte> taken;  ///< bits that were written and take no second write
    std::set<std::size_t> passed;              ///< dynamic ranges

    template <const auto& Map>
    static model_layer of(std::set<std::string> with_lanes) {
        model_layer out;
        out.takes_lanes = std::move(with_lanes);
        for (const entry& e : Map.entries) {
            if (e.what == entry::shape::dynamic) out.dynamics.push_back(e.where());
            for (std::uint32_t i = 0; i < e.count; ++i) {
                model_item item{e, i, std::string{e.name}, {}, 0};
                for (std::size_t f = 0; f < e.field_count; ++f) item.fields.push_back(Map.fields[e.first_field + f]);
                item.e.offset = e.offset + i * e.stride;
                if (e.what == entry::shape::alias)
                    for (const entry& target : Map.entries)
                        if (target.is_named(e.target)) {
                            item.origin = target.offset;
                            item.e.size = target.size;
                        }
                if (item.mediates()) out.items.push_back(item);
            }
        }
        out.reset();
        return out;
    }

    void reset() {
        taken.clear();
        for (const model_item& item : items)
            for (std::uint64_t i = 0; i < item.e.size; ++i) {
                unsigned byte = 0;
                for (unsigned bit = 0; bit < 8; ++bit)
                    if (item.at(item.e.offset + i, bit).value) byte |= 1u << bit;
                shadow[item.e.offset + i] = static_cast<std::byte>(byte);
            }
    }

    /// The item that mediates a byte, or null where it passes.
    const model_item* owner(std::uint64_t at) const {
        for (const std::size_t i : passed)
            if (dynamics[i].contains(at)) return nullptr;
        for (const model_item& item : items)
            if (at >= item.e.offset && at < item.e.offset + item.e.size) return &item;
        return nullptr;
    }
};

class model {
public:
    std::vector<model_layer> layers; ///< outermost first
    bytes memory;
    unsigned widest = 4;
    int faults_after = -1;
    countdown hooks;
    events log;

    answer read(std::uint64_t offset, bytes& out) {
        const answer refused = clamp(offset, out.size());
        if (refused.error != error::none) return refused;
        bytes got(static_cast<std::size_t>(refused.count));
        const answer done = read_layer(0, offset, got);
        for (std::size_t i = 0; i < done.count; ++i) out[i] = got[i];
        return done;
    }

    answer write(std::uint64_t offset, const bytes& in) {
        const answer refused = clamp(offset, in.size());
        if (refused.error != error::none) return refused;
        return write_layer(0, offset, bytes(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(refused.count)));
    }

    void reset() {
        for (model_layer& l : layers) l.reset();
    }

private:
    using bit_facts = model_item::bit_facts;

    static bool get(std::byte of, unsigned bit) { return (std::to_integer<unsigned>(of) >> bit & 1) != 0; }
    static void put(std::byte& in, unsigned bit, bool value) {
        const unsigned others = std::to_integer<unsigned>(in) & ~(1u << bit);
        in = static_cast<std::byte>(others | (value ? 1u << bit : 0u));
    }

    /// As read(2) on vfio-pci.
    answer clamp(std::uint64_t offset, std::uint64_t size) const {
        if (size == 0) return {0};
        if (offset >= memory.size()) return {0, error::invalid};
        return {std::min<std::uint64_t>(size, memory.size() - offset)};
    }

    /// Bytes from `offset` on with one owner, at most `size`.
    std::size_t alike(std::size_t layer, std::uint64_t offset, std::size_t size) const {
        std::size_t n = 1;
        while (n < size && layers[layer].owner(offset + n) == layers[layer].owner(offset)) ++n;
        return n;
    }

    answer read_layer(std::size_t layer, std::uint64_t offset, bytes& out) {
        if (layer == layers.size()) return read_device(offset, out);
        std::size_t done = 0;
        while (done < out.size()) {
            const std::size_t n = alike(layer, offset + done, out.size() - done);
            bytes part(n);
            const model_item* const item = layers[layer].owner(offset + done);
            const answer a = item == nullptr ? read_layer(layer + 1, offset + done, part)
                                             : read_item(layer, *item, offset + done, part);
            for (std::size_t i = 0; i < a.count; ++i) out[done + i] = part[i];
            done += static_cast<std::size_t>(a.count);
            if (a.count != n) return {done, a.error};
        }
        return {done};
    }

    answer write_layer(std::size_t layer, std::uint64_t offset, const bytes& in) {
        if (layer == layers.size()) return write_device(offset, in);
        std::size_t done = 0;
        while (done < in.size()) {
            const std::size_t n = alike(layer, offset + done, in.size() - done);
            const bytes part(in.begin() + static_cast<std::ptrdiff_t>(done), in.begin() + static_cast<std::ptrdiff_t>(done + n));
            const model_item* const item = layers[layer].owner(offset + done);
            const answer a = item == nullptr ? write_layer(layer + 1, offset + done, part)
                                             : write_item(layer, *item, offset + done, part);
            done += static_cast<std::size_t>(a.count);
            if (a.count != n) return {done, a.error};
        }
        return {done};
    }

    answer read_item(std::size_t layer, const model_item& item, std::uint64_t offset, bytes& out) {
        const entry& e = item.e;
        if (e.what == entry::shape::deny) return {0, error::denied};
        if (e.what == entry::shape::alias) return read_layer(layer, item.origin + (offset - e.offset), out);
        if (!item.takes(offset, out.size())) {
            if (e.on_other_width == otherwise::refuse) return {0, error::invalid};
            for (std::byte& x : out) x = std::byte{0xff};
            return {out.size()};
        }
        if (!has(e.hook, on::read)) return read_backing(layer, item, offset, out);
        log.push_back({"read " + item.name, item.element});
        if (hooks.fails()) return {0, error::busy};
        bytes whole(static_cast<std::size_t>(e.size));
        const answer a = read_backing(layer, item, e.offset, whole);
        if (a.count != e.size) return {0, a.error};
        for (std::size_t i = 0; i < whole.size(); ++i) whole[i] ^= static_cast<std::byte>(read_salt >> (8 * i) & 0xff);
        for (std::size_t i = 0; i < out.size(); ++i) out[i] = whole[static_cast<std::size_t>(offset - e.offset) + i];
        return {out.size()};
    }

    /// As if there were no hooks.
    answer read_backing(std::size_t layer, const model_item& item, std::uint64_t offset, bytes& out) {
        bytes below(out.size());
        if (item.any(offset, out.size(), [](const bit_facts& b) { return b.read_from_device(); })) {
            const answer a = read_layer(layer + 1, offset, below);
            if (item.fields.empty()) { // passed as it is
                out = below;
                return a;
            }
            if (a.count != below.size()) return {0, a.error};
        }
        for (std::size_t i = 0; i < out.size(); ++i)
            for (unsigned bit = 0; bit < 8; ++bit) {
                const bit_facts facts = item.at(offset + i, bit);
                const access_policy& policy = policy_of(facts.how);
                std::byte& held = layers[layer].shadow[offset + i];
                const bool value = facts.backing == from::device ? get(below[i], bit)
                                   : facts.backing == from::shadow ? get(held, bit)
                                                                   : facts.value;
                put(out[i], bit, policy.readable && value);
                if (facts.backing == from::shadow) put(held, bit, policy.after_read(get(held, bit) ? 1 : 0) & 1);
            }
        return {out.size()};
    }

    answer write_item(std::size_t layer, const model_item& item, std::uint64_t offset, const bytes& in) {
        const entry& e = item.e;
        if (e.what == entry::shape::deny) return {0, error::denied};
        if (e.what == entry::shape::alias) return write_layer(layer, item.origin + (offset - e.offset), in);
        if (!item.takes(offset, in.size()))
            return e.on_other_width == otherwise::refuse ? answer{0, error::invalid} : answer{in.size()};
        bytes whole(static_cast<std::size_t>(e.what == entry::shape::reg ? e.size : 0));
        bytes mask(whole.size());
        for (std::size_t i = 0; i < in.size() && i < whole.size(); ++i) {
            whole[static_cast<std::size_t>(offset - e.offset) + i] = in[i];
            mask[static_cast<std::size_t>(offset - e.offset) + i] = std::byte{0xff};
        }
        const answer a = has(e.hook, on::write) ? call_write_hook(layer, item, whole, mask)
                                                : write_backing(layer, item, offset, in);
        if (a.error != error::none) return a;
        if (has(e.hook, on::written)) {
            log.push_back({"written " + item.name, item.element, 0, value_of(whole), value_of(mask)});
            if (hooks.fails()) return {0, error::busy};
        }
        return {in.size()};
    }

    answer write_backing(std::size_t layer, const model_item& item, std::uint64_t offset, const bytes& in) {
        if (item.any(offset, in.size(), [](const bit_facts& b) { return b.written_to_device(); })) {
            bytes toward_device(in.size());
            bytes known(in.size());
            const auto kept = [](const bit_facts& b) { return !b.written_to_device() && b.device == toward::preserve; };
            if (item.any(offset, in.size(), kept)) {
                const answer a = read_layer(layer + 1, offset, known);
                if (a.count != known.size()) return {0, a.error};
            }
            for (std::size_t i = 0; i < in.size(); ++i)
                for (unsigned bit = 0; bit < 8; ++bit) {
                    const bit_facts facts = item.at(offset + i, bit);
                    put(toward_device[i], bit,
                        facts.written_to_device()            ? get(in[i], bit)
                        : facts.device == toward::preserve ? get(known[i], bit)
                                                            : facts.device == toward::ones);
                }
            const answer a = write_layer(layer + 1, offset, toward_device);
            if (item.fields.empty()) return a; // passed as it is
            if (a.count != in.size()) return {0, a.error};
        }
        for (std::size_t i = 0; i < in.size(); ++i)
            for (unsigned bit = 0; bit < 8; ++bit) {
                const bit_facts facts = item.at(offset + i, bit);
                if (facts.backing != from::shadow) continue;
                const access_policy& policy = policy_of(facts.how);
                std::byte& held = layers[layer].shadow[offset + i];
                std::byte& taken = layers[layer].taken[offset + i];
                if (policy.once && get(taken, bit)) continue;
                put(taken, bit, policy.once);
                put(held, bit, (policy.written(get(held, bit) ? 1 : 0, get(in[i], bit) ? 1 : 0) & 1) != 0);
            }
        return {in.size()};
    }

    answer call_write_hook(std::size_t layer, const model_item& item, bytes whole, const bytes& mask) {
        const entry& e = item.e;
        if (layers[layer].takes_lanes.contains(item.name)) {
            log.push_back({"write " + item.name, item.element, 0, value_of(whole), value_of(mask)});
            if (hooks.fails()) return {0, error::busy};
            if (e.backing == from::shadow) {
                bytes seen(whole.size());
                static_cast<void>(read_backing(layer, item, e.offset, seen));
                for (std::size_t i = 0; i < whole.size(); ++i)
                    layers[layer].shadow[e.offset + i] = (seen[i] & ~mask[i]) | whole[i];
            }
            return {whole.size()};
        }
        // What was not written is filled up with what changes nothing: a value that does so whatever is held, or, if
        // that can be known without changing anything, what is held.
        const bool reading_changes = item.any(e.offset, whole.size(), [&](const bit_facts& b) {
            return (b.backing != from::constant && policy_of(b.how).read_changes()) || (e.read_has_effect && b.read_from_device());
        });
        bytes must_be_held(whole.size());
        for (std::size_t i = 0; i < whole.size(); ++i)
            for (unsigned bit = 0; bit < 8; ++bit) {
                if (get(mask[i], bit)) continue;
                const access_policy& p = policy_of(item.at(e.offset + i, bit).how);
                const auto written = [&](bool held, bool value) { return (p.written(held ? 1 : 0, value ? 1 : 0) & 1) != 0; };
                if (!written(false, false) && written(true, false)) continue;
                if (!written(false, true) && written(true, true)) {
                    put(whole[i], bit, true);
                    continue;
                }
                const bool holds = !written(false, false) && written(true, true) && !p.once;
                if (!holds || !p.readable || reading_changes) return {0, error::invalid};
                put(must_be_held[i], bit, true);
            }
        if (value_of(must_be_held) != 0) {
            bytes held(whole.size());
            const answer a = read_backing(layer, item, e.offset, held);
            if (a.count != held.size()) return {0, a.error};
            for (std::size_t i = 0; i < held.size(); ++i) whole[i] |= held[i] & must_be_held[i];
        }
        log.push_back({"write " + item.name, item.element, 0, value_of(whole)});
        if (hooks.fails()) return {0, error::busy};
        if (item.name == "switch") {
            layers[layer].passed.clear();
            for (std::size_t i = 0; i < layers[layer].dynamics.size(); ++i)
                if ((value_of(whole) >> i & 1) != 0) layers[layer].passed.insert(i);
        }
        for (std::size_t i = 0; i < whole.size(); ++i) whole[i] ^= static_cast<std::byte>(write_salt >> (8 * i) & 0xff);
        const answer a = write_backing(layer, item, e.offset, whole);
        return a.count == whole.size() ? a : answer{0, a.error};
    }

    /// The widest natural access that the device takes here.
    unsigned natural(std::uint64_t at, std::size_t left) const {
        for (const unsigned width : {8u, 4u, 2u})
            if (width <= widest && width <= left && at % width == 0) return width;
        return 1;
    }
    bool device_fails() {
        if (faults_after < 0) return false;
        return faults_after == 0 || (--faults_after, false);
    }

    answer read_device(std::uint64_t offset, bytes& out) {
        for (std::size_t done = 0; done < out.size();) {
            const unsigned width = natural(offset + done, out.size() - done);
            log.push_back(load(offset + done, width));
            if (device_fails()) return {done, error::io};
            for (unsigned i = 0; i < width; ++i) out[done + i] = memory[static_cast<std::size_t>(offset + done + i)];
            done += width;
        }
        return {out.size()};
    }

    answer write_device(std::uint64_t offset, const bytes& in) {
        for (std::size_t done = 0; done < in.size();) {
            const unsigned width = natural(offset + done, in.size() - done);
            const auto from = in.begin() + static_cast<std::ptrdiff_t>(done);
            log.push_back(store(offset + done, width, value_of(bytes(from, from + width))));
            if (device_fails()) return {done, error::io};
            for (unsigned i = 0; i < width; ++i) memory[static_cast<std::size_t>(offset + done + i)] = in[done + i];
            done += width;
        }
        return {in.size()};
    }
};

} // namespace mediant::test
