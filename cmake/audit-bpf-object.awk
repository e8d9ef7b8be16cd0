# SPDX-License-Identifier: BSD-3-Clause
#
# What audit-bpf-object says of one object, from a description that it makes: lines "finding<TAB>TEXT" and
# "program<TAB>TEXT". For any awk of POSIX: without operators on bits.
#
# Sources: the instruction set (RFC 9669), the kernel's BPF documentation (btf.rst, llvm_reloc.rst) and btf.c, which
# says what names it takes.

function finding(text) { print "finding\t" text }

function hex(text,    i, value) {
    value = 0
    for (i = 1; i <= length(text); i++) value = value * 16 + index("0123456789abcdef", substr(text, i, 1)) - 1
    return value
}

# Little-endian numbers of a section.
function u8(section, at) { return byte[section, at] + 0 }
function u16(section, at) { return u8(section, at) + 256 * u8(section, at + 1) }
function u32(section, at) { return u16(section, at) + 65536 * u16(section, at + 2) }
function s16(section, at,    v) { v = u16(section, at); return v < 32768 ? v : v - 65536 }
function s32(section, at,    v) { v = u32(section, at); return v < 2147483648 ? v : v - 4294967296 }
function string_at(section, at,    text, c) {
    text = ""
    while (at < size[section] && (c = u8(section, at++)) != 0) text = text sprintf("%c", c)
    return text
}

$1 == "section" {
    name[$2] = $3; type[$2] = $4; size[$2] = hex($6); flags[$2] = $7; info[$2] = $8
    sections = $2 > sections ? $2 + 0 : sections
    numbered[$3] = $2
}
$1 == "symbol" {
    symbols = $2 > symbols ? $2 + 0 : symbols
    value_of[$2] = hex($3); size_of[$2] = $4 + 0; kind_of[$2] = $5; place_of[$2] = $7; called[$2] = $8
}
$1 == "relocation" {
    key = $2 SUBSEP hex($3)
    relocated[key] = hex($5)
    how[key] = hex($4)
    where_of[++relocations] = key
}
$1 == "bytes" { filling = $2; filled = 0; next }
$1 == "end" { exit }
filling != "" && $1 ~ /^[0-9]+$/ { for (i = 1; i <= NF; i++) byte[filling, filled++] = $i }

function allocated(s) { return flags[s] ~ /A/ }
function executable(s) { return flags[s] ~ /X/ }
function is_program(s) { return executable(s) && name[s] ~ /^struct_ops\.s\/[A-Za-z_0-9]+$/ }

# The names of what lies in a section.
function residents(s, what,    i, text) {
    text = ""
    for (i = 1; i <= symbols; i++)
        if (place_of[i] == s && kind_of[i] ~ what && called[i] != "-") text = text (text == "" ? "" : ", ") called[i]
    return text
}
# Of what lies in a section at an offset.
function resident(s, at,    i) {
    for (i = 1; i <= symbols; i++)
        if (place_of[i] == s && kind_of[i] == "OBJECT" && value_of[i] <= at && at < value_of[i] + size_of[i])
            return called[i]
    return ""
}
function is_allowed(symbol,    patterns, n, i, pattern, stem) {
    n = split(allowed, patterns, " ")
    for (i = 1; i <= n; i++) {
        pattern = patterns[i]
        if (pattern == symbol) return 1
        stem = substr(pattern, 1, length(pattern) - 1)
        if (pattern == stem "*" && substr(symbol, 1, length(stem)) == stem) return 1
    }
    return 0
}

# .BTF.ext: for each section, from which instruction on which line holds.
function read_lines(    s, b, at, end, record, strings, section_name, n, i) {
    s = numbered[".BTF.ext"]; b = numbered[".BTF"]
    if (s == "" || b == "" || u16(s, 0) != 60319) return
    strings = u32(b, 4) + u32(b, 16)
    at = u32(s, 4) + u32(s, 16)
    end = at + u32(s, 20)
    record = u32(s, at)
    at += 4
    while (at < end) {
        section_name = string_at(b, strings + u32(s, at))
        n = u32(s, at + 4)
        at += 8
        for (i = 0; i < n; i++) {
            lines[section_name]++
            line_at[section_name, lines[section_name]] = u32(s, at)
            line_file[section_name, lines[section_name]] = strings + u32(s, at + 4)
            line_number[section_name, lines[section_name]] = int(u32(s, at + 12) / 1024)
            at += record
        }
    }
}
# ", at FILE:LINE" of an instruction; nothing where the object does not know.
function line_of(section_name, at,    i, best) {
    best = 0
    for (i = 1; i <= lines[section_name]; i++)
        if (line_at[section_name, i] <= at && (!best || line_at[section_name, i] >= line_at[section_name, best]))
            best = i
    if (!best || line_number[section_name, best] == 0) return ""
    return ", at " string_at(numbered[".BTF"], line_file[section_name, best]) ":" line_number[section_name, best]
}

