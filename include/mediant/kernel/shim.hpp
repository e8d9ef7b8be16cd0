// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/kernel/bpf_sources.hpp>
#include <mediant/kernel/fitness.hpp>
#include <mediant/kernel/include_closure.hpp>
#include <mediant/kernel/module_tree.hpp>
#include <mediant/kernel/own_headers.hpp>
#include <mediant/kernel/provider_facts.hpp>
#include <mediant/kernel/quoting.hpp>
#include <mediant/kernel/readme.hpp>
#include <mediant/kernel/shim_target.hpp>
#include <mediant/pci/alias.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// The shim generator: providers in, the source tree of a kernel module or of a BPF object out. The same providers,
/// headers and options give the same bytes.
namespace mediant::kernel {

struct shim_options {
    std::string target = "variant"; ///< the kind of tree, as in shim_targets
    /// The module's; `<provider>_vfio_pci` or `<provider>_provider` where there is one provider. Of a BPF object,
    /// without its ending, and else the provider's.
    std::string name{};
    /// The module's; the providers' own where they agree. The host has no other, a BPF object has none.
    std::string version{};
    std::vector<std::filesystem::path> headers{};    ///< where the providers are defined; what they say where empty
    std::vector<std::filesystem::path> include_dirs{};
    std::filesystem::path own_root{};                ///< where <mediant/...> is, if not where this was compiled from
};

/// Longest name of a kernel module: MODULE_NAME_LEN of a 64-bit kernel, without the NUL.
inline constexpr std::size_t most_module_name = 55;

/// What a tree's user should know of its providers, though it can be made; a line each.
[[nodiscard]] inline std::vector<std::string> shim_notes(std::span<const provider_facts> providers,
                                                         const shim_options& options) {
    std::vector<std::string> out;
    if (options.target != "bpf") return out;
    for (const provider_facts& provider : providers)
        if (provider.bpf.migrates)
            out.push_back(std::string{provider.name} +
                          ": what it states of migration is not in the BPF object: a device under it does not migrate; "
                          "under a module of the same provider (--target provider, variant) it does");
    return out;
}

/// Makes the files of a module tree. shim_error: what cannot be made, and why.
class shim_generator {
public:
    [[nodiscard]] static tree_files generate(std::span<const provider_facts> providers, const shim_options& options) {
        return shim_generator{providers, options}.files();
    }

private:
    shim_generator(std::span<const provider_facts> providers, const shim_options& options)
        : options_{options}, target_{find_target(options.target)}, own_root_{own_include_root(options.own_root)} {
        if (!target_.policy) {
            check_host(providers);
            return;
        }
        if (providers.empty()) throw shim_error{"a " + made() + " needs a provider"};
        if (is_bpf() && providers.size() > 1) {
            std::string names;
            for (const provider_facts& provider : providers) (names += names.empty() ? "" : ", ") += provider.name;
            throw shim_error{"a BPF object holds one provider, by which it is attached; here are " + names};
        }
        for (const provider_facts& provider : providers)
            insert_by(providers_, provider, [](const provider_facts& p) { return p.best_rank(); });
        for (const provider_facts& provider : providers_) check(provider);
        name_ = options_.name.empty() ? default_name() : options_.name;
        check_name();
        if (is_bpf()) {
            if (!options_.version.empty())
                throw shim_error{"version " + one_line(options_.version) + ": a BPF object has none"};
            license_ = providers_.front().details.license;
            return;
        }
        version_ = options_.version.empty() ? agreed("version", &provider_details::version) : options_.version;
        check_version();
        license_ = agreed("licence", &provider_details::license);
    }

    /// Inserts behind all whose rank is as high: the most specific go first, the rest keep their order.
    template <class T, class Rank>
    static void insert_by(std::vector<T>& all, const T& one, const Rank& rank) {
        all.insert(std::find_if(all.begin(), all.end(), [&](const T& other) { return rank(other) < rank(one); }), one);
    }

    /// What is the same everywhere is named and licensed by mediant.
    void check_host(std::span<const provider_facts> providers) {
        if (!providers.empty())
            throw shim_error{"the host has no providers: it finds their modules when a device is opened"};
        if (!options_.name.empty() && options_.name != host_module)
            throw shim_error{"module name " + options_.name + ": the host is " + std::string{host_module} +
                             " everywhere, as devices are bound to it by this name"};
        name_ = host_module;
        version_ = options_.version;
        check_version();
        license_ = "Dual BSD/GPL";
    }

