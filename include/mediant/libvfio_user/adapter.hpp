// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/libvfio_user/api.hpp>
#include <mediant/libvfio_user/calls.hpp>
#include <mediant/libvfio_user/config.hpp>
#include <mediant/libvfio_user/interrupts.hpp>
#include <mediant/libvfio_user/memory.hpp>
#include <mediant/libvfio_user/migration.hpp>
#include <mediant/libvfio_user/shape.hpp>
#include <mediant/libvfio_user/timer.hpp>
#include <mediant/provider/stack.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace mediant::libvfio_user {

namespace detail {

/// Whether one of a stack's policies mediates a request.
template <class Device, class R>
inline constexpr bool policy_mediates = false;
template <class Lower, class... Policies, class R>
inline constexpr bool policy_mediates<stack<Lower, Policies...>, R> =
    (mediant::detail::has_ioctl<Policies, R, next_of<layer<Policies, bottom<mediant::detail::probe_lower>>>> || ...);

template <class Device>
inline constexpr bool mediates_irqs = policy_mediates<Device, set_irqs>;
template <class Device>
inline constexpr bool mediates_dma_log =
    policy_mediates<Device, start_dma_logging> || policy_mediates<Device, stop_dma_logging> ||
    policy_mediates<Device, report_dma_logging>;

} // namespace detail

/// Why libvfio-user cannot carry a device, as far as its type tells; empty where it can. adapter does not compile then.
template <class Device>
inline constexpr std::string_view uncarried =
    detail::mediates_irqs<Device>      ? "a policy mediates set_irqs, and the library answers SET_IRQS itself"
    : detail::mediates_dma_log<Device> ? "a policy mediates the DMA log, and the library keeps its own"
                                       : "";

/// Puts a device behind a context of libvfio-user, whose loop is its owner's: attach() once, connected() after each
/// vfu_attach_ctx, run() after each vfu_run_ctx and when fd() is readable. The device is released when the connection
/// is lost.
///
/// vfu_get_private() of the context is the adapter, or what a class of the owner's that derives from it converts to.
/// Both outlive the context. All calls are of the thread that calls the library.
template <servable Device>
class adapter {
    static_assert(!detail::mediates_irqs<Device>,
                  "mediant: libvfio-user cannot carry a policy that mediates set_irqs: the library answers SET_IRQS "
                  "itself and keeps the client's eventfds");
    static_assert(!detail::mediates_dma_log<Device>,
                  "mediant: libvfio-user cannot carry a policy that mediates the DMA log: the library keeps its own");

public:
    explicit adapter(Device& device) : device_{device} {}
    adapter(const adapter&) = delete;
    adapter& operator=(const adapter&) = delete;
    ~adapter() { end(); }

    /// Sets up everything in a context that vfu_create_ctx has just made for VFU_DEV_TYPE_PCI, and realises it. The
    /// device is opened for a moment, to look at it. Throws refusal: something that the API cannot carry, or what the
    /// device says where it cannot be opened; std::system_error: what the library says.
    void attach(vfu_ctx_t* context) {
        if (::vfu_get_private(context) != this)
            throw std::system_error{EINVAL, std::generic_category(),
                                    "the context's private pointer is not the adapter"};
        context_ = context;
        memory_.open(context);
        if (const auto opened = device_.open(); !opened)
            throw refusal{std::string{"it cannot be opened: "} + std::strerror(to_errno(opened.error()))};
        const released at_end{device_};
        shape_ = measure(device_);
        config_.find(device_);
        set_up();
    }

    /// vfu_attach_ctx returned 0: opens the device for the client. Where it cannot be opened, or has become another,
    /// all that the client does fails. Without this call the client's first access, map, reset or mask opens it; and that
    /// fails where clients map files that are new at each open.
    void connected() noexcept {
        own();
        if (!open_) refused_ = begin(true);
        settle();
    }

    /// Readable when run() has something to do: interrupts of the device's own threads, and its deadlines.
    [[nodiscard]] int fd() const noexcept { return both_.fd(); }

    /// What the device has to do by itself; and what it raised goes to the client.
    void run() noexcept {
        own();
        const bool between = calls_ == seen_; // the client said what the device is not told: eventfds, perhaps
        seen_ = calls_;
        if (open_) {
            advance();
            if (between) interrupts_.retry(context_);
            if constexpr (migrates)
                if (migration_.ahead(device_) && written_.due()) hand_on();
        }
        settle();
    }

