// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/lower.hpp>
#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/device/identify.hpp>
#include <mediant/kernel/abi.h>
#include <mediant/kernel/below_device.hpp>
#include <mediant/migration/saved_state.hpp>
#include <mediant/migration/state.hpp>
#include <mediant/plugin/below_functions.hpp>
#include <mediant/plugin/library.hpp>
#include <mediant/plugin/search_path.hpp>
#include <mediant/provider/stack.hpp>
#include <mediant/registers/areas.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace mediant::plugin {

/// Where providers are found, and what is done where there is none.
struct loaded_options {
    search_path path;
    /// Without a provider a device does not open (error::no_device); else it passes whole.
    bool required = true;
    /// Is told what was loaded, and what could not be; standard error unless set.
    std::function<void(const std::string&)> tell = [](const std::string& line) {
        std::fprintf(stderr, "%s\n", line.c_str());
    };
};

namespace detail {

/// A provider over a device that is open.
class session {
public:
    session(library from, const mediant_provider& provider, const mediant_below& below)
        : library_{std::move(from)}, provider_{&provider}, below_{below},
          state_{std::make_unique<std::max_align_t[]>(provider.state_size / sizeof(std::max_align_t) + 1)} {
        provider.construct(state(), &below_);
    }
    session(const session&) = delete;
    session& operator=(const session&) = delete;

    [[nodiscard]] const mediant_provider& functions() const noexcept { return *provider_; }
    [[nodiscard]] void* state() const noexcept { return state_.get(); }
    [[nodiscard]] bool mediates(unsigned what) const noexcept { return (provider_->mediates & what) != 0; }

private:
    library library_; // goes last
    const mediant_provider* provider_;
    mediant_below below_;
    std::unique_ptr<std::max_align_t[]> state_;
};

[[nodiscard]] constexpr mediant::detail::outcome outcome_of(long long done) noexcept {
    return done >= 0 ? mediant::detail::packed(static_cast<std::uint64_t>(done))
                     : mediant::detail::packed(0, kernel::from_errno(static_cast<int>(done)));
}

} // namespace detail

/// The layers of a front whose provider is found when it is opened.
template <lower Lower>
class loaded_layers {
    using outcome = mediant::detail::outcome;

public:
    loaded_layers(Lower& device, loaded_options options) : below_{device}, options_{std::move(options)} {}

    /// Opens the device and asks the providers that are found for it, those that rank highest first, until one does not
    /// decline. error::no_device: none is left, but one is required; error::invalid: one was made for another ABI.
    result<void> open() {
        if (const auto opened = below_.open(); !opened) return opened;
        const auto mediated = find_provider();
        if (!mediated) below_.release();
        return mediated;
    }
    void release() {
        if (session_ != nullptr) session_->functions().release(session_->state());
        session_.reset();
        below_.release();
    }
    void reset() noexcept {
        if (session_ != nullptr) session_->functions().reset(session_->state());
    }

    outcome read_here(const read_access& a) const {
        if (in_config(a.region)) return by_dwords(a, [this](const read_access& part) { return read_config(part); });
        if (!trapped(a.region, a.offset, a.bytes.size())) return mediant::detail::packed(below_.read(a));
        return ask(a);
    }
    outcome write_here(const write_access& a) const {
        if (in_config(a.region)) return write_config(a);
        if (!trapped(a.region, a.offset, a.bytes.size())) return mediant::detail::packed(below_.write(a));
        return ask(a);
    }

