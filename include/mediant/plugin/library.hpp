// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/kernel/abi.h>

#include <dlfcn.h>

#include <cstddef>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

/// Providers as shared objects, loaded when a device of theirs is opened: in user space what provider modules are in the
/// kernel, and joined by the same header, mediant/kernel/abi.h.
namespace mediant::plugin {

/// Why a shared object is not used; what() names it.
class plugin_error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// A shared object with providers, in use. It defines what a kernel module's policy object does:
///
///     extern "C" {
///     constinit const mediant_provider* const mediant_providers[] = {&mediant::kernel::provider_table<acme::edu>};
///     constinit const unsigned int mediant_provider_count = 1;
///     }
class library {
public:
    /// Loads it, or joins who has loaded it. Throws plugin_error: it cannot be loaded, defines no providers, or one for
    /// another version or size of the ABI, both of which are named.
    explicit library(const std::string& path) : handle_{::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)} {
        if (handle_ == nullptr) throw plugin_error{::dlerror()};
        try {
            check(path);
        } catch (...) {
            ::dlclose(handle_);
            throw;
        }
    }
    library(library&& other) noexcept
        : handle_{std::exchange(other.handle_, nullptr)}, providers_{std::exchange(other.providers_, {})} {}
    library& operator=(library&& other) noexcept {
        std::swap(handle_, other.handle_);
        std::swap(providers_, other.providers_);
        return *this;
    }
    /// Unloads it, if nobody else uses it.
    ~library() {
        if (handle_ != nullptr) ::dlclose(handle_);
    }

    /// In the order in which they are to be asked where they rank alike.
    [[nodiscard]] std::span<const mediant_provider* const> providers() const noexcept { return providers_; }

private:
    void check(const std::string& path) {
        const auto* const first = static_cast<const mediant_provider* const*>(::dlsym(handle_, "mediant_providers"));
        const auto* const count = static_cast<const unsigned*>(::dlsym(handle_, "mediant_provider_count"));
        if (first == nullptr || count == nullptr) throw plugin_error{path + ": defines no mediant_providers"};
        for (const mediant_provider* const each : std::span{first, *count}) {
            if (each->version == MEDIANT_ABI_VERSION && each->size == sizeof(mediant_provider)) continue;
            throw plugin_error{path + ": made for version " + std::to_string(each->version) + " of mediant's ABI, " +
                               std::to_string(each->size) + " bytes; this program has version " +
                               std::to_string(MEDIANT_ABI_VERSION) + ", " + std::to_string(sizeof(mediant_provider)) +
                               " bytes"};
        }
        providers_ = {first, *count};
    }

    void* handle_;
    std::span<const mediant_provider* const> providers_;
};

} // namespace mediant::plugin
