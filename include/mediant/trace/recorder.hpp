// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/device/unique_fd.hpp>
#include <mediant/trace/event.hpp>
#include <mediant/trace/format.hpp>

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace mediant::trace {

/// Where a recording goes.
struct recorder_options {
    /// Created for the owner alone, or made empty; opened once, at the beginning, for who may open nothing later.
    std::string path;
    /// The file's bytes are never more. When they are used up nothing more is recorded but how much that was: a replay
    /// needs the beginning. At least least_limit.
    std::uint64_t limit = std::uint64_t{256} << 20;
};
inline constexpr std::uint64_t least_limit = 4096;

/// A recording that is being written. Any thread may add to it. Events reach the file in blocks: at block_bytes of
/// them, with the first event a second after the last block, at each release and at the end; a program that is killed
/// loses no more than what came since.
class recorder {
public:
    static constexpr std::size_t block_bytes = 16384;

    /// Throws std::system_error where the file cannot be had, or the limit is too small for anything.
    recorder(const recorder_options& how, const identity& who) : limit_{how.limit} {
        if (how.limit < least_limit)
            throw std::system_error{EINVAL, std::generic_category(), "the limit of a recording"};
        file_.reset(::open(how.path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
        if (!file_) throw std::system_error{errno, std::generic_category(), how.path};
        std::vector<std::byte> head = head_of_file();
        append_block(head, block_type::identity, payload_of(who));
        if (head.size() > limit_ - end_room || !put(head))
            throw std::system_error{failed_ != 0 ? failed_ : EFBIG, std::generic_category(), how.path};
        begin_ = now();
        last_block_ = begin_;
    }
    recorder(const recorder&) = delete;
    recorder& operator=(const recorder&) = delete;
    /// Writes what is left, and the end.
    ~recorder() {
        try {
            finish();
        } catch (...) { // no memory: the file has no end
        }
    }

    /// Nanoseconds of the clock that events are told in.
    [[nodiscard]] static std::uint64_t now() noexcept {
        timespec t{};
        ::clock_gettime(CLOCK_MONOTONIC, &t);
        return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(t.tv_nsec);
    }
    /// Of the epoch, for identity::started.
    [[nodiscard]] static std::uint64_t epoch_now() noexcept {
        timespec t{};
        ::clock_gettime(CLOCK_REALTIME, &t);
        return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(t.tv_nsec);
    }

    /// Records an event as of now.
    void add(event what) {
        const std::lock_guard held{lock_};
        const std::uint64_t at = now();
        what.time = at - begin_;
        add_locked(what, at);
    }
    /// With the time that it tells of itself.
    void add_as_is(const event& what) {
        const std::lock_guard held{lock_};
        add_locked(what, last_block_);
    }

    /// Puts what was added into the file.
    void flush() {
        const std::lock_guard held{lock_};
        flush_locked();
    }

    /// flush(), and the end. Nothing is added any more.
    void finish() {
        const std::lock_guard held{lock_};
        if (!file_) return;
        flush_locked();
        std::vector<std::byte> numbers, out;
        byte_writer to{numbers};
        to.varint(recorded_);
        to.varint(lost_);
        append_block(out, block_type::end, numbers);
        if (failed_ == 0) (void)put(out);
        file_.reset();
    }

    /// Events in the file or on their way there.
    [[nodiscard]] std::uint64_t recorded() const {
        const std::lock_guard held{lock_};
        return recorded_ + pending_.events();
    }
    /// Events for which there was no room.
    [[nodiscard]] std::uint64_t lost() const {
        const std::lock_guard held{lock_};
        return lost_;
    }
    /// Bytes in the file.
    [[nodiscard]] std::uint64_t bytes() const {
        const std::lock_guard held{lock_};
        return bytes_;
    }
    /// The errno of a write that failed; then nothing more is written. 0: none.
    [[nodiscard]] int failed() const {
        const std::lock_guard held{lock_};
        return failed_;
    }

private:
    /// The end's block, whatever its numbers.
    static constexpr std::size_t end_room = block_overhead + 20;
    static constexpr std::uint64_t longest_wait = 1'000'000'000;

    void add_locked(const event& what, std::uint64_t at) {
        if (full_ || !file_) {
            ++lost_;
            return;
        }
        const std::size_t most = encoder::longest_event + std::min(what.bytes().size(), longest_bytes);
        if (bytes_ + block_overhead + pending_.payload().size() + most > limit_ - end_room) {
            flush_locked();
            if (bytes_ + block_overhead + most > limit_ - end_room) full_ = true;
            if (full_) {
                ++lost_;
                return;
            }
        }
        pending_.add(what);
        if (pending_.payload().size() >= block_bytes || what.what == action::release ||
            at - last_block_ > longest_wait) {
            flush_locked();
            last_block_ = at;
        }
    }

    void flush_locked() {
        if (pending_.events() == 0) return;
        std::vector<std::byte> out;
        out.reserve(pending_.payload().size() + block_overhead);
        append_block(out, block_type::events, pending_.payload());
        if (failed_ == 0 && put(out)) {
            recorded_ += pending_.events();
        } else {
            lost_ += pending_.events();
            full_ = true;
        }
        pending_.clear();
    }

    /// Whole, or the file is as it was.
    [[nodiscard]] bool put(std::span<const std::byte> what) noexcept {
        for (std::size_t done = 0; done < what.size();) {
            const ssize_t now = ::pwrite(file_.get(), what.data() + done, what.size() - done,
                                         static_cast<off_t>(bytes_ + done));
            if (now < 0 && errno == EINTR) continue;
            if (now <= 0) {
                failed_ = now < 0 ? errno : ENOSPC;
                (void)::ftruncate(file_.get(), static_cast<off_t>(bytes_));
                return false;
            }
            done += static_cast<std::size_t>(now);
        }
        bytes_ += what.size();
        return true;
    }

    mutable std::mutex lock_;
    device::unique_fd file_;
    std::uint64_t limit_;
    std::uint64_t begin_ = 0;
    std::uint64_t last_block_ = 0;
    encoder pending_;
    std::uint64_t bytes_ = 0;
    std::uint64_t recorded_ = 0;
    std::uint64_t lost_ = 0;
    int failed_ = 0;
    bool full_ = false;
};

} // namespace mediant::trace
