// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/kernel/provider_facts.hpp>
#include <mediant/pci/id.hpp>
#include <mediant/vfio_user/any_device.hpp>

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

/// What the commands of a vendor's program know of its registry, without the registry's type: so that they are
/// compiled once.
namespace mediant::command_line {

/// What a program's commands end with.
enum exit_code : int {
    success = 0,
    failure = 1, ///< what was asked for cannot be done, or the answer is no
    usage = 2,   ///< the command line cannot be understood
};

/// Ends a command with exit_code::failure; what() says what is wrong and where.
class command_error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Ends a command with exit_code::usage.
class usage_error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Something else to do with a device and its policies than to serve it.
class device_user {
public:
    virtual ~device_user() = default;
    virtual void use(vfio_user::any_device& device, std::string_view provider) = 0;
};

struct serve_options {
    std::string device;    ///< the address of the one that is mediated, where it is this machine's
    std::string behind;    ///< the socket of the server whose device is mediated
    bool shares = false;   ///< clients map what passes in the device's or that server's own files
    std::string providers; ///< folders, between colons, from which providers are loaded instead of the program's own
    bool unmediated = false; ///< a device without a provider passes whole
    std::string socket;
    int fd = -1;       ///< of a socket that listens already, instead
    std::string mode;  ///< octal
    std::string owner; ///< USER:GROUP
    bool once = false; ///< ends after one client
    std::string user;    ///< USER or USER:GROUP, that it becomes
    std::string sandbox; ///< on, off, or where it can be: auto
    bool any_file = false; ///< clients may share memory by files of any kind
    std::string backend; ///< what serves: native (or empty), or libvfio-user
    std::string record;  ///< the file that is to have all that is done to the device; none where it is empty
    std::uint64_t record_limit = std::uint64_t{256} << 20; ///< its bytes, at most
    device_user* instead = nullptr; ///< of serving

    /// Whether it is a device that is there, no model.
    [[nodiscard]] bool names_device() const noexcept { return !device.empty() || !behind.empty(); }
};

inline constexpr std::size_t no_model = ~std::size_t{0};

struct map_facts; // map_facts.hpp

struct program_provider {
    kernel::provider_facts facts;
    /// Serves the provider on the device that the options name, or on the model with this index, or on plain memory
    /// (no_model) for a device of this identity, until it is stopped; false where the provider declines the device.
    bool (*serve)(std::size_t model, const device_id& id, const serve_options& options, std::ostream& out);
    map_facts (*map)(); ///< its region maps
};

struct program {
    std::vector<program_provider> providers; ///< in the registry's order
    std::vector<device_id> models;
    /// Serves the device that the options name, or the model with this index, with a provider that is loaded when it is
    /// opened; false where none takes it.
    bool (*serve_loaded)(std::size_t model, const serve_options& options, std::ostream& out) = nullptr;
};

} // namespace mediant::command_line
