// SPDX-License-Identifier: BSD-3-Clause
// runs: 8000
// Maps, unmaps, look-ups, copies, leases, dirty marks and reports in any order, against a model that keeps lists and
// looks at every page by itself.
#include <mediant/device/dma_map.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <list>
#include <memory>
#include <optional>
#include <set>
#include <source_location>
#include <span>
#include <utility>
#include <vector>

namespace {
using namespace mediant;
using device::dma_lease;
using device::dma_map;
using direction = dma_map::direction;

void check(bool what, std::source_location where = std::source_location::current()) {
    if (what) return;
    std::fprintf(stderr, "line %u: not as the model\n", static_cast<unsigned>(where.line()));
    std::abort();
}

class input {
public:
    input(const std::uint8_t* data, std::size_t size) : left_{data, size} {}
    [[nodiscard]] bool empty() const { return left_.empty(); }
    std::uint64_t number(std::size_t bytes) {
        std::uint64_t value = 0;
        for (; bytes != 0 && !left_.empty(); --bytes, left_ = left_.subspan(1)) value = value << 8 | left_[0];
        return value;
    }
    /// Few enough for ranges to meet: low, in the middle, at the top, and anywhere.
    std::uint64_t address() {
        switch (number(1) % 8) {
        case 0: return number(8);
        case 1: return std::uint64_t{0} - number(1) * 0x1000;
        case 2: return 0x1'0000'0000 + number(1) * 0x10'0000;
        case 3: return number(2) * 0x200;
        default: return number(1) * 0x1000;
        }
    }
    std::uint64_t size() {
        switch (number(1) % 8) {
        case 0: return number(8);
        case 1: return number(2);
        case 2: return std::uint64_t{1} << number(1) % 40;
        default: return number(1) % 16 * 0x1000;
        }
    }

private:
    std::span<const std::uint8_t> left_;
};

class model {
public:
    explicit model(input& in) : in_{in} {
        map_.set_patience(std::chrono::milliseconds{0});
        while (!in_.empty()) step();
        leases_.clear();
        map_.clear();
        check(map_.size() == 0);
    }

private:
    struct region {
        map_dma what;
        std::vector<std::byte> memory;
        int leases = 0;
        [[nodiscard]] std::uint64_t last() const { return what.iova + (what.size - 1); }
        [[nodiscard]] bool holds(std::uint64_t at) const { return at >= what.iova && at <= last(); }
    };
    struct held {
        region* in;
        dma_lease lease;
        std::uint64_t iova;
        std::uint64_t size;
        bool writes;
    };
    static constexpr std::uint64_t most_memory = 0x1'0000;

    void step() {
        switch (in_.number(1) % 12) {
        case 0:
        case 1: return add();
        case 2: return remove();
        case 3:
        case 4: return translate();
        case 5: return translate_all();
        case 6: return read();
        case 7: return write();
        case 8: return take_lease();
        case 9: return end_lease();
        case 10: return log();
        case 11: return report();
        }
    }

    region* find(std::uint64_t at) {
        for (auto& each : regions_)
            if (each.holds(at)) return &each;
        return nullptr;
    }
    /// What one region answers for a stretch.
    error judge(const region* in, std::uint64_t iova, std::uint64_t size, direction how) {
        if (in == nullptr || size > in->what.size - (iova - in->what.iova)) return error::fault;
        if ((how != direction::write && !in->what.readable) || (how != direction::read && !in->what.writable))
            return error::denied;
        return in->memory.empty() ? error::not_supported : error::none;
    }
    direction some_direction() { return direction{static_cast<std::uint8_t>(in_.number(1) % 3)}; }

    void add() {
        region fresh{};
        const std::uint64_t how = in_.number(1);
        fresh.what = {in_.address(), in_.size(), (how & 1) != 0, (how & 2) != 0, {}};
        if ((how & 4) == 0 && fresh.what.size <= most_memory) fresh.memory.resize(static_cast<std::size_t>(fresh.what.size));
        fresh.what.memory = fresh.memory;
        if ((how & 24) == 24 && fresh.memory.size() > 1) fresh.what.memory = fresh.what.memory.subspan(1); // another size
        const auto came = map_.map(fresh.what);
        const std::uint64_t size = fresh.what.size;
        if (size == 0 || size - 1 > ~fresh.what.iova ||
            (!fresh.what.memory.empty() && fresh.what.memory.size() != size)) {
            check(came.error() == error::invalid);
            return;
        }
        fresh.what.memory = fresh.memory;
        if (std::any_of(regions_.begin(), regions_.end(), [&](const region& each) {
                return each.what.iova <= fresh.last() && fresh.what.iova <= each.last();
            })) {
            check(came.error() == error::exists);
            return;
        }
        if (!came) { // more than a log can have
            check((came.error() == error::too_big || came.error() == error::no_memory) && everything_ && size > (1ull << 36));
            compared_ = false;
            return;
        }
        if (logging_ && everything_ && fresh.what.writable) covered_.emplace_back(fresh.what.iova, fresh.last());
        // What was not mapped whole above is not backed here either.
        regions_.push_back(std::move(fresh));
        check(map_.size() == regions_.size());
    }