    void check(const provider_facts& provider) const {
        const std::string who{provider.name};
        // How compilers spell what has no name that another file could use.
        for (const std::string_view local : {"(anonymous", "{anonymous", "<unnamed", "<lambda", "()::", ")::"})
            if (provider.type.find(local) != provider.type.npos)
                throw shim_error{who + ": its type has no name outside its file: " + std::string{provider.type}};
        if (!gpl_compatible(provider.details.license))
            throw shim_error{who + ": licence \"" + one_line(provider.details.license) + "\": " +
                             (is_bpf() ? "a BPF provider, as it calls the host's functions,"
                                       : "a module on vfio-pci-core") +
                             " needs one that is compatible with the GPL "
                             "(GPL, Dual BSD/GPL, Dual MIT/GPL, Dual MPL/GPL)"};
        // First what it lacks: a module carries more.
        if (is_bpf() && !provider.bpf.unfit.empty()) throw shim_error{who + ": " + std::string{provider.bpf.unfit}};
        if (!provider.unfit.empty())
            throw shim_error{who + ": " + (is_bpf() ? of_bpf(provider.unfit) : provider.unfit)};
        for (const std::string_view said : {provider.details.author, provider.details.description})
            if (said.find('\0') != said.npos) throw shim_error{who + ": its author or description holds a NUL"};
        for (const pci_id& rule : provider.rules)
            if (!has_module_alias(rule))
                throw shim_error{who + ": rule " + rule_text(rule) +
                                 ": a " + made() + "'s rule compares each byte of the class whole or not at all"};
        if (target_.name != "provider") return;
        for (const pci_id& rule : provider.rules)
            if (rule.vendor > 0xffff || rule.device > 0xffff)
                throw shim_error{who + ": rule " + rule_text(rule) +
                                 ": a provider module needs vendor and device, by which the host asks for it; "
                                 "a variant (--target variant) needs neither"};
    }

    /// What is made, in a message.
    [[nodiscard]] std::string made() const { return is_bpf() ? "BPF object" : "module"; }

    /// What is said of a module, and holds of a BPF provider as well.
    [[nodiscard]] static std::string of_bpf(std::string text) {
        constexpr std::string_view module = "a kernel module";
        for (std::size_t at = 0; (at = text.find(module, at)) != text.npos;)
            text.replace(at, module.size(), "a BPF provider");
        return text;
    }

    [[nodiscard]] std::string default_name() const {
        if (providers_.size() > 1) throw shim_error{"a module of several providers needs a name (--name)"};
        return std::string{providers_.front().name} + std::string{target_.suffix};
    }
    void check_name() const {
        const bool good = std::all_of(name_.begin(), name_.end(), [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
        });
        const std::string kind = is_bpf() ? "object name " : "module name ";
        if (name_.empty() || !good)
            throw shim_error{kind + '"' + one_line(name_) + "\": has lower-case letters, digits and '_'"};
        const std::string what = kind + name_;
        if (name_.size() > most_module_name)
            throw shim_error{what + ": longer than " + std::to_string(most_module_name) +
                             " characters (--name gives another)"};
        if (is_bpf()) return; // it shares no folder and no list with others
        for (const std::string_view taken : {"vfio", "vfio_pci", "vfio_pci_core"})
            if (name_ == taken) throw shim_error{what + ": the kernel has a module of this name"};
        for (const std::string_view taken : {host_module, registry_module})
            if (name_ == taken) throw shim_error{what + ": the host has a module of this name"};
        for (const auto& [path, text] : module_sources())
            if (std::filesystem::path{path}.stem() == name_ || name_ == "policy")
                throw shim_error{what + ": one of the module's own objects has this name"};
    }
    void check_version() const {
        const std::string_view allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+~-";
        if (version_.empty() || version_.find_first_not_of(allowed) != version_.npos)
            throw shim_error{"version \"" + one_line(version_) +
                             "\": has letters, digits and . _ + ~ -, as DKMS makes a folder of it"};
    }

    /// What all providers say alike.
    [[nodiscard]] std::string agreed(const std::string& what, std::string_view provider_details::* member) const {
        const provider_facts& first = providers_.front();
        for (const provider_facts& other : providers_)
            if (other.details.*member != first.details.*member)
                throw shim_error{"providers " + std::string{first.name} + " and " + std::string{other.name} +
                                 " differ in their " + what + ": " + one_line(first.details.*member) + ", " +
                                 one_line(other.details.*member)};
        return std::string{first.details.*member};
    }
    /// What they say, one after another.
    [[nodiscard]] std::string joined(std::string_view provider_details::* member) const {
        std::string out;
        std::set<std::string_view> seen;
        for (const provider_facts& provider : providers_) {
            const std::string_view said = provider.details.*member;
            if (said.empty() || !seen.insert(said).second) continue;
            (out += out.empty() ? "" : ", ") += said;
        }
        return out;
    }
    [[nodiscard]] std::string description() const {
        const std::string said = joined(&provider_details::description);
        if (!said.empty()) return said;
        if (providers_.empty()) return "Driver for PCI devices under VFIO that providers mediate";
        std::string names;
        for (const provider_facts& provider : providers_) (names += names.empty() ? "" : ", ") += provider.name;
        return (target_.name == "provider" ? "Mediation provider for " : "vfio-pci variant driver for ") + names;
    }
    [[nodiscard]] std::string author() const {
        const std::string said = joined(&provider_details::author);
        if (providers_.empty()) return "the mediant authors";
        return said.empty() ? "not stated" : said;
    }

