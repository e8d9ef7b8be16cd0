// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "worlds.hpp"

#include <mediant/vfio_user/client.hpp>
#include <mediant/vfio_user/server.hpp>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <span>
#include <string>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>

/// A device behind a vfio-user server, as a world of its own.
namespace mediant::conformance {

/// The value; throws where the call failed.
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

/// Where mediant's own server listens.
template <class Server>
struct listens {
    [[nodiscard]] static vfio_user::server_options at(std::string path) { return {.path = std::move(path)}; }
};

/// A device behind a server on a thread of its own.
template <class Device, template <class> class Server = vfio_user::server>
class served {
public:
    explicit served(Device& device)
        : server_{device, listens<Server<Device>>::at(folder_.socket())}, thread_{[this] { server_.run(); }} {}
    served(const served&) = delete;
    served& operator=(const served&) = delete;
    ~served() {
        server_.stop();
        thread_.join();
    }

    /// It takes one client after the other.
    [[nodiscard]] std::string socket() const { return folder_.socket(); }

private:
    folder folder_;
    Server<Device> server_;
    std::thread thread_;
};

/// A device behind a server, seen through a client.
template <class Device, template <class> class Server = vfio_user::server>
class over_vfio_user {
public:
    explicit over_vfio_user(Device& device) : served_{device} {
        client_ = must(vfio_user::client::connect(socket()), "connect");
        must(client_.set_timeout(std::chrono::seconds{10}), "set a timeout");
        static_cast<void>(must(client_.negotiate(), "negotiate"));
    }

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

    [[nodiscard]] vfio_user::client& client() noexcept { return client_; }
    [[nodiscard]] std::string socket() const { return served_.socket(); }

private:
    served<Device, Server> served_;
    vfio_user::client client_;
};

} // namespace mediant::conformance
