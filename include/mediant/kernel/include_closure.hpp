// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/kernel/freestanding_headers.hpp>
#include <mediant/kernel/include_scanner.hpp>
#include <mediant/kernel/shim_error.hpp>
#include <mediant/kernel/text_file.hpp>

#include <algorithm>
#include <cstddef>
#include <deque>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Some headers and all that they include, as one folder that can be given to a compiler by itself.
namespace mediant::kernel {

struct closure_request {
    std::vector<std::filesystem::path> headers;      ///< where to start: a vendor's own headers
    std::vector<std::filesystem::path> include_dirs; ///< -I, in order
    std::filesystem::path own_root;                  ///< where <mediant/...> is
    std::vector<std::string> own;                    ///< also to start from: names below own_root
};

struct closure {
    std::vector<std::string> headers;         ///< how each header asked for is included: `#include <…>`
    std::map<std::string, std::string> files; ///< path below the folder, and contents
};

/// Follows every #include that a freestanding compiler could reach. Quoted names are sought beside the including
/// file and then as in brackets; in brackets: standard headers, which are the compiler's, mediant's own, and -I.
/// What is found below -I or mediant's root keeps its name; what is reached from a header by quotes alone keeps
/// its place beside it. One file under two names is copied once, with a header that forwards to it. shim_error,
/// with file, line and the chain of includes: what is found nowhere, a name by macro, include_next, a way out of
/// a root, two files for one name.
class include_closure {
public:
    [[nodiscard]] static closure of(const closure_request& what) {
        include_closure work{what};
        for (const std::filesystem::path& header : what.headers) work.start(header);
        for (const std::string& name : what.own) work.start_own(name);
        work.follow();
        return work.finish();
    }

private:
    /// Where a header goes: below the folder itself, or in the vendor's own tree, which is cut at what its files
    /// have in common when all are known.
    struct place {
        bool in_vendor_tree = false;
        std::string path; ///< relative; absolute in the vendor's tree

        friend bool operator<(const place& a, const place& b) {
            return std::pair{a.in_vendor_tree, a.path} < std::pair{b.in_vendor_tree, b.path};
        }
    };
    struct node {
        place where;
        std::filesystem::path source; ///< as it was reached
        std::string identity;         ///< the same for each way to one file
        std::optional<std::size_t> includer{};
        unsigned line = 0;            ///< in the includer
        std::optional<place> forwards_to{};
        std::string text{};
    };
    struct found {
        place where;
        std::filesystem::path source;
    };

    explicit include_closure(const closure_request& what) : own_root_{what.own_root} {
        for (const std::filesystem::path& dir : what.include_dirs) {
            std::error_code failed;
            if (!std::filesystem::is_directory(dir, failed)) throw shim_error{dir.string() + ": is not a folder (-I)"};
            dirs_.push_back(std::filesystem::canonical(dir));
        }
    }

    void start(const std::filesystem::path& header) {
        if (!is_file(header)) throw shim_error{header.string() + ": no such header"};
        const std::filesystem::path source =
            std::filesystem::canonical(std::filesystem::absolute(header).parent_path()) / header.filename();
        place where{true, source.string()};
        for (const std::filesystem::path& dir : dirs_) {
            const std::filesystem::path below = source.lexically_relative(dir);
            if (below.empty() || *below.begin() == "..") continue;
            where = {false, below.generic_string()};
            break;
        }
        asked_.push_back(add({where, source}, std::nullopt, 0));
    }

    void start_own(const std::string& name) {
        add({{false, name}, own_root_ / name}, std::nullopt, 0);
    }

    void follow() {
        while (!queue_.empty()) {
            const std::size_t at = queue_.front();
            queue_.pop_front();
            for (const include_directive& directive : include_scanner::scan(nodes_[at].text)) resolve(at, directive);
        }
    }

    void resolve(std::size_t from, const include_directive& directive) {
        using form = include_directive::form;
        const std::string spelled = directive.how == form::quoted ? '"' + directive.name + '"'
                                                                  : '<' + directive.name + '>';
        if (directive.how == form::computed)
            fail(from, directive.line, "#include " + directive.name + ": a name that a macro makes cannot be followed");
        if (directive.how == form::next)
            fail(from, directive.line, "#include_next " + spelled + " cannot be followed in a tree of one folder");
        if (directive.name.empty() || directive.name.find_first_of("\\*?<>\"' \t") != std::string::npos)
            fail(from, directive.line, "#include " + spelled + ": not a name that can be copied");
        if (turns_back(directive.name))
            fail(from, directive.line, "#include " + spelled + ": \"..\" may only begin a name");
        if (std::filesystem::path{directive.name}.is_absolute())
            fail(from, directive.line, "#include " + spelled + ": an absolute path is of this machine only");

        if (directive.how == form::quoted)
            if (const std::optional<found> hit = beside(from, directive)) return add_from(from, directive, *hit);
        if (is_freestanding_header(directive.name)) return;
        if (const std::optional<found> hit = in_folders(from, directive, spelled))
            return add_from(from, directive, *hit);
        if (directive.optional && directive.how == form::quoted) return;
        fail(from, directive.line,
             "#include " + spelled +
                 " is not found, and is no standard header that a kernel object can have\n"
                 "    (-I DIR says where headers are; #if __STDC_HOSTED__ keeps one out of the kernel)");
    }

    [[nodiscard]] std::optional<found> beside(std::size_t from, const include_directive& directive) const {
        const node& includer = nodes_[from];
        const std::filesystem::path source = includer.source.parent_path() / directive.name;
        if (!is_file(source)) return std::nullopt;
        const std::string path = normal(std::filesystem::path{includer.where.path}.parent_path() / directive.name);
        if (!includer.where.in_vendor_tree && leaves(path))
            fail(from, directive.line, "#include \"" + directive.name + "\" leads out of the folder that -I names\n"
                                       "    (give -I for a folder above both files)");
        return found{{includer.where.in_vendor_tree, path}, source};
    }

