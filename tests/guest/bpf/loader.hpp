// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// BPF objects of providers, loaded and attached by libbpf: as little as the tests of the host need.

#ifndef MEDIANT_TESTS_GUEST_BPF_LOADER_HPP
#define MEDIANT_TESTS_GUEST_BPF_LOADER_HPP

#include <mediant/kernel/bpf.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

namespace mediant::guest {

/// What libbpf said of late, the verifier's log included.
inline std::string bpf_log;

inline int keep_log(libbpf_print_level level, const char* format, va_list arguments) {
    static char line[1 << 20];
    if (level != LIBBPF_WARN) return 0;
    std::vsnprintf(line, sizeof line, format, arguments);
    bpf_log += line;
    return 0;
}

/// One ops object of a file, loaded; where it is refused, `error` says so.
class bpf_provider {
public:
    /// `change` may write to the ops before they are loaded; `generation` is what such objects as edu.bpf.c get, 0 for
    /// others.
    explicit bpf_provider(const std::string& file, const char* ops = "edu", unsigned generation = 1,
                          const std::function<void(mediant_bpf_ops&)>& change = {}) {
        bpf_log.clear();
        object_.reset(bpf_object__open(file.c_str()));
        if (!object_) {
            error_ = errno;
            return;
        }
        bpf_map* map = nullptr;
        bpf_object__for_each_map(map, object_.get()) {
            const std::string name = bpf_map__name(map);
            std::size_t size = 0;
            if (bpf_map__type(map) == BPF_MAP_TYPE_STRUCT_OPS) {
                bpf_map__set_autocreate(map, name == ops);
                if (name != ops) continue;
                map_ = map;
                if (change) change(*static_cast<mediant_bpf_ops*>(bpf_map__initial_value(map, &size)));
            } else if (generation != 0 && name.ends_with(".rodata")) {
                if (void* const value = bpf_map__initial_value(map, &size); size >= sizeof generation)
                    std::memcpy(value, &generation, sizeof generation);
            }
        }
        if (map_ == nullptr) error_ = ENOENT;
        else if (const int failed = bpf_object__load(object_.get()); failed != 0) error_ = -failed;
    }

    [[nodiscard]] int error() const { return error_; }
    [[nodiscard]] const bpf_map* map() const { return map_; }
    [[nodiscard]] bpf_map* map() { return map_; }

private:
    struct closes {
        void operator()(bpf_object* object) const { bpf_object__close(object); }
    };
    std::unique_ptr<bpf_object, closes> object_;
    bpf_map* map_ = nullptr;
    int error_ = 0;
};

/// A provider that is attached as long as this lives, unless it is pinned.
class bpf_attachment {
public:
    explicit bpf_attachment(bpf_provider& provider)
        : link_{provider.error() != 0 ? nullptr : bpf_map__attach_struct_ops(provider.map())},
          error_{provider.error() != 0 ? provider.error() : link_ ? 0 : errno} {}
    /// One that is pinned.
    explicit bpf_attachment(const char* path) : link_{bpf_link__open(path)}, error_{link_ ? 0 : errno} {}

    [[nodiscard]] int error() const { return error_; }

    /// Puts another in its place: 0 or errno.
    int replace(const bpf_provider& by) { return -bpf_link__update_map(link_.get(), by.map()); }
    int pin(const char* path) { return -bpf_link__pin(link_.get(), path); }
    int unpin() { return -bpf_link__unpin(link_.get()); }
    /// Takes it back at once, whoever holds it: 0 or errno.
    int withdraw() { return -bpf_link__detach(link_.get()); }

private:
    struct destroys {
        void operator()(bpf_link* link) const { bpf_link__destroy(link); }
    };
    std::unique_ptr<bpf_link, destroys> link_;
    int error_;
};

} // namespace mediant::guest

#endif