    void remove() {
        std::uint64_t iova = in_.address();
        std::uint64_t size = in_.size();
        auto which = regions_.begin();
        if (const std::uint64_t pick = in_.number(1); pick % 4 != 0 && !regions_.empty()) {
            std::advance(which, static_cast<std::ptrdiff_t>(pick / 4 % regions_.size()));
            iova = which->what.iova;
            size = which->what.size;
        }
        which = std::find_if(regions_.begin(), regions_.end(),
                             [&](const region& each) { return each.what.iova == iova && each.what.size == size; });
        const auto came = map_.unmap({iova, size});
        if (which == regions_.end()) {
            check(came.error() == error::not_found);
        } else if (which->leases != 0) {
            check(came.error() == error::busy);
        } else {
            check(came.has_value());
            regions_.erase(which);
        }
        check(map_.size() == regions_.size());
    }

    /// An address, often in a region.
    std::uint64_t some_address() {
        const std::uint64_t pick = in_.number(1);
        if (pick % 4 == 0 || regions_.empty()) return in_.address() + in_.number(1);
        auto which = regions_.begin();
        std::advance(which, static_cast<std::ptrdiff_t>(pick / 4 % regions_.size()));
        const std::uint64_t offset = in_.number(2);
        return (offset & 1) != 0 ? which->last() - (offset >> 1) % which->what.size : which->what.iova + (offset >> 1) % which->what.size;
    }

    void translate() {
        const std::uint64_t iova = some_address();
        const std::uint64_t size = in_.size();
        const direction how = some_direction();
        const auto came = map_.translate(iova, size, how);
        region* const in = find(iova);
        check(came.error() == judge(in, iova, size, how));
        if (!came) return;
        check(came->data() == in->memory.data() + (iova - in->what.iova) && came->size() == size);
        if (how != direction::read) mark(iova, size);
    }

    void translate_all() {
        const std::uint64_t iova = some_address();
        const std::uint64_t size = in_.size();
        const direction how = some_direction();
        std::array<std::span<std::byte>, 3> spans;
        const auto came = map_.translate(iova, size, how, spans);
        std::size_t count = 0;
        error expected = error::none;
        for (std::uint64_t done = 0; done < size && expected == error::none; ++count) {
            const std::uint64_t at = iova + done;
            region* const in = at < iova ? nullptr : find(at);
            const std::uint64_t part = in == nullptr ? 0 : std::min(size - done, in->last() - at + 1);
            expected = judge(in, at, part, how);
            if (expected != error::none) break;
            if (count == spans.size()) {
                expected = error::too_big;
                break;
            }
            check(spans[count].data() == in->memory.data() + (at - in->what.iova) && spans[count].size() == part);
            done += part;
        }
        check(came.error() == expected);
        if (!came) return;
        check(*came == count);
        if (how != direction::read) mark(iova, size);
    }

    /// Calls each(region, offset, done, part) for what a copy does; and says what came of it.
    template <class F>
    answer copied(std::uint64_t iova, std::uint64_t size, direction how, F each) {
        std::uint64_t done = 0;
        while (done < size) {
            const std::uint64_t at = iova + done;
            region* const in = at < iova ? nullptr : find(at);
            const std::uint64_t part = in == nullptr ? 0 : std::min(size - done, in->last() - at + 1);
            if (const error why = judge(in, at, part, how); why != error::none) return {done, why};
            each(*in, static_cast<std::size_t>(at - in->what.iova), static_cast<std::size_t>(done), static_cast<std::size_t>(part));
            done += part;
        }
        return {done};
    }

    void read() {
        const std::uint64_t iova = some_address();
        std::vector<std::byte> bytes(static_cast<std::size_t>(in_.number(2)));
        const auto came = map_.read(iova, bytes);
        check(came == copied(iova, bytes.size(), direction::read,
                             [&](const region& in, std::size_t offset, std::size_t done, std::size_t part) {
                                 check(std::memcmp(in.memory.data() + offset, bytes.data() + done, part) == 0);
                             }));
    }

    void write() {
        const std::uint64_t iova = some_address();
        std::vector<std::byte> bytes(static_cast<std::size_t>(in_.number(2)));
        for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(next_++ * 37);
        const auto came = map_.write(iova, bytes);
        check(came == copied(iova, bytes.size(), direction::write,
                             [&](const region& in, std::size_t offset, std::size_t done, std::size_t part) {
                                 check(std::memcmp(in.memory.data() + offset, bytes.data() + done, part) == 0);
                                 mark(iova + done, part);
                             }));
    }