    /// Whether a client has opened the device.
    [[nodiscard]] bool open() const noexcept { return open_; }
    /// How many connections were lost. vfu_run_ctx does not tell of one that was while the device asked its client for
    /// memory, in a call of the library's or in run(): look at this after both.
    [[nodiscard]] std::uint64_t ended() const noexcept { return ended_; }
    /// What clients are told otherwise than the device says, a line each (told_otherwise()); after attach().
    [[nodiscard]] std::vector<std::string> remarks() const { return told_otherwise(shape_, library_migrates); }

private:
    /// As far as its type and the library's tell; the device has shape_.migration then.
    static constexpr bool migrates = library_migrates && vfio_user::migratable<Device>;

    struct released {
        Device& device;
        explicit released(Device& which) noexcept : device{which} {}
        released(const released&) = delete;
        released& operator=(const released&) = delete;
        ~released() { device.release(); }
    };

    [[nodiscard]] static adapter& of(vfu_ctx_t* context) noexcept {
        return *static_cast<adapter*>(::vfu_get_private(context));
    }

    // Setting up.

    template <std::uint32_t... Index>
    static constexpr auto region_callbacks(std::integer_sequence<std::uint32_t, Index...>) noexcept {
        return std::array<vfu_region_access_cb_t*, sizeof...(Index)>{access<region_index{Index}>...};
    }

    void set_up() {
        const auto config_size = shape_[region_index::config].size;
        const auto type = config_size == PCI_CFG_SPACE_SIZE ? VFU_PCI_TYPE_CONVENTIONAL : VFU_PCI_TYPE_EXPRESS;
        detail::check(::vfu_pci_init(context_, type, PCI_HEADER_TYPE_NORMAL, 0), "vfu_pci_init");
        constexpr auto callbacks = region_callbacks(std::make_integer_sequence<std::uint32_t, fixed_regions>{});
        for (std::uint32_t i = 0; i < fixed_regions; ++i) set_up(i, callbacks[i]);
        // Of ERR and REQ the library would put the client's eventfds in the place of vector 0's, and has no way to send
        // them (told_otherwise).
        for (const auto& [kind, index] :
             {std::pair{VFU_DEV_INTX_IRQ, irq_index::intx},
              {VFU_DEV_MSI_IRQ, irq_index::msi},
              {VFU_DEV_MSIX_IRQ, irq_index::msix},
              {VFU_DEV_ERR_IRQ, irq_index::err},
              {VFU_DEV_REQ_IRQ, irq_index::req}})
            detail::check(::vfu_setup_device_nr_irqs(context_, kind, index >= irq_index::err ? 0 : shape_[index].count),
                          "vfu_setup_device_nr_irqs");
        for (const auto& [kind, masks] : {std::pair{VFU_DEV_INTX_IRQ, &mask<irq_index::intx>},
                                          {VFU_DEV_MSI_IRQ, &mask<irq_index::msi>},
                                          {VFU_DEV_MSIX_IRQ, &mask<irq_index::msix>}})
            detail::check(::vfu_setup_irq_state_callback(context_, kind, masks), "vfu_setup_irq_state");
        detail::check(::vfu_setup_device_reset_cb(context_, reset), "vfu_setup_device_reset_cb");
        detail::check(::vfu_setup_device_dma(context_, map, unmap), "vfu_setup_device_dma");
        // Between two calls a device does nothing to memory but what unmap waits for: it is quiet at once.
        ::vfu_setup_device_quiesce_cb(context_, [](vfu_ctx_t* context) {
            of(context).hand_on(); // an unmap may be answered with what was written
            return 0;
        });
        if constexpr (migrates)
            if (shape_.migration != 0)
                detail::check(set_up_migration<Device>(context_, transition, read_data, write_data),
                              "vfu_setup_device_migration_callbacks");
        detail::check(::vfu_realize_ctx(context_), "vfu_realize_ctx");
        // What vfu_pci_get_config_space() and vfu_pci_find_capability() show; accesses never come to it.
        config_.copy(device_, ::vfu_pci_get_config_space(context_), config_size);
    }

