// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Random accesses to the example provider on the simulated edu device, in process and over vfio-user, compared
/// answer by answer; then the same without a provider.
///
///   in_process_and_vfio_user [--seed N|random] [--count N]

#include "compare.hpp"

#include "../../examples/edu/edu.hpp"

#include <mediant/provider/stack.hpp>
#include <mediant/vfio_user/client.hpp>
#include <mediant/vfio_user/server.hpp>

#include <chrono>
#include <ctime>
#include <exception>
#include <filesystem>
#include <system_error>
#include <thread>

namespace {

using namespace mediant;
using namespace mediant::conformance;

/// Throws where a call fails.
template <class T>
T must(result<T> what, const char* doing) {
    if (!what) throw std::system_error{to_errno(what.error()), std::generic_category(), doing};
    if constexpr (!std::is_void_v<T>) return std::move(*what);
}

/// A folder for a socket, gone at the end.
class folder {
public:
    folder() {
        std::string name = (std::filesystem::temp_directory_path() / "mediant-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) throw std::system_error{errno, std::generic_category(), "mkdtemp"};
        path_ = name;
    }
    folder(const folder&) = delete;
    folder& operator=(const folder&) = delete;
    ~folder() {
        std::error_code none;
        std::filesystem::remove_all(path_, none);
    }
    [[nodiscard]] std::string socket() const { return (path_ / "device").string(); }

private:
    std::filesystem::path path_;
};

/// A stack behind a server on a thread of its own, seen through a client.
template <class Stack>
class over_vfio_user {
public:
    explicit over_vfio_user(Stack& device)
        : server_{device, vfio_user::server_options{.path = folder_.socket()}}, thread_{[this] { server_.run(); }} {
        try {
            client_ = must(vfio_user::client::connect(folder_.socket()), "connect");
            must(client_.set_timeout(std::chrono::seconds{10}), "set a timeout");
            static_cast<void>(must(client_.negotiate(), "negotiate"));
        } catch (...) {
            end();
            throw;
        }
    }
    over_vfio_user(const over_vfio_user&) = delete;
    over_vfio_user& operator=(const over_vfio_user&) = delete;
    ~over_vfio_user() { end(); }

    outcome perform(const operation& what) {
        if (what.what == operation::kind::reset) return {0, client_.reset().error(), {}};
        auto bytes = what.bytes;
        const auto part = std::span{bytes}.first(what.size);
        if (what.what == operation::kind::read) {
            const answer came = client_.read({what.region, what.offset, part});
            return settle(what, came, bytes);
        }
        return settle(what, client_.write({what.region, what.offset, part}), bytes);
    }

    static void pass_time() { std::this_thread::sleep_for(std::chrono::milliseconds{1}); }

private:
    void end() {
        server_.stop();
        thread_.join();
    }

    folder folder_;
    vfio_user::server<Stack> server_;
    vfio_user::client client_;
    std::thread thread_;
};

template <class... Policies>
bool compare(const std::string& title, const territory& where, const rules& front, const options& how) {
    using stack_type = stack<device::edu, Policies...>;
    device::edu here{front.max_access};
    device::edu there{front.max_access};
    stack_type local{here};
    stack_type served{there};
    must(local.open(), "open");

    in_process<stack_type> expected{local, front};
    over_vfio_user<stack_type> got{served};
    settle_edu(expected);
    settle_edu(got);
    if (!where.shaped_config.empty()) {
        settle_bars(expected);
        settle_bars(got);
    }

    const auto all = generator{where, how.seed}.make(how.count);
    describe(where, all);
    const std::string name = title + ", " + std::string{front.name};
    bool same = equal(name, how.seed, all, perform(expected, all), perform(got, all));

    std::vector<operation> steps;
    const transcript polled = polled_script(expected, steps);
    steps.clear();
    const transcript polled_there = polled_script(got, steps);
    same &= equal(name + ", script", how.seed, steps, polled, polled_there);
    local.release();
    return same;
}

} // namespace

int main(int argc, char** argv) {
    try {
        const options how = parse(argc, argv);
        territory mediated = edu_territory();
        mediated.around<acme::edu::bar0>();
        mediated.untouched = {{device::edu::factorial, 4}}; // the DMA block is virtual
        bool same = true;
        for (const rules& front : {vfio_user_4, vfio_user_8}) {
            same &= compare<acme::edu>("acme::edu", mediated, front, how);
            same &= compare<>("no provider", edu_territory(), front, how);
            same &= compare<shaped_edu>("shaped_edu", shaped_edu_territory(), front, how);
        }
        return same ? 0 : 1;
    } catch (const std::exception& e) {
        std::fprintf(stderr, "error: %s\n", e.what());
        return 2;
    }
}