    [[nodiscard]] bool is_bpf() const { return target_.name == "bpf"; }

    [[nodiscard]] tree_files files() const {
        tree_files out = module_sources();
        if (is_bpf()) {
            add_bpf_files(out);
            return out;
        }
        if (target_.policy) {
            const closure headers = include_closure::of(
                {.headers = headers_of_providers(),
                 .include_dirs = options_.include_dirs,
                 .own_root = own_root_,
                 .own = {"mediant/kernel/abi.h", "mediant/kernel/policy_object.hpp"}});
            for (const auto& [path, text] : headers.files) out["include/" + path] = text;
            out["policy.cpp"] = policy_source(headers.headers);
            out["module.mk"] = "# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause\nMEDIANT_MODULE := " + name_ +
                               '\n';
        } else {
            for (const std::string header : {"mediant/kernel/abi.h", "mediant/kernel/bpf.h"})
                out["include/" + header] = read_file(own_root_ / header);
        }
        out["module.h"] = module_header();
        out["dkms.conf"] = dkms();
        out["README.md"] = readme();
        return out;
    }

    void add_bpf_files(tree_files& out) const {
        const closure headers = include_closure::of(
            {.headers = headers_of_providers(),
             .include_dirs = options_.include_dirs,
             .own_root = own_root_,
             .own = {"mediant/kernel/bpf.h", "mediant/kernel/bpf_policy.hpp"}});
        for (const auto& [path, text] : headers.files) out["include/" + path] = text;
        const provider_facts& provider = providers_.front();
        out["policy.cpp"] = bpf_policy_source(provider, headers.headers);
        out["ops.h"] = bpf_ops_header(provider);
        out["object.mk"] = "# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause\nMEDIANT_OBJECT := " + name_ +
                           "\nMEDIANT_PROVIDER := " + std::string{provider.name} + '\n';
        out["README.md"] = readme();
    }

    [[nodiscard]] std::string readme() const {
        const auto text = [this](std::string_view file) { return read_file(module_folder() / file); };
        const std::string own = text(std::string{target_.folder} + "/README.md");
        const bool migrates = is_bpf() && providers_.front().bpf.migrates;
        return module_readme({.module = name_,
                              .driver = target_.name == "provider" || is_bpf() ? host_module : std::string_view{name_},
                              .version = version_,
                              .provider = is_bpf() ? providers_.front().name : std::string_view{},
                              .text = own,
                              .insertions = {{"@binding@", text("binding.md")},
                                             {"@interrupts@", text("interrupts.md")},
                                             {"@dkms@", text("dkms.md")},
                                             {"@license@", text("license.md")},
                                             {"@dynamic@", text("dynamic.md")},
                                             {"@observe@", text("observe.md")},
                                             {"@migration@", migrates ? text("migration.md") : std::string{}}}},
                             providers_);
    }

    [[nodiscard]] std::filesystem::path module_folder() const { return own_root_ / "mediant/kernel/module"; }

    /// What is the same in every module of the kind.
    [[nodiscard]] tree_files module_sources() const {
        tree_files out;
        for (const module_part& part : target_.parts) {
            const std::filesystem::path from = module_folder() / part.from;
            std::error_code failed;
            if (is_file(from)) {
                out[std::string{part.to} + from.filename().string()] = read_file(from);
                continue;
            }
            std::size_t count = 0;
            for (const std::filesystem::directory_entry& file : std::filesystem::directory_iterator{from, failed}) {
                const std::filesystem::path name = file.path().filename();
                if (name.extension() == ".md") continue;
                out[std::string{part.to} + name.string()] = read_file(file.path());
                ++count;
            }
            if (count == 0) throw shim_error{from.string() + ": missing; is mediant installed whole?"};
        }
        return out;
    }