function check_sections(    s, who, i, outside) {
    for (s = 1; s <= sections; s++) {
        who = residents(s, "FUNC|OBJECT|NOTYPE")
        if (name[s] ~ /^\.(preinit_array|init_array|fini_array|ctors|dtors)(\.|$)/) {
            finding("static constructor or destructor in section " name[s] \
                (residents(numbered[".text"], "FUNC") == "" ? "" : ": " residents(numbered[".text"], "FUNC")))
            constructors = 1
        } else if (is_program(s)) {
            programs++
            if (residents(s, "FUNC") ~ /,/)
                finding("section " name[s] " has several functions, of which a loader takes one: " residents(s, "FUNC"))
        } else if (executable(s)) {
            if (size[s] == 0) continue
            code_outside[s] = residents(s, "FUNC")
            outside = 1
        } else if (!allocated(s) || size[s] == 0 || name[s] == "license" || name[s] ~ /^\.struct_ops(\.link)?$/) {
            continue
        } else if (flags[s] ~ /W/) {
            finding("data that is written, which all devices would share, in section " name[s] ": " who)
        } else if (name[s] !~ /^\.rodata/) {
            finding("section " name[s] " is not one that a provider's object has" (who == "" ? "" : ": " who))
        }
    }
    for (s = 1; s <= sections; s++) # those of code are found as that
        if (type[s] == "GROUP" && !outside)
            finding("a group of sections (COMDAT), which loaders refuse: " called[info[s]])
    for (i = 1; i <= symbols; i++)
        if (place_of[i] == "COM") finding("data that is written, which all devices would share: " called[i])
    if (!programs) finding("no program: a provider's lie in sections struct_ops.s/NAME")
    for (s = 1; s <= sections; s++)
        if (s in code_outside && !constructors)
            finding("function out of line, where a program is one function (is it recursive, or noinline?): " \
                (code_outside[s] == "" ? "code in section " name[s] : code_outside[s]))
}

# Pointers that no loader fills in.
function check_data(    i, part, s, who, seen) {
    for (i = 1; i <= relocations; i++) {
        split(where_of[i], part, SUBSEP)
        s = numbered[part[1]]
        if (s == "" || !allocated(s) || executable(s) || part[1] ~ /^\.struct_ops(\.link)?$/) continue
        if (name[s] ~ /^\.(preinit_array|init_array|fini_array|ctors|dtors)(\.|$)/) continue
        who = resident(s, part[2])
        if (who == "") who = "section " part[1]
        if (who in seen) continue
        seen[who] = 1
        finding("a pointer in data, which is a number near 0 in the kernel, as loaders leave it, in " who)
    }
}

# ", in PROGRAM, at FILE:LINE".
function place(s, at,    who) {
    who = residents(s, "FUNC")
    return ", in " (who == "" ? name[s] : who) line_of(name[s], at)
}

# The instructions of all programs.
function check_code(    s, at, op, dst, src, off, imm, deepest, copy, symbol) {
    for (s = 1; s <= sections; s++) {
        if (!executable(s)) continue
        deepest = 0
        copy = -1
        for (at = 0; at < size[s]; at += op == 24 ? 16 : 8) {
            op = u8(s, at); dst = u8(s, at + 1) % 16; src = int(u8(s, at + 1) / 16)
            off = s16(s, at + 2); imm = s32(s, at + 4)
            if ((name[s] SUBSEP at) in relocated) {
                symbol = relocated[name[s] SUBSEP at]
                if (place_of[symbol] == "UND" && used_in[symbol] == "")
                    used_in[symbol] = place(s, at)
                else if (op == 133 && is_program(place_of[symbol]) && residents(place_of[symbol], "FUNC") !~ /,/)
                    finding("call of the program " called[symbol] ", which is the kernel's to call" place(s, at))
            } else if (op == 133 && src == 0) {
                finding("call of the kernel's helper " imm " by its number, where a provider calls the host alone" \
                    place(s, at))
            } else if (op == 141) { # callx
                finding("call by a pointer (a virtual function?), which the kernel refuses" place(s, at))
            }
            # How far below the frame pointer it reaches: with an access beside it, or a copy that is moved at once.
            if ((op % 8 == 1 && src == 10) || ((op % 8 == 2 || op % 8 == 3) && dst == 10))
                deepest = off < deepest ? off : deepest
            else if (op == 7 && dst == copy)
                deepest = imm < deepest ? imm : deepest
            copy = op == 191 && src == 10 ? dst : -1
        }
        if (!is_program(s)) continue
        if (deepest < -512) finding((0 - deepest) " bytes of stack, where a program has 512, in " residents(s, "FUNC"))
        print "program\t" substr(name[s], 14) ": " (size[s] / 8) " instructions, " (0 - deepest) " bytes of stack"
    }
}