    template <request R>
    result<typename R::answer> ioctl(const R& what) const {
        if (session_ == nullptr) return below_.ioctl(what);
        const mediant_provider& to = session_->functions();
        void* const state = session_->state();
        if constexpr (std::is_same_v<R, get_device_info>) {
            if (!session_->mediates(MEDIANT_DEVICE_INFO)) return below_.ioctl(what);
            unsigned regions = 0, irqs = 0, can_reset = 0;
            const int done = to.device_info(state, &regions, &irqs, &can_reset);
            if (done != 0) return kernel::from_errno(done);
            return get_device_info::answer{regions, irqs, can_reset != 0};
        } else if constexpr (std::is_same_v<R, get_region_info>) {
            if (!session_->mediates(MEDIANT_REGION_INFO)) return below_.ioctl(what);
            unsigned long long size = 0;
            unsigned flags = 0;
            const int done = to.region_info(state, number(what.region), &size, &flags);
            if (done != 0) return kernel::from_errno(done);
            return get_region_info::answer{size, region_flags{flags}};
        } else if constexpr (std::is_same_v<R, get_irq_info>) {
            if (!session_->mediates(MEDIANT_IRQ_INFO)) return below_.ioctl(what);
            unsigned flags = 0, count = 0;
            const int done = to.irq_info(state, static_cast<unsigned>(what.index), &flags, &count);
            if (done != 0) return kernel::from_errno(done);
            return get_irq_info::answer{irq_flags{flags}, count};
        } else if constexpr (std::is_same_v<R, set_irqs>) {
            const auto index = static_cast<unsigned>(what.index);
            if (index < fixed_irqs && (to.hidden_irqs >> index & 1) != 0) return error::invalid;
            return below_.ioctl(what);
        } else if constexpr (std::is_same_v<R, reset_device>) {
            if (!session_->mediates(MEDIANT_RESET_DEVICE)) return below_.ioctl(what);
            return kernel::from_errno(to.reset_device(state));
        } else if constexpr (std::is_same_v<R, start_dma_logging> || std::is_same_v<R, stop_dma_logging> ||
                             std::is_same_v<R, report_dma_logging>) {
            return session_->mediates(MEDIANT_DMA_LOGGING) ? ask_log(what) : below_.ioctl(what);
        } else {
            return below_.ioctl(what);
        }
    }

    [[nodiscard]] traps run_now(region_index region, std::uint64_t offset, std::uint64_t count) const noexcept {
        if (session_ == nullptr || region > region_index::bar5) return {count, false};
        unsigned is_trapped = 0;
        const std::uint64_t size =
            session_->functions().run(session_->state(), number(region), offset, count, &is_trapped);
        return {size, is_trapped != 0};
    }

    /// The provider that serves the open device; empty where none does.
    [[nodiscard]] std::string provider() const { return session_ == nullptr ? "" : session_->functions().name; }

    /// What migrates the device, while it is open: a provider that fetches the state of what is below it. A lower that
    /// tells of its state by itself does so to none that comes by functions.
    [[nodiscard]] const detail::session* migrates() const noexcept {
        if constexpr (has_saved_state<Lower>)
            return nullptr;
        else
            return session_ != nullptr && session_->functions().migration_flags != 0 ? session_.get() : nullptr;
    }

private:
    result<std::uint64_t> ask_log(const start_dma_logging& what) const {
        std::vector<mediant_range> ranges;
        for (const range& each : what.ranges) ranges.push_back({each.offset, each.size});
        unsigned long long tracked = 0;
        const int done = session_->functions().start_dma_logging(
            session_->state(), what.page, ranges.data(), static_cast<unsigned>(ranges.size()), &tracked);
        if (done != 0) return kernel::from_errno(done);
        return std::uint64_t{tracked};
    }
    result<void> ask_log(const stop_dma_logging&) const {
        return kernel::from_errno(session_->functions().stop_dma_logging(session_->state()));
    }
    /// In pieces; a request that is none is passed on as it is, to be refused.
    result<void> ask_log(const report_dma_logging& what) const {
        const std::uint64_t most = std::uint64_t{64} * MEDIANT_REPORT_WORDS;
        unsigned long long bits[MEDIANT_REPORT_WORDS];
        std::size_t at = 0;
        std::uint64_t iova = what.iova, length = what.length;
        do {
            const std::size_t words = std::min<std::size_t>(what.bitmap.size() - at, MEDIANT_REPORT_WORDS);
            const bool last = at + words == what.bitmap.size();
            const std::uint64_t piece = last ? length : most * what.page;
            const int done =
                session_->functions().report_dma_logging(session_->state(), iova, piece, what.page, bits,
                                                         static_cast<unsigned>(words), what.forgets ? 1 : 0);
            if (done != 0) return kernel::from_errno(done);
            std::copy_n(bits, words, what.bitmap.data() + at);
            at += words;
            iova += piece;
            length -= piece;
        } while (at < what.bitmap.size());
        return {};
    }

    [[nodiscard]] static unsigned number(region_index region) noexcept { return static_cast<unsigned>(region); }