    void set_up(std::uint32_t index, vfu_region_access_cb_t* callback) {
        auto& region = shape_.regions[index];
        if (region.size == 0) return;
        int flags = has(region.flags, region_flags::read) ? VFU_REGION_FLAG_READ : 0;
        if (has(region.flags, region_flags::write)) flags |= VFU_REGION_FLAG_WRITE;
        const bool config = region_index{index} == region_index::config;
        if (config) flags = VFU_REGION_FLAG_RW | VFU_REGION_FLAG_ALWAYS_CB;
        if (flags == 0) throw refusal{"region " + std::to_string(index) + " can be neither read nor written"};
        if (!config && config_.is_memory(device_, index)) flags |= VFU_REGION_FLAG_MEM;
        std::vector<iovec> areas;
        // Offsets are pointers in this API.
        for (const range& each : region.areas) areas.push_back({reinterpret_cast<void*>(each.offset), each.size});
        if (region.file >= 0) {
            files_[index] = unique_fd::duplicate(region.file);
            if (!files_[index]) throw std::system_error{errno, std::generic_category(), "the file of a region"};
        }
        detail::check(::vfu_setup_region(context_, static_cast<int>(index), static_cast<std::size_t>(region.size),
                                         callback, flags, areas.empty() ? nullptr : areas.data(),
                                         static_cast<std::uint32_t>(areas.size()), files_[index].get(),
                                         region.file_offset),
                      "vfu_setup_region");
    }

    // The client that is served.

    void own() noexcept { memory_.own(); }

    /// error::none: the device is open for this client, and what it does is seen by it.
    [[nodiscard]] error ready() noexcept {
        ++calls_;
        own();
        if (!open_ && refused_ == error::none) refused_ = begin(false);
        if (refused_ != error::none) return refused_;
        return memory_.refused() || memory_.lost() ? error::io : error::none;
    }

    /// `unseen`: the client has been told nothing yet.
    [[nodiscard]] error begin(bool unseen) noexcept {
        error why = error::none;
        const error thrown = detail::guarded([&] { why = try_to_begin(unseen); });
        if (thrown == error::none) return why;
        ::vfu_log(context_, LOG_ERR, "the device cannot be opened: %s", std::strerror(to_errno(thrown)));
        end();
        return thrown;
    }
    [[nodiscard]] error try_to_begin(bool unseen) {
        if (const auto opened = device_.open(); !opened) return opened.error();
        open_ = true;
        bool same = false;
        try {
            const shape now = measure(device_);
            same = now == shape_ && take_files(now, unseen);
        } catch (const refusal&) {
        }
        if (!same) {
            ::vfu_log(context_, LOG_ERR, "the device has another shape than when it was set up");
            end();
            return error::no_device;
        }
        config_.restart(device_);
        if constexpr (migrates) {
            migration_.restart();
            if (shape_.migration != 0) written_.start(device_);
        }
        use_line();
        // A device that takes messages beside the line sends them also to a client that never enables them in config
        // space; others are given them when it does.
        (void)interrupts_.bind(device_, irq_index::msix, shape_[irq_index::msix].count);
        return error::none;
    }

    /// The library keeps the number of a region's descriptor: another file takes its place.
    [[nodiscard]] bool take_files(const shape& now, bool unseen) noexcept {
        for (std::uint32_t i = 0; i < fixed_regions; ++i) {
            auto& known = shape_.regions[i];
            const auto& found = now.regions[i];
            if (found.file < 0 || (found.same_file(known) && !unseen)) continue;
            if (!unseen || ::dup3(found.file, files_[i].get(), O_CLOEXEC) < 0) return false;
            known.file_system = found.file_system;
            known.inode = found.inode;
        }
        return true;
    }

    void use_line() { (void)interrupts_.bind(device_, irq_index::intx, shape_[irq_index::intx].count); }

    void end() noexcept {
        const client_memory::silence none{memory_}; // its client is gone
        if (open_) {
            open_ = false;
            for (const irq_index each : {irq_index::intx, irq_index::msi, irq_index::msix})
                (void)detail::guarded([&] { (void)interrupts_.bind(device_, each, 0); }); // release() counts
            device_.release();
        }
        interrupts_.clear();
        memory_.clear();
        refused_ = error::none;
        gone_ = false;
    }

    /// This client can be served no more.
    void lose(error why, const char* what) noexcept {
        ::vfu_log(context_, LOG_ERR, "%s: %s; all accesses fail from now on", what, std::strerror(to_errno(why)));
        refused_ = why;
    }
    /// What it did to memory nobody knows: it is released, and that ends it.
    void give_up() noexcept {
        end();
        lose(error::io, "the device threw when memory was taken from it");
    }

    /// After each call that the device was given.
    void settle() noexcept {
        if (open_) {
            interrupts_.deliver(context_);
            if (!memory_.settle(device_) && !gone_) give_up();
        }
        if (gone_) end();
        if constexpr (vfio_user::has_deadline<Device>) {
            std::optional<std::uint64_t> due;
            (void)detail::guarded([&] { // it comes again with the next call
                if (open_ && refused_ == error::none) due = device_.deadline();
            });
            both_.arm(due);
        }
    }