function check_symbols(    i) {
    for (i = 1; i <= symbols; i++)
        if (place_of[i] == "UND" && called[i] != "-" && !is_allowed(called[i]))
            finding("undefined symbol " called[i] " is not one of the host's functions" \
                (used_in[i] == "" ? ", in its data" : used_in[i]))
}

# Types: where each begins, so that the ops structure can be looked into.
function check_types(    b, at, end, strings, id, kind, vlen, n, text) {
    b = numbered[".BTF"]
    if (b == "" || u16(b, 0) != 60319) {
        finding("no types (section .BTF): compiled without -g?")
        return
    }
    at = u32(b, 4) + u32(b, 8)
    end = at + u32(b, 12)
    strings = u32(b, 4) + u32(b, 16)
    for (id = 1; at < end; id++) {
        type_at[id] = at
        kind = u8(b, at + 7) % 32
        vlen = u16(b, at + 4)
        text = string_at(b, strings + u32(b, at))
        # Structures, unions, enumerations, forward declarations, typedefs.
        if ((kind >= 4 && kind <= 8) || kind == 19) {
            if (text != "" && text !~ /^mediant_[A-Za-z0-9_]*$/)
                finding("type " text " in BTF, which has those of provider.bpf.c alone")
        } else if (kind == 14) { # functions are found where their code is
            if (text !~ /^mediant_[A-Za-z0-9_]*$/)
                finding("variable " text " in BTF, which has those of provider.bpf.c alone")
        } else if (kind == 16)
            finding("floating point in BTF: " text)
        n = 0 # bytes behind the twelve that all kinds have
        if (kind == 1 || kind == 14 || kind == 17) n = 4
        else if (kind == 3) n = 12
        else if (kind == 4 || kind == 5 || kind == 15 || kind == 19) n = 12 * vlen
        else if (kind == 6 || kind == 13) n = 8 * vlen
        at += 12 + n
    }
    types = id - 1
}

# .struct_ops.link by the names of struct mediant_bpf_ops's members.
function check_ops(    s, b, strings, id, i, at, count, member, offset, missing, needed, n, known) {
    s = numbered[".struct_ops.link"]; b = numbered[".BTF"]
    if (s == "" || size[s] == 0) {
        finding("no structure of its operations (section .struct_ops.link), by which the host knows a provider")
        return
    }
    if (b == "") return
    strings = u32(b, 4) + u32(b, 16)
    for (id = 1; id <= types; id++)
        if (u8(b, type_at[id] + 7) % 32 == 4 && string_at(b, strings + u32(b, type_at[id])) == "mediant_bpf_ops") break
    if (id > types) {
        finding("no struct mediant_bpf_ops, by which the host knows a provider")
        return
    }
    count = u16(b, type_at[id] + 4)
    for (i = 0; i < count; i++) {
        at = type_at[id] + 12 + 12 * i
        member[string_at(b, strings + u32(b, at))] = u32(b, at + 8) / 8
    }
    n = split("open release reset read write", needed, " ")
    missing = ""
    for (i = 1; i <= n; i++)
        if (!((".struct_ops.link" SUBSEP member[needed[i]]) in relocated))
            missing = missing (missing == "" ? "" : ", ") needed[i]
    if (programs && missing != "") finding("its operations lack " missing)
    known = 1 # MEDIANT_BPF_VERSION
    if (u32(s, member["version"]) != known)
        finding("its operations are of version " u32(s, member["version"]) ", where " known " is known")
    if (u8(s, member["name"]) == 0) finding("its operations name no provider")
    if (u32(s, member["rule_count"]) == 0) finding("its operations have no rule, so that no device is its")
}

function check_license(    s, text) {
    s = numbered["license"]
    text = s == "" ? "" : string_at(s, 0)
    # license_is_gpl_compatible in include/linux/license.h
    if (text !~ /^(GPL|GPL v2|GPL and additional rights|Dual BSD\/GPL|Dual MIT\/GPL|Dual MPL\/GPL)$/)
        finding("licence \"" text "\" is not compatible with the GPL, as the host's functions need it")
}

END {
    read_lines()
    check_sections()
    check_data()
    check_code()
    check_symbols()
    check_types()
    check_ops()
    check_license()
}