    // What the provider makes of an access.

    [[nodiscard]] outcome ask(const read_access& a) const {
        return detail::outcome_of(session_->functions().read(
            session_->state(), number(a.region), a.offset, reinterpret_cast<unsigned char*>(a.bytes.data()),
            static_cast<unsigned>(a.bytes.size())));
    }
    [[nodiscard]] outcome ask(const write_access& a) const {
        return detail::outcome_of(session_->functions().write(
            session_->state(), number(a.region), a.offset, reinterpret_cast<const unsigned char*>(a.bytes.data()),
            static_cast<unsigned>(a.bytes.size())));
    }

    [[nodiscard]] bool in_config(region_index region) const noexcept {
        return session_ != nullptr && region == region_index::config && session_->mediates(MEDIANT_CONFIG);
    }

    [[nodiscard]] bool trapped(region_index region, std::uint64_t offset, std::uint64_t count) const noexcept {
        for (std::uint64_t done = 0; done < count;) {
            const traps next = run_now(region, offset + done, count - done);
            if (next.trapped) return true;
            done += next.size;
        }
        return false;
    }

    // Configuration space: what passes and what does not differs by direction, and changes within a dword.

    template <class Access, class Each>
    [[nodiscard]] static outcome by_dwords(const Access& a, Each each) {
        std::size_t done = 0;
        while (done < a.bytes.size()) {
            const std::size_t size =
                std::min<std::size_t>(a.bytes.size() - done, 4 - static_cast<std::size_t>((a.offset + done) % 4));
            const answer came = each(a.part(done, size));
            done += came.count;
            if (came.count < size) return mediant::detail::packed(done, came.error);
        }
        return mediant::detail::packed(done);
    }

    [[nodiscard]] std::size_t config_run(bool write, std::uint64_t offset, std::size_t size,
                                         unsigned& treatment) const {
        return session_->functions().config_run(session_->state(), write ? 1 : 0, static_cast<unsigned>(offset),
                                                static_cast<unsigned>(size), &treatment);
    }

    [[nodiscard]] answer read_config(const read_access& a) const {
        std::size_t done = 0;
        while (done < a.bytes.size()) {
            unsigned treatment = 0;
            const std::size_t size = config_run(false, a.offset + done, a.bytes.size() - done, treatment);
            const read_access part = a.part(done, size);
            const answer came =
                (treatment & MEDIANT_TAKEN) == 0 ? below_.read(part) : mediant::detail::unpacked(ask(part));
            done += came.count;
            if (came.count < size) return {done, came.error};
        }
        return {done};
    }

    /// What is observed is told when all is done.
    [[nodiscard]] outcome write_config(const write_access& a) const {
        bool observed = false;
        const answer came = mediant::detail::unpacked(by_dwords(a, [&](const write_access& dword) {
            std::size_t done = 0;
            while (done < dword.bytes.size()) {
                unsigned treatment = 0;
                const std::size_t size = config_run(true, dword.offset + done, dword.bytes.size() - done, treatment);
                const write_access part = dword.part(done, size);
                const answer one =
                    (treatment & MEDIANT_TAKEN) == 0 ? below_.write(part) : mediant::detail::unpacked(ask(part));
                if (one.count != 0) observed = observed || (treatment & MEDIANT_OBSERVED) != 0;
                done += one.count;
                if (one.count < size) return answer{done, one.error};
            }
            return answer{done};
        }));
        if (observed) {
            const int told = session_->functions().config_written(
                session_->state(), static_cast<unsigned>(a.offset),
                reinterpret_cast<const unsigned char*>(a.bytes.data()), static_cast<unsigned>(came.count));
            if (told != 0) return mediant::detail::packed(0, kernel::from_errno(told));
        }
        return mediant::detail::packed(came);
    }

    // Finding a provider.

    struct candidate {
        library from;
        const mediant_provider* provider;
        unsigned rank;
    };