    void advance() noexcept {
        if constexpr (vfio_user::has_deadline<Device>) {
            if (refused_ != error::none) return;
            const error thrown = detail::guarded([&] {
                if (const auto due = device_.deadline()) {
                    if (const auto now = timer::now(); *due <= now) device_.advance(now);
                }
            });
            // What it wanted to do is not done, and nobody could be told.
            if (thrown != error::none) lose(error::io, "the device threw");
        }
    }

    /// Messages that the client enables or disables take the line's place, and give it back. What it set by SET_IRQS
    /// the library does not tell.
    void follow(const interrupt_mode& mode) {
        const bool msix = mode.msix && shape_[irq_index::msix].count != 0;
        const std::uint32_t msi = msix ? 0 : std::min(mode.msi_vectors, shape_[irq_index::msi].count);
        const bool line = msi == 0 && !msix && !interrupts_.bound(irq_index::intx);
        if (msi != 0 || msix) (void)interrupts_.bind(device_, irq_index::intx, 0);
        // A real device takes no line beside messages: they are given back after it, where they may be beside it.
        if (msi != 0 || line) (void)interrupts_.bind(device_, irq_index::msix, 0);
        (void)interrupts_.bind(device_, irq_index::msi, 0);
        if (msi != 0) (void)interrupts_.bind(device_, irq_index::msi, msi);
        if (line) use_line();
        if (msi == 0 && !interrupts_.bound(irq_index::msix))
            (void)interrupts_.bind(device_, irq_index::msix, shape_[irq_index::msix].count);
    }

    /// Its config space may be another than the client wrote: it was reset, or is what was restored.
    void look_again() noexcept {
        interrupts_.deliver(context_); // by what it was
        const error lost = detail::guarded([&] {
            const interrupt_mode before = config_.mode();
            config_.restart(device_);
            if (config_.mode() != before) follow(config_.mode());
        });
        if (lost != error::none) lose(lost, "interrupts that the device has enabled or disabled");
    }

    /// What the device has written to the client's memory, to the library's log.
    void hand_on() noexcept {
        if constexpr (migrates) {
            if (!open_ || memory_.asking()) return;
            const auto state = device_.migration();
            const bool stopped = state == migration_state::stop || state == migration_state::stop_copy;
            const error lost = detail::guarded([&] { written_.hand_on(device_, memory_, stopped); });
            if (lost != error::none) lose(lost, "the log of what the device has written");
        }
    }

    // The library's callbacks.

    template <region_index Region>
    static ssize_t access(vfu_ctx_t* context, char* bytes, std::size_t count, loff_t offset, bool is_write) noexcept {
        return of(context).access_of(Region, reinterpret_cast<std::byte*>(bytes), count,
                                     static_cast<std::uint64_t>(offset), is_write);
    }

    /// The library takes a short count for EINVAL: what stopped it is told instead.
    ssize_t access_of(region_index region, std::byte* bytes, std::size_t count, std::uint64_t offset,
                      bool writes) noexcept {
        if (const error why = ready(); why != error::none) return detail::failed(why);
        if (!has(shape_[region].flags, writes ? region_flags::write : region_flags::read))
            return detail::failed(error::invalid);
        advance();
        if (refused_ != error::none) return detail::failed(refused_);
        answer came{0, error::io};
        const error thrown = detail::guarded([&] {
            came = writes ? device_.write(write_access{region, offset, {bytes, count}})
                          : device_.read(read_access{region, offset, {bytes, count}});
        });
        if (thrown != error::none) came = {0, thrown};
        if (writes && region == region_index::config && open_ && !gone_ &&
            config_.written(offset, {bytes, static_cast<std::size_t>(came.count)})) {
            const error lost = detail::guarded([&] { follow(config_.mode()); });
            if (lost != error::none) lose(lost, "interrupts that the client enabled or disabled");
        }
        settle();
        return came.count == count ? static_cast<ssize_t>(count) : detail::failed(shortfall(came));
    }