    void take_lease() {
        const std::uint64_t iova = some_address();
        const std::uint64_t size = in_.size();
        const direction how = some_direction();
        auto came = map_.lease(iova, size, how);
        region* const in = find(iova);
        check(came.error() == judge(in, iova, size, how));
        if (!came) return;
        check(came->bytes().data() == in->memory.data() + (iova - in->what.iova) && came->bytes().size() == size);
        ++in->leases;
        if (how != direction::read) mark(iova, size);
        leases_.push_back({in, std::move(*came), iova, size, how != direction::read});
        if (leases_.size() > 8) end(leases_.begin());
    }
    void end_lease() {
        if (leases_.empty()) return;
        auto which = leases_.begin();
        std::advance(which, static_cast<std::ptrdiff_t>(in_.number(1) % leases_.size()));
        end(which);
    }
    void end(std::list<held>::iterator which) {
        --which->in->leases;
        if (which->writes) mark(which->iova, which->size);
        leases_.erase(which);
    }

    // The log.

    void mark(std::uint64_t iova, std::uint64_t size) {
        if (!logging_ || size == 0) return;
        const std::uint64_t last = iova + (size - 1);
        for (const auto& [first_of, last_of] : covered_) {
            const std::uint64_t from = std::max(iova, first_of);
            const std::uint64_t to = std::min(last, last_of);
            if (from > to) continue;
            for (std::uint64_t page = from / page_; page <= to / page_; ++page) dirty_.insert(page);
        }
    }

    void log() {
        const std::uint64_t what = in_.number(1);
        dirty_.clear();
        covered_.clear();
        compared_ = true;
        logging_ = false;
        if (what % 4 == 0) return map_.log().stop();
        std::vector<range> ranges;
        for (std::uint64_t i = 0; i < what / 4 % 4; ++i) ranges.push_back({in_.address(), in_.size()});
        const std::uint64_t page = what / 16 % 8 == 0 ? in_.number(3) : std::uint64_t{0x400} << what / 16 % 8;
        const auto came = map_.start_logging(page, ranges);
        bool good = page != 0 && (page & (page - 1)) == 0;
        std::uint64_t largest = 0;
        for (std::size_t i = 0; i < ranges.size(); ++i) {
            const auto& [offset, size] = ranges[i];
            good = good && size != 0 && size - 1 <= ~offset;
            if (!good) break;
            for (std::size_t j = 0; j < i; ++j)
                good = good && (offset + (size - 1) < ranges[j].offset || offset > ranges[j].offset + (ranges[j].size - 1));
            largest = std::max(largest, size);
        }
        everything_ = ranges.empty();
        if (!came) {
            if (everything_)
                for (const auto& each : regions_) largest = std::max(largest, each.what.size);
            check(came.error() == error::invalid ? !good || !everything_ : largest > (1ull << 36));
            check(came.error() != error::invalid || !good);
            check(!map_.log().running());
            return;
        }
        check(good);
        page_ = std::max<std::uint64_t>(page, 0x1000);
        check(*came == page_);
        logging_ = true;
        for (const auto& each : ranges) covered_.emplace_back(each.offset, each.offset + (each.size - 1));
        if (everything_)
            for (const auto& each : regions_)
                if (each.what.writable) covered_.emplace_back(each.what.iova, each.last());
    }

    void report() {
        const std::uint64_t page = std::uint64_t{0x800} << in_.number(1) % 8;
        const std::uint64_t iova = in_.address();
        const std::uint64_t length = in_.number(2) % 4096 * 0x1000;
        const bool forgets = in_.number(1) % 2 == 0;
        std::vector<std::uint64_t> words(static_cast<std::size_t>((length / page + 63) / 64), 0x5555);
        const auto came = map_.log().report(iova, length, page, words, forgets);
        const bool good = logging_ && page >= page_ && length != 0 && iova % page == 0 && length % page == 0 &&
                          length - 1 <= ~iova;
        check(came.has_value() == good);
        if (!good || !compared_) return;
        for (std::uint64_t i = 0; i < words.size() * 64; ++i) {
            bool expected = false;
            for (std::uint64_t at = i * page; at < (i + 1) * page && at < length; at += page_) {
                const auto found = dirty_.find((iova + at) / page_);
                expected = expected || found != dirty_.end();
                if (forgets && found != dirty_.end()) dirty_.erase(found);
            }
            check((words[static_cast<std::size_t>(i / 64)] >> i % 64 & 1) == (expected ? 1 : 0));
        }
    }

    input& in_;
    dma_map map_;
    std::list<region> regions_;
    std::list<held> leases_;
    std::uint64_t next_ = 1;
    bool logging_ = false;
    bool everything_ = false;
    bool compared_ = true; // false once the map could not be logged whole
    std::uint64_t page_ = 0x1000;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> covered_; // first and last
    std::set<std::uint64_t> dirty_;                                // pages of page_ bytes
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    input in{data, size};
    const model run{in};
    return 0;
}
