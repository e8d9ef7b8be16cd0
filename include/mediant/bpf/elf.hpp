// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/bpf/error.hpp>

#include <elf.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace mediant::bpf {

using bytes = std::span<const std::byte>;

/// A relocatable BPF object as it lies in memory, which may be anything: whatever is read is checked against the bytes
/// that are there. Of a file that is no such object the constructor throws, saying what it is. Nothing is kept but the
/// view.
class elf {
public:
    struct section {
        std::string_view name;
        std::uint32_t index = 0;
        std::uint32_t type = 0;
        std::uint32_t info = 0;
        bytes contents; ///< empty where it has none in the file
    };
    struct symbol {
        std::string_view name;
        std::uint32_t section = 0;
        std::uint64_t value = 0;
        std::uint64_t size = 0;
        unsigned type = 0;
    };
    struct relocation {
        std::uint64_t offset = 0;
        symbol of;
    };

    elf(bytes file, std::string_view where) : file_{file}, where_{where} {
        static constexpr char magic[] = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3};
        if (file.size() < sizeof magic || std::memcmp(file.data(), magic, sizeof magic) != 0)
            fail("it is no ELF file, so no BPF object");
        const auto header = at<Elf64_Ehdr>(file, 0);
        if (!header) fail("the ELF file is cut short");
        if (header->e_ident[EI_CLASS] != ELFCLASS64) fail("it is no 64-bit ELF file, so no BPF object");
        if (header->e_ident[EI_DATA] != (std::endian::native == std::endian::little ? ELFDATA2LSB : ELFDATA2MSB))
            fail("its byte order is another than this machine's (clang's -target bpf takes the machine's)");
        if (header->e_machine != EM_BPF)
            fail("it is an ELF file for machine " + std::to_string(header->e_machine) + ", not for BPF (" +
                 std::to_string(EM_BPF) + "): it must be built with -target bpf");
        if (header->e_type != ET_REL) fail("it is no relocatable object; a BPF object is not linked");
        if (header->e_shentsize != sizeof(Elf64_Shdr)) fail("its section headers have a size of their own");
        std::vector<Elf64_Shdr> headers;
        for (std::uint64_t index = 0; index < header->e_shnum; ++index) {
            const auto one = at<Elf64_Shdr>(file, header->e_shoff, index);
            if (!one) fail("its section headers lie beyond its end");
            headers.push_back(*one);
        }
        if (header->e_shstrndx >= headers.size()) fail("it has no names of sections");
        std::size_t left = file.size(); // sections share no bytes, so that what is read is bounded by the file
        for (const Elf64_Shdr& one : headers) {
            section out{{}, static_cast<std::uint32_t>(sections_.size()), one.sh_type, one.sh_info, {}};
            if (one.sh_type != SHT_NOBITS && one.sh_type != SHT_NULL) {
                if (one.sh_offset > file.size() || one.sh_size > file.size() - one.sh_offset)
                    fail("a section lies beyond its end");
                if (one.sh_size > left) fail("its sections overlap");
                left -= one.sh_size;
                out.contents = file.subspan(one.sh_offset, one.sh_size);
            }
            sections_.push_back(out);
        }
        for (std::size_t index = 0; index < headers.size(); ++index)
            sections_[index].name = string(sections_[header->e_shstrndx].contents, headers[index].sh_name);
        for (std::size_t index = 0; index < headers.size(); ++index) {
            if (headers[index].sh_type != SHT_SYMTAB) continue;
            if (headers[index].sh_link >= headers.size()) fail("its symbols have no names");
            symbols_ = sections_[index].contents;
            names_ = sections_[headers[index].sh_link].contents;
            break;
        }
    }

    [[nodiscard]] const std::vector<section>& sections() const noexcept { return sections_; }

    [[nodiscard]] const section* find(std::string_view name) const noexcept {
        for (const section& one : sections_)
            if (one.name == name) return &one;
        return nullptr;
    }

    [[nodiscard]] std::size_t symbol_count() const noexcept { return symbols_.size() / sizeof(Elf64_Sym); }

    /// Throws where there are not so many.
    [[nodiscard]] symbol symbol_at(std::uint64_t index) const {
        const auto one = at<Elf64_Sym>(symbols_, 0, index);
        if (!one) fail("it refers to a symbol that it does not have");
        return {string(names_, one->st_name), one->st_shndx, one->st_value, one->st_size,
                static_cast<unsigned>(ELF64_ST_TYPE(one->st_info))};
    }

    /// Of a section's contents, in the file's order.
    [[nodiscard]] std::vector<relocation> relocations(const section& target) const {
        std::vector<relocation> out;
        for (const section& one : sections_) {
            if (one.type != SHT_REL || one.info != target.index) continue;
            for (std::uint64_t index = 0; index < one.contents.size() / sizeof(Elf64_Rel); ++index) {
                const auto entry = at<Elf64_Rel>(one.contents, 0, index);
                out.push_back({entry->r_offset, symbol_at(ELF64_R_SYM(entry->r_info))});
            }
        }
        return out;
    }

    /// The T at an index of an array that begins at an offset; nullopt where it is not all there.
    template <class T>
    [[nodiscard]] static std::optional<T> at(bytes from, std::uint64_t offset, std::uint64_t index = 0) {
        static_assert(std::is_trivially_copyable_v<T>);
        if (offset > from.size() || index >= (from.size() - offset) / sizeof(T)) return std::nullopt;
        T out;
        std::memcpy(&out, from.data() + offset + index * sizeof(T), sizeof(T));
        return out;
    }

private:
    [[noreturn]] void fail(const std::string& what) const { throw error{std::string{where_} + ": " + what}; }

    /// Up to a 0 or the table's end, and no more than a name can have: there may be a million of them in one table.
    [[nodiscard]] static std::string_view string(bytes table, std::uint64_t offset) {
        static constexpr std::size_t most = 4096;
        if (offset >= table.size()) return {};
        const char* const text = reinterpret_cast<const char*>(table.data()) + offset;
        return {text, ::strnlen(text, std::min<std::size_t>(most, table.size() - offset))};
    }

    bytes file_;
    std::string_view where_;
    std::vector<section> sections_;
    bytes symbols_;
    bytes names_;
};

} // namespace mediant::bpf
