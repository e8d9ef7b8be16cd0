// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "recorder.hpp"

#include <mediant/registers/map.hpp>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

/// What a stack of policies over a recorder must do, written from the design page, byte by byte, without a look at
/// the engine: every byte asks every entry whether it is its own.
namespace mediant::test {

/// How a model's hooks behave, as those of differential.cpp: a read hook answers its backing's value under an
/// exclusive or; a write hook writes the value, under an exclusive or too, to the backing; one that takes lanes
/// assigns its shadow, if it has one. Each of them first counts down to a failure.
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

/// One layer's map, and what it holds.
struct model_layer {
    std::vector<entry> entries;
    std::set<std::string> takes_lanes;
    std::map<std::uint64_t, std::byte> shadow; ///< by offset in the region

    template <const auto& Map>
    static model_layer of(std::set<std::string> with_lanes) {
        model_layer out{{Map.entries.begin(), Map.entries.end()}, std::move(with_lanes), {}};
        out.reset();
        return out;
    }

    void reset() {
        for (const entry& e : entries)
            for (std::uint64_t i = 0; i < e.size; ++i)
                shadow[e.offset + i] =
                    static_cast<std::byte>(e.what == entry::shape::reg ? (e.value >> (8 * i)) & 0xff : e.value & 0xff);
    }

    /// The entry that mediates a byte, or null where it passes.
    const entry* owner(std::uint64_t at) const {
        for (const entry& e : entries) {
            const bool mediates = e.what == entry::shape::hide || e.kind != kind::rw || e.backing != from::device ||
                                  e.hook != on::nothing;
            if (mediates && at >= e.offset && at < e.offset + e.size) return &e;
        }
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
            const entry* const e = layers[layer].owner(offset + done);
            const answer a = e == nullptr ? read_layer(layer + 1, offset + done, part)
                                          : read_entry(layer, *e, offset + done, part, true);
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
            const entry* const e = layers[layer].owner(offset + done);
            const answer a = e == nullptr ? write_layer(layer + 1, offset + done, part)
                                          : write_entry(layer, *e, offset + done, part, true);
            done += static_cast<std::size_t>(a.count);
            if (a.count != n) return {done, a.error};
        }
        return {done};
    }

    answer read_entry(std::size_t layer, const entry& e, std::uint64_t offset, bytes& out, bool with_hook) {
        if (with_hook && has(e.hook, on::read)) {
            log.push_back({"read " + std::string{e.name}});
            if (hooks.fails()) return {0, error::busy};
            bytes whole(static_cast<std::size_t>(e.size));
            const answer a = read_entry(layer, e, e.offset, whole, false);
            if (a.count != e.size) return {0, a.error};
            for (std::size_t i = 0; i < whole.size(); ++i) whole[i] ^= static_cast<std::byte>(read_salt >> (8 * i) & 0xff);
            for (std::size_t i = 0; i < out.size(); ++i) out[i] = whole[static_cast<std::size_t>(offset - e.offset) + i];
            return {out.size()};
        }
        if (e.what != entry::shape::hide && e.kind != kind::wo && e.backing == from::device)
            return read_layer(layer + 1, offset, out);
        for (std::size_t i = 0; i < out.size(); ++i) {
            const std::uint64_t at = offset + i;
            if (e.what == entry::shape::hide)
                out[i] = std::byte{0xff};
            else if (e.kind == kind::wo)
                out[i] = std::byte{0};
            else if (e.backing == from::shadow)
                out[i] = layers[layer].shadow[at];
            else if (e.what == entry::shape::block)
                out[i] = static_cast<std::byte>(e.value);
            else
                out[i] = static_cast<std::byte>(e.value >> (8 * (at - e.offset)) & 0xff);
        }
        return {out.size()};
    }

    answer write_entry(std::size_t layer, const entry& e, std::uint64_t offset, const bytes& in, bool with_hook) {
        if (with_hook && has(e.hook, on::write)) return call_write_hook(layer, e, offset, in);
        if (e.what == entry::shape::hide || e.kind == kind::ro || e.backing == from::constant) return {in.size()};
        if (e.backing == from::device) return write_layer(layer + 1, offset, in);
        for (std::size_t i = 0; i < in.size(); ++i) {
            std::byte& held = layers[layer].shadow[offset + i];
            held = e.kind == kind::w1c ? held & ~in[i] : in[i];
        }
        return {in.size()};
    }

    answer call_write_hook(std::size_t layer, const entry& e, std::uint64_t offset, const bytes& in) {
        const std::size_t first = static_cast<std::size_t>(offset - e.offset);
        bytes whole(static_cast<std::size_t>(e.size));
        bytes mask(whole.size());
        for (std::size_t i = 0; i < in.size(); ++i) {
            whole[first + i] = in[i];
            mask[first + i] = std::byte{0xff};
        }
        if (layers[layer].takes_lanes.contains(std::string{e.name})) {
            log.push_back({"write " + std::string{e.name}, 0, 0, value_of(whole), value_of(mask)});
            if (hooks.fails()) return {0, error::busy};
            if (e.backing == from::shadow)
                for (std::size_t i = 0; i < whole.size(); ++i) {
                    // What the hook reads of a write-only register is 0.
                    std::byte& held = layers[layer].shadow[e.offset + i];
                    const std::byte seen = e.kind == kind::wo ? std::byte{0} : held;
                    held = (seen & ~mask[i]) | whole[i];
                }
            return {in.size()};
        }
        if (in.size() < whole.size()) {
            if (e.kind == kind::wo) return {0, error::invalid}; // nothing may be read to fill it up
            if (e.kind != kind::w1c) {
                bytes held(whole.size());
                const answer a = read_entry(layer, e, e.offset, held, false);
                if (a.count != held.size()) return {0, a.error};
                for (std::size_t i = 0; i < held.size(); ++i)
                    if (mask[i] == std::byte{0}) whole[i] = held[i];
            }
        }
        log.push_back({"write " + std::string{e.name}, 0, 0, value_of(whole)});
        if (hooks.fails()) return {0, error::busy};
        for (std::size_t i = 0; i < whole.size(); ++i) whole[i] ^= static_cast<std::byte>(write_salt >> (8 * i) & 0xff);
        const answer a = write_entry(layer, e, e.offset, whole, false);
        if (a.count != whole.size()) return {0, a.error};
        return {in.size()};
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