    template <irq_index Index>
    static void mask(vfu_ctx_t* context, std::uint32_t start, std::uint32_t count, bool masks) noexcept {
        adapter& self = of(context);
        if (self.ready() != error::none) return;
        if (!detail::able(self.shape_[Index].flags, irq_flags::maskable)) {
            ::vfu_log(context, LOG_WARNING, "MASK or UNMASK of interrupts that cannot be masked: kind %u",
                      static_cast<unsigned>(Index));
            return;
        }
        const auto action = masks ? set_irqs::action::mask : set_irqs::action::unmask;
        const error why = self.asked(set_irqs{Index, action, set_irqs::data::none, start, count, {}, {}});
        if (why != error::none) ::vfu_log(context, LOG_ERR, "MASK or UNMASK: %s", std::strerror(to_errno(why)));
        self.settle();
    }

    static int reset(vfu_ctx_t* context, vfu_reset_type_t how) noexcept {
        adapter& self = of(context);
        if (how == VFU_RESET_LOST_CONN) {
            ++self.ended_;
            if (self.memory_.asking())
                self.gone_ = true; // the device is in a call
            else
                self.end();
            return 0;
        }
        if (const error unready = self.ready(); unready != error::none) return detail::failed(unready);
        const error why = self.asked(reset_device{});
        if (why == error::none) {
            self.migration_.reset();
            self.look_again();
        }
        self.settle();
        return why == error::none ? 0 : detail::failed(why);
    }

    // Of migration; only where the library has them (migration.hpp).

    template <class F>
    ssize_t migrated(F f) noexcept {
        if (const error unready = ready(); unready != error::none) return detail::failed(unready);
        result<std::size_t> came{error::io};
        const error thrown = detail::guarded([&] { came = f(); });
        if (thrown != error::none) came = thrown;
        settle();
        return came ? static_cast<ssize_t>(*came) : detail::failed(came.error());
    }

    static int transition(vfu_ctx_t* context, vfu_migr_state_t to) noexcept {
        adapter& self = of(context);
        return static_cast<int>(self.migrated([&] {
            const bool restores = self.device_.migration() == migration_state::resuming;
            const auto done = self.migration_.go(self.device_, to);
            self.hand_on();
            if (restores && done) self.look_again();
            return done;
        }));
    }
    static ssize_t read_data(vfu_ctx_t* context, void* bytes, std::uint64_t count) noexcept {
        adapter& self = of(context);
        return self.migrated([&] {
            return self.migration_.read(self.device_,
                                        {static_cast<std::byte*>(bytes), static_cast<std::size_t>(count)});
        });
    }
    static ssize_t write_data(vfu_ctx_t* context, void* bytes, std::uint64_t count) noexcept {
        adapter& self = of(context);
        return self.migrated([&] {
            return self.migration_.write(self.device_,
                                         {static_cast<const std::byte*>(bytes), static_cast<std::size_t>(count)});
        });
    }

    static void map(vfu_ctx_t* context, vfu_dma_info_t* what) noexcept {
        adapter& self = of(context);
        if (const error why = self.ready(); !self.open_) {
            ::vfu_log(context, LOG_ERR, "the device cannot be opened: %s", std::strerror(to_errno(why)));
            return;
        }
        const error thrown = detail::guarded([&] { self.memory_.add(self.device_, *what); });
        if (thrown != error::none) self.lose(thrown, "a client's memory");
        if (self.memory_.refused())
            ::vfu_log(context, LOG_ERR, "the device refuses memory, and all accesses from now on");
        self.settle();
    }

    static void unmap(vfu_ctx_t* context, vfu_dma_info_t* what) noexcept {
        adapter& self = of(context);
        if (!self.open_) return;
        ++self.calls_;
        const client_memory::silence in_its_midst{self.memory_};
        if (!self.memory_.remove(self.device_, *what)) self.give_up();
        if (!self.memory_.asking()) self.settle();
    }

    /// A request without an answer.
    template <class Request>
    [[nodiscard]] error asked(const Request& what) noexcept {
        error why = error::none;
        const error thrown = detail::guarded([&] { why = device_.ioctl(what).error(); });
        return thrown != error::none ? thrown : why;
    }

    Device& device_;
    vfu_ctx_t* context_ = nullptr;
    shape shape_{};
    config_watch config_;
    interrupts interrupts_;
    timer both_{interrupts_.fd()};
    client_memory memory_;
    migration_side migration_;
    write_log written_;
    std::array<unique_fd, fixed_regions> files_{}; // the library keeps their numbers
    std::uint64_t calls_ = 0;             // of the library's callbacks
    std::uint64_t ended_ = 0;             // connections
    std::uint64_t seen_ = 0;              // at the last run()
    error refused_ = error::none;         // why the device is not there for this client
    bool open_ = false;
    bool gone_ = false;                   // the client, while the device was in a call
};

} // namespace mediant::libvfio_user