    [[nodiscard]] std::vector<std::filesystem::path> headers_of_providers() const {
        std::vector<std::filesystem::path> out = options_.headers;
        if (!out.empty()) return out;
        for (const provider_facts& provider : providers_) {
            const std::filesystem::path header{provider.header};
            if (!is_file(header))
                throw shim_error{std::string{provider.name} + ": the header that defines it is not at " +
                                 header.string() + " (--header says where it is)"};
            if (std::find(out.begin(), out.end(), header) == out.end()) out.push_back(header);
        }
        return out;
    }

    [[nodiscard]] std::string policy_source(const std::vector<std::string>& headers) const {
        std::string
            out = "// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause\n"
                  "//\n// The policy object: the module's providers behind the functions of mediant/kernel/abi.h.\n\n";
        for (const std::string& header : headers) out += "#include <" + header + ">\n";
        out += "\n#include <mediant/kernel/policy_object.hpp>\n\nextern \"C\" {\n"
               "constinit const mediant_provider* const mediant_providers[] = {\n";
        for (const provider_facts& provider : providers_)
            out += "    &mediant::kernel::provider_table<" + std::string{provider.type} + ">,\n";
        return out + "};\nconstinit const unsigned int mediant_provider_count = " + std::to_string(providers_.size()) +
               ";\n}\n";
    }

    [[nodiscard]] std::string module_header() const {
        std::vector<pci_id> rules; // the PCI core takes the first entry that matches
        for (const provider_facts& provider : providers_)
            for (const pci_id& rule : provider.rules)
                if (std::find(rules.begin(), rules.end(), rule) == rules.end())
                    insert_by(rules, rule, [](const pci_id& r) { return r.rank(); });

        std::string out = "/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */\n";
        const auto define = [&out](const std::string& what, std::string_view text) {
            out += "#define MEDIANT_MODULE_" + what + ' ' + c_string(text) + '\n';
        };
        define("NAME", name_);
        define("LICENSE", license_);
        define("AUTHOR", author());
        define("DESCRIPTION", description());
        define("VERSION", version_);
        if (target_.name == "variant") {
            out += "\n/* vendor, device, subsystem vendor and device, class, its mask; most specific first */\n"
                   "#define MEDIANT_MODULE_IDS";
            for (const pci_id& rule : rules)
                out += " \\\n\tMEDIANT_ID(" + id(rule.vendor) + ", " + id(rule.device) + ", " + id(rule.subvendor) +
                       ", " + id(rule.subdevice) + ", " + hex(rule.class_code & rule.class_mask, 6) + ", " +
                       hex(rule.class_mask, 6) + "),";
            out += '\n';
        }
        if (target_.name == "provider") {
            std::set<std::string> aliases;
            for (const pci_id& rule : rules) aliases.emplace(mediate_alias(rule).view());
            out += "\n/* what the host asks for when a device is opened */\n#define MEDIANT_MODULE_ALIASES";
            const char* separator = "";
            for (const std::string& alias : aliases) {
                out += std::string{separator} + " \\\n\tMODULE_ALIAS(" + c_string(alias) + ')';
                separator = ";";
            }
            out += '\n';
        }
        return out;
    }

    [[nodiscard]] std::string dkms() const {
        return "# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause\n#\n# " + one_line(description()) +
               "\n# Author: " + one_line(author()) + "\n# License: " + one_line(license_) +
               "\nPACKAGE_NAME=" + shell_word(name_) + "\nPACKAGE_VERSION=" + shell_word(version_) +
               "\nBUILT_MODULE_NAME[0]=" + shell_word(name_) +
               "\nDEST_MODULE_LOCATION[0]='/updates/dkms'\n" +
               (target_.policy ? std::string{}
                               : "BUILT_MODULE_NAME[1]=" + shell_word(registry_module) +
                                     "\nBUILT_MODULE_LOCATION[1]='registry'\n"
                                     "DEST_MODULE_LOCATION[1]='/updates/dkms'\n") +
               "MAKE[0]=\"make KDIR=${kernel_source_dir}\"\nCLEAN=\"make KDIR=${kernel_source_dir} clean\"\n"
               "AUTOINSTALL='yes'\n";
    }

    [[nodiscard]] static std::string hex(std::uint32_t value, unsigned digits) {
        return std::string{text_builder<10>{}.add("0x").hex(value, digits).view()};
    }
    [[nodiscard]] static std::string id(std::uint32_t value) { return value == any_id ? "PCI_ANY_ID" : hex(value, 4); }

    std::vector<provider_facts> providers_;
    shim_options options_;
    const shim_target& target_;
    std::filesystem::path own_root_;
    std::string name_;
    std::string version_;
    std::string license_;
};

} // namespace mediant::kernel