    result<void> find_provider() {
        const auto id = device::identify(below_.device());
        if (!id) return id.error();
        const mediant_device_id asked{id->vendor, id->device, id->subvendor, id->subdevice, id->class_code};
        std::vector<candidate> found;
        for (const std::filesystem::path& file : options_.path.find(*id)) {
            try {
                const library here{file.string()};
                for (const mediant_provider* const each : here.providers()) {
                    const unsigned rank = each->match(&asked);
                    if (rank == 0) continue;
                    // Those that rank alike stay in the order in which they are found.
                    const auto behind = std::ranges::find_if(found, [&](const candidate& c) { return c.rank < rank; });
                    found.insert(behind, {library{file.string()}, each, rank});
                }
            } catch (const plugin_error& wrong) {
                options_.tell(wrong.what());
                return error::invalid;
            }
        }
        for (candidate& each : found) {
            auto opening = std::make_unique<detail::session>(
                std::move(each.from), *each.provider,
                detail::below_functions<Lower>::table_of(below_.device()));
            const int opened = each.provider->open(opening->state());
            if (opened == 0) {
                options_.tell(std::string{"provider "} + each.provider->name + " serves the device");
                session_ = std::move(opening);
                return {};
            }
            if (kernel::from_errno(opened) == error::no_device) continue;
            options_.tell(std::string{"provider "} + each.provider->name + " failed to open: " +
                          std::strerror(-opened));
            return kernel::from_errno(opened);
        }
        const bool none = found.empty();
        const bool nowhere = none && options_.path.text().empty();
        options_.tell((nowhere ? std::string{"no provider serves the device"}
                       : none  ? "no " + search_path::file_name(*id) + " in " + options_.path.text() +
                                     ", or no provider in it for this device"
                               : std::string{"every provider declines the device"}) +
                      (options_.required ? "" : "; it passes whole"));
        return options_.required ? result<void>{error::no_device} : result<void>{};
    }

    bottom<Lower> below_;
    loaded_options options_;
    std::unique_ptr<detail::session> session_;
};

/// A device whose provider is loaded when it is opened and dropped when it is closed: in user space what the module
/// vfio_pci_mediate is in the kernel.
template <lower Lower>
class loaded : public front<Lower, loaded_layers<Lower>> {
public:
    loaded(Lower& device, loaded_options options)
        : front<Lower, loaded_layers<Lower>>{device, loaded_layers<Lower>{device, std::move(options)}} {}

    // Migration (vfio_user's `migratable`), by the provider; no flags where it has none.

    [[nodiscard]] std::uint64_t migration_flags() const noexcept {
        const detail::session* const by = this->layers().migrates();
        return by == nullptr ? 0 : by->functions().migration_flags;
    }
    [[nodiscard]] migration_state migration() const noexcept {
        const detail::session* const by = this->layers().migrates();
        return by == nullptr ? migration_state::running : migration_state{by->functions().migration_state(by->state())};
    }
    result<void> migrate(migration_state to) const {
        const detail::session* const by = this->layers().migrates();
        if (by == nullptr) return error::not_a_request;
        return kernel::from_errno(by->functions().migrate(by->state(), static_cast<unsigned>(to)));
    }
    result<std::size_t> read_migration(std::span<std::byte> to) const {
        const detail::session* const by = this->layers().migrates();
        if (by == nullptr) return error::not_a_request;
        // A count is an unsigned int there; who asks for more gets less, which is no end: it never is so much.
        const auto count = static_cast<unsigned>(std::min<std::size_t>(to.size(), 1u << 30));
        const long long done =
            by->functions().read_migration(by->state(), reinterpret_cast<unsigned char*>(to.data()), count);
        if (done < 0) return kernel::from_errno(static_cast<int>(done));
        return static_cast<std::size_t>(done);
    }
    result<void> write_migration(std::span<const std::byte> from) const {
        const detail::session* const by = this->layers().migrates();
        if (by == nullptr) return error::not_a_request;
        for (std::span<const std::byte> part; !from.empty(); from = from.subspan(part.size())) {
            part = from.first(std::min<std::size_t>(from.size(), 1u << 30));
            const int done = by->functions().write_migration(by->state(),
                                                             reinterpret_cast<const unsigned char*>(part.data()),
                                                             static_cast<unsigned>(part.size()));
            if (done != 0) return kernel::from_errno(done);
        }
        return {};
    }
    [[nodiscard]] result<std::uint64_t> migration_size() const {
        const detail::session* const by = this->layers().migrates();
        if (by == nullptr) return error::not_a_request;
        return std::uint64_t{by->functions().migration_size(by->state())};
    }
};

} // namespace mediant::plugin
