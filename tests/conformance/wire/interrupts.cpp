// SPDX-License-Identifier: BSD-3-Clause
// Cases of SET_IRQS.
#include "suite.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <string>
#include <utility>

namespace wire_conformance {

namespace {

constexpr const char* section = "VFIO_USER_DEVICE_SET_IRQS";

void assign(conversation& with, std::uint32_t kind, int fd, std::uint32_t vector = 0) {
    (void)with.expect(irqs_of(eventfds | trigger, kind, vector, 1), 0, std::array{fd});
}
void fire(conversation& with, std::uint32_t kind, std::uint32_t vector = 0) {
    (void)with.expect(irqs_of(none | trigger, kind, vector, 1), 0);
}

/// A kind that has eventfds, and can be masked.
std::uint32_t maskable_irq(const device_facts& device) {
    for (std::uint32_t kind = 0; kind < device.irqs.size(); ++kind)
        if ((device.irqs[kind].flags & 3) == 3 && device.irqs[kind].count != 0) return kind;
    throw not_offered{"no kind that can be masked"};
}
void ring(int fd) {
    const std::uint64_t one = 1;
    require(::write(fd, &one, sizeof one) == sizeof one, "cannot be signalled here");
}
bool waits_for(int fd) {
    pollfd what{fd, POLLIN, 0};
    return ::poll(&what, 1, 3000) == 1;
}
template <class F>
bool eventually(F what) {
    for (int i = 0; i < 1000; ++i) {
        if (what()) return true;
        ::poll(nullptr, 0, 1);
    }
    return false;
}

} // namespace

void add_interrupt_cases(test_cases& to) {
    const auto add = [&](const std::string& name, const std::string& expects, auto run, const char* where = section) {
        to.push_back({"irqs/" + name, where, expects, run});
    };
    add("trigger", "the eventfd is signalled once", [](conversation& with) {
        const auto kind = signalling_irq(with.device());
        const auto event = event_file();
        assign(with, kind, event.get());
        require(drain(event.get()) == 0, "signals what was not triggered");
        fire(with, kind);
        require(drain(event.get()) == 1, "does not signal");
    });
    add("trigger-by-booleans", "signalled where the boolean is true", [](conversation& with) {
        const auto kind = signalling_irq(with.device());
        const auto event = event_file();
        assign(with, kind, event.get());
        (void)with.expect(irqs_of(bools | trigger, kind, 0, 1, {0}), 0);
        require(drain(event.get()) == 0, "signals where the boolean is false");
        (void)with.expect(irqs_of(bools | trigger, kind, 0, 1, {1}), 0);
        require(drain(event.get()) == 1, "does not signal");
    });
    add("every-vector", "each signals its own eventfd", [](conversation& with) {
        for (std::uint32_t kind = 0; kind < with.device().irqs.size(); ++kind) {
            const auto& irq = with.device().irqs[kind];
            if ((irq.flags & 1) == 0 || irq.count == 0) continue;
            for (std::uint32_t vector = 0; vector < std::min(irq.count, 8u); ++vector) {
                const auto event = event_file();
                within("kind " + std::to_string(kind) + ", vector " + std::to_string(vector), [&] {
                    assign(with, kind, event.get(), vector);
                    fire(with, kind, vector);
                    require(drain(event.get()) == 1, "does not signal");
                });
            }
            within("disabling kind " + std::to_string(kind),
                   [&] { (void)with.expect(irqs_of(none | trigger, kind, 0, 0), 0); });
        }
    });
    add("replaced", "the new eventfd alone is signalled", [](conversation& with) {
        const auto kind = signalling_irq(with.device());
        const auto one = event_file();
        const auto two = event_file();
        assign(with, kind, one.get());
        assign(with, kind, two.get());
        fire(with, kind);
        require(drain(one.get()) == 0 && drain(two.get()) == 1, "signals another eventfd");
    });
    add("de-assigned", "without descriptors nothing is signalled any more", [](conversation& with) {
        const auto kind = signalling_irq(with.device());
        const auto event = event_file();
        assign(with, kind, event.get());
        (void)with.expect(irqs_of(eventfds | trigger, kind, 0, 1), 0);
        (void)with.ask(irqs_of(none | trigger, kind, 0, 1));
        require(drain(event.get()) == 0, "signals an eventfd that was taken away");
        with.works();
    });
    add("disabled", "count 0 without data disables all of the kind", [](conversation& with) {
        const auto kind = signalling_irq(with.device());
        const auto event = event_file();
        assign(with, kind, event.get());
        (void)with.expect(irqs_of(none | trigger, kind, 0, 0), 0);
        (void)with.ask(irqs_of(none | trigger, kind, 0, 1));
        require(drain(event.get()) == 0, "signals an eventfd that was taken away");
        with.works();
    });
    add(
        "not-at-the-next-client", "its eventfds are gone with it",
        [](conversation& with) {
            const auto kind = signalling_irq(with.device());
            const auto event = event_file();
            assign(with, kind, event.get());
            with.hang_up();
            with.connect();
            (void)with.ask(irqs_of(none | trigger, kind, 0, 1));
            require(drain(event.get()) == 0, "signals another client's eventfd");
            with.works();
        },
        "Client Disconnection");
    add("descriptor-of-the-right-message", "of five messages sent at once", [](conversation& with) {
        const auto kind = signalling_irq(with.device());
        const auto one = event_file();
        const auto two = event_file();
        std::array<std::uint16_t, 5> ids{};
        ids[0] = with.send(info_of());
        ids[1] = with.send(irqs_of(eventfds | trigger, kind, 0, 1), std::array{one.get()});
        ids[2] = with.send(read_of(0, 4));
        ids[3] = with.send(irqs_of(eventfds | trigger, kind, 0, 1), std::array{two.get()});
        ids[4] = with.send(irqs_of(none | trigger, kind, 0, 1));
        constexpr std::array<std::uint16_t, 5> commands{get_info, set_irqs, region_read, set_irqs, set_irqs};
        for (std::size_t i = 0; i < ids.size(); ++i) require(!with.answer_to(ids[i], commands[i]).failed, "fails");
        require(drain(one.get()) == 0 && drain(two.get()) == 1, "signals another eventfd");
    });
    for (const auto& [name, flags] : {std::pair{"no-action", none},
                                      {"no-data", trigger},
                                      {"two-actions", none | mask | trigger},
                                      {"three-actions", none | mask | unmask | trigger},
                                      {"two-kinds-of-data", none | bools | trigger},
                                      {"nothing", 0u},
                                      {"unknown-flags", none | trigger | 0x40u}})
        add(std::string{"flags/"} + name, "an error: exactly one action and one kind of data",
            [flags](conversation& with) { with.refused(irqs_of(flags, signalling_irq(with.device()), 0, 1, {1})); });
    add("index-past-the-last", "an error",
        [](conversation& with) { with.refused(irqs_of(none | trigger, u32(with.device().irqs.size()), 0, 0)); });
    add("wild-index", "an error", [](conversation& with) { with.refused(irqs_of(none | trigger, ~0u, 0, 0)); });
    for (const auto& [name, start, count] : {std::tuple{"start-past-the-last", 1u, 1u},
                                             {"count-past-the-last", 0u, 2u},
                                             {"wild-start", ~0u, 1u},
                                             {"wild-count", 0u, ~0u},
                                             {"wraps", ~0u, 2u},
                                             {"nothing-but-a-start", 1u, 0u}})
        add(std::string{"range/"} + name, "an error", [start, count](conversation& with) {
            const auto kind = signalling_irq(with.device());
            const auto there = with.device().irqs[kind].count;
            const auto from = start == 1 ? there : start;
            with.refused(irqs_of(none | trigger, kind, from, count == 2 && start == 0 ? there + 1 : count));
        });
    add("range/wild-count-of-booleans", "an error", [](conversation& with) {
        with.refused(irqs_of(bools | trigger, signalling_irq(with.device()), 0, ~0u, bytes(16)));
    });
    add("range/wild-count-of-eventfds", "an error", [](conversation& with) {
        const auto event = event_file();
        with.refused(irqs_of(eventfds | trigger, signalling_irq(with.device()), 0, ~0u), 0, std::array{event.get()});
    });
    add("booleans-missing", "an error: fewer than the count says",
        [](conversation& with) { with.refused(irqs_of(bools | trigger, signalling_irq(with.device()), 0, 1)); });
    add("argsz-too-small", "an error: it is the size of the request", [](conversation& with) {
        auto whole = irqs_of(none | trigger, signalling_irq(with.device()), 0, 1);
        whole[header_size] = 19;
        with.refused(whole);
    });
    add("too-many-eventfds", "an error: more than the count says", [](conversation& with) {
        const auto one = event_file();
        const auto two = event_file();
        with.refused(irqs_of(eventfds | trigger, signalling_irq(with.device()), 0, 1), 0,
                     std::array{one.get(), two.get()});
    });
    add("too-few-eventfds", "an error: fewer than the count says", [](conversation& with) {
        for (std::uint32_t kind = 0; kind < with.device().irqs.size(); ++kind) {
            if (with.device().irqs[kind].count < 2 || (with.device().irqs[kind].flags & 1) == 0) continue;
            const auto event = event_file();
            return with.refused(irqs_of(eventfds | trigger, kind, 0, 2), 0, std::array{event.get()});
        }
        throw not_offered{"no kind with two interrupts"};
    });
    add("eventfds-of-another-kind-of-data", "an error or not; they are not used, and the next command works",
        [](conversation& with) {
            const auto kind = signalling_irq(with.device());
            const auto event = event_file();
            with.answered(irqs_of(none | trigger, kind, 0, 1), std::array{event.get()});
            require(drain(event.get()) == 0, "signals what was not assigned");
        });
    add("a-pipe", "an error or not; when nobody reads it any more, the server lives", [](conversation& with) {
        const auto kind = signalling_irq(with.device());
        std::array<int, 2> ends{};
        require(::pipe2(ends.data(), O_CLOEXEC) == 0, "no pipe here");
        unique_fd in{ends[0]}, out{ends[1]};
        (void)with.ask(irqs_of(eventfds | trigger, kind, 0, 1), std::array{out.get()});
        in.reset();
        with.answered(irqs_of(none | trigger, kind, 0, 1));
    });
    add("a-full-eventfd", "a trigger that cannot be counted does not stop the server", [](conversation& with) {
        const auto kind = signalling_irq(with.device());
        const unique_fd event{event_file()};
        require(::fcntl(event.get(), F_SETFL, 0) == 0, "cannot be made to block"); // it blocks who writes
        const std::uint64_t full = ~u64(1);
        require(::write(event.get(), &full, sizeof full) == sizeof full, "no full eventfd here");
        assign(with, kind, event.get());
        with.answered(irqs_of(none | trigger, kind, 0, 1));
    });
    add(
        "mask", "as MASKABLE says: success, or an error",
        [](conversation& with) {
            for (std::uint32_t kind = 0; kind < with.device().irqs.size(); ++kind) {
                const auto& irq = with.device().irqs[kind];
                if (irq.count == 0) continue;
                for (const std::uint32_t action : {mask, unmask}) {
                    const auto came = with.ask(irqs_of(none | action, kind, 0, 1));
                    require(came.failed == ((irq.flags & 2) == 0), came.failed
                                                                       ? "cannot be masked though it says so"
                                                                       : "can be masked though it does not say so");
                }
            }
        },
        "VFIO_USER_DEVICE_GET_IRQ_INFO");
    // "In typical operation" reads as if the server signalled these; KVM and linux/vfio.h have it the other way round.
    for (const auto& [name, action] : {std::pair{"mask-by-eventfd", mask}, std::pair{"unmask-by-eventfd", unmask}})
        add(name, "the client signals it, and the interrupt is masked or unmasked; none takes it away",
            [action](conversation& with) {
                const auto kind = maskable_irq(with.device());
                const auto fired = event_file();
                const auto asks = event_file();
                assign(with, kind, fired.get());
                (void)with.expect(irqs_of(eventfds | action, kind, 0, 1), 0, std::array{asks.get()});
                if (action == unmask) {
                    (void)with.expect(irqs_of(none | mask, kind, 0, 1), 0);
                    fire(with, kind);
                    require(drain(fired.get()) == 0, "signals what is masked");
                    ring(asks.get());
                    require(waits_for(fired.get()), "is not unmasked");
                } else {
                    ring(asks.get());
                    // It may be told after messages that were sent later.
                    require(eventually([&] {
                                fire(with, kind);
                                const bool masked = drain(fired.get()) == 0;
                                if (!masked) (void)with.expect(irqs_of(none | unmask, kind, 0, 1), 0);
                                if (!masked) ring(asks.get());
                                return masked;
                            }),
                            "is not masked");
                }
                (void)with.expect(irqs_of(none | trigger, kind, 0, 0), 0);
                assign(with, kind, fired.get());
                (void)drain(fired.get());
                (void)with.expect(irqs_of(none | (action == mask ? unmask : mask), kind, 0, 1), 0);
                (void)drain(fired.get());
                ring(asks.get());
                with.works();
                fire(with, kind);
                require((drain(fired.get()) == 1) == (action == mask), "is told by an eventfd that was taken away");
            });
    add("unmask-by-no-eventfd", "an error: a file is none, and a kind that is not maskable has none",
        [](conversation& with) {
            const auto file = memory_file(4096);
            with.refused(irqs_of(eventfds | unmask, maskable_irq(with.device()), 0, 1), 0, std::array{file.get()});
            const auto event = event_file();
            for (std::uint32_t kind = 0; kind < with.device().irqs.size(); ++kind) {
                const auto& irq = with.device().irqs[kind];
                if (irq.count == 0 || (irq.flags & 2) != 0) continue;
                within("kind " + std::to_string(kind), [&] {
                    with.refused(irqs_of(eventfds | unmask, kind, 0, 1), 0, std::array{event.get()});
                });
            }
        });
}

} // namespace wire_conformance