    [[nodiscard]] std::optional<found> in_folders(std::size_t from, const include_directive& directive,
                                                  const std::string& spelled) const {
        const std::string path = normal(directive.name);
        const auto look = [&](const std::filesystem::path& dir) -> std::optional<found> {
            if (!is_file(dir / directive.name)) return std::nullopt;
            if (leaves(path))
                fail(from, directive.line, "#include " + spelled + " leads out of the folder that -I names");
            return found{{false, path}, dir / directive.name};
        };
        if (path.starts_with("mediant/"))
            if (const std::optional<found> hit = look(own_root_)) return hit;
        for (const std::filesystem::path& dir : dirs_)
            if (const std::optional<found> hit = look(dir)) return hit;
        return std::nullopt;
    }

    void add_from(std::size_t from, const include_directive& directive, const found& hit) {
        add(hit, from, directive.line);
    }

    /// The node of a place; a new one is read and will be followed.
    std::size_t add(const found& hit, std::optional<std::size_t> includer, unsigned line) {
        std::string identity = std::filesystem::canonical(hit.source).string();
        if (const auto known = by_place_.find(hit.where); known != by_place_.end()) {
            if (nodes_[known->second].identity != identity) collide(known->second, hit.source, includer, line);
            return known->second;
        }
        const std::size_t at = nodes_.size();
        node fresh{.where = hit.where, .source = hit.source, .identity = identity, .includer = includer, .line = line};
        if (const auto [same, is_new] = by_identity_.try_emplace(identity, hit.where); !is_new) {
            fresh.forwards_to = same->second;
        } else {
            fresh.text = read_file(hit.source);
            queue_.push_back(at);
        }
        by_place_.emplace(hit.where, at);
        nodes_.push_back(std::move(fresh));
        return at;
    }

    [[nodiscard]] closure finish() const {
        const std::filesystem::path base = vendor_base();
        const auto name = [&base](const place& where) {
            return where.in_vendor_tree ? std::filesystem::path{where.path}.lexically_relative(base).generic_string()
                                        : where.path;
        };
        closure out;
        std::map<std::string, std::size_t> owners;
        for (std::size_t i = 0; i < nodes_.size(); ++i) {
            const node& header = nodes_[i];
            const std::string path = name(header.where);
            if (const auto [owner, is_new] = owners.try_emplace(path, i); !is_new) {
                if (nodes_[owner->second].identity != header.identity)
                    collide(owner->second, header.source, header.includer, header.line);
                if (header.forwards_to) continue; // two ways that end in one name
            }
            if (header.forwards_to && name(*header.forwards_to) == path) continue;
            out.files[path] = header.forwards_to ? "// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause\n"
                                                   "#pragma once\n#include <" + name(*header.forwards_to) + ">\n"
                                                 : header.text;
        }
        for (const std::size_t at : asked_) out.headers.push_back(name(nodes_[at].where));
        return out;
    }

    /// The deepest folder that holds all of the vendor's tree, so that no part of the way to it shows.
    [[nodiscard]] std::filesystem::path vendor_base() const {
        std::optional<std::filesystem::path> base;
        for (const node& header : nodes_) {
            if (!header.where.in_vendor_tree) continue;
            const std::filesystem::path folder = std::filesystem::path{header.where.path}.parent_path();
            if (!base) {
                base = folder;
                continue;
            }
            const auto [end, ignored] = std::mismatch(base->begin(), base->end(), folder.begin(), folder.end());
            std::filesystem::path common;
            for (auto part = base->begin(); part != end; ++part) common /= *part;
            base = common;
        }
        return base.value_or(std::filesystem::path{});
    }

    [[nodiscard]] static std::string normal(const std::filesystem::path& path) {
        return path.lexically_normal().generic_string();
    }
    /// Whether it leads into a folder and out again, which would have to be in the tree for this alone.
    [[nodiscard]] static bool turns_back(const std::filesystem::path& path) {
        bool entered = false;
        for (const std::filesystem::path& part : path) {
            if (part == ".." && entered) return true;
            entered = entered || (part != ".." && part != ".");
        }
        return false;
    }
    [[nodiscard]] static bool leaves(std::string_view path) noexcept {
        return path == ".." || path.starts_with("../") || path.starts_with('/');
    }

    [[nodiscard]] std::string chain(std::optional<std::size_t> from) const {
        std::string out;
        while (from) {
            const node& header = nodes_[*from];
            if (!header.includer) break;
            out += "\n    included from " + nodes_[*header.includer].source.string() + ':' +
                   std::to_string(header.line);
            from = header.includer;
        }
        return out;
    }
    [[noreturn]] void fail(std::size_t in, unsigned line, const std::string& why) const {
        throw shim_error{nodes_[in].source.string() + ':' + std::to_string(line) + ": " + why + chain(in)};
    }
    [[noreturn]] void collide(std::size_t first, const std::filesystem::path& second,
                              std::optional<std::size_t> includer, unsigned line) const {
        const std::string why = "two headers have one name in the tree: " + nodes_[first].source.string() + " and " +
                                second.string();
        if (includer) fail(*includer, line, why);
        throw shim_error{why};
    }

    std::filesystem::path own_root_;
    std::vector<std::filesystem::path> dirs_;
    std::vector<node> nodes_;
    std::map<place, std::size_t> by_place_;
    std::map<std::string, place> by_identity_;
    std::vector<std::size_t> asked_;
    std::deque<std::size_t> queue_;
};

} // namespace mediant::kernel
