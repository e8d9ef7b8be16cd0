// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace mediant::device {

/// Bytes of a region, as ranges in order of which no two touch.
class range_set {
public:
    void add(range what) {
        if (what.empty()) return;
        const auto first = std::ranges::find_if(all_, [&](const range& r) { return r.end() >= what.offset; });
        const auto last = std::find_if(first, all_.end(), [&](const range& r) { return r.offset > what.end(); });
        if (first != last) {
            const std::uint64_t begin = std::min(first->offset, what.offset);
            what = {begin, std::max((last - 1)->end(), what.end()) - begin};
        }
        all_.insert(all_.erase(first, last), what);
    }
    void remove(range what) {
        if (what.empty()) return;
        std::vector<range> left;
        for (const range& r : all_) {
            if (r.end() <= what.offset || r.offset >= what.end()) {
                left.push_back(r);
                continue;
            }
            if (r.offset < what.offset) left.push_back({r.offset, what.offset - r.offset});
            if (r.end() > what.end()) left.push_back({what.end(), r.end() - what.end()});
        }
        all_ = std::move(left);
    }
    void clear() noexcept { all_.clear(); }

    [[nodiscard]] bool empty() const noexcept { return all_.empty(); }
    [[nodiscard]] const std::vector<range>& ranges() const noexcept { return all_; }

    /// `each(range)` for what of `where` is in the set, or is not, in order, while it returns true.
    template <class F>
    bool each_in(range where, F each) const {
        for (const range& r : all_) {
            const std::uint64_t from = std::max(r.offset, where.offset);
            const std::uint64_t end = std::min(r.end(), where.end());
            if (from < end && !each(range{from, end - from})) return false;
        }
        return true;
    }
    template <class F>
    bool each_outside(range where, F each) const {
        std::uint64_t at = where.offset;
        for (const range& r : all_) {
            if (r.end() <= at) continue;
            if (r.offset >= where.end()) break;
            if (r.offset > at && !each(range{at, r.offset - at})) return false;
            at = r.end();
        }
        return at >= where.end() || each(range{at, where.end() - at});
    }
    [[nodiscard]] bool holds(range where) const {
        return each_outside(where, [](const range&) { return false; });
    }

private:
    std::vector<range> all_;
};

} // namespace mediant::device
