# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
#
# What clang says of an object for BPF, with the reason and the place in front where it says that BPF has no such thing:
# it names a program's own line and a function of the compiler's.

function reason(text) {
    if (text ~ /stack limit/) return "more than 512 bytes of variables and of what is kept between calls"
    if (text ~ /signed division/) return "division of signed numbers, which BPF does not have"
    if (text ~ /'__[a-z]*[sdtx]f[a-z]*[0-9]?'/) return "floating point, which BPF does not have"
    if (text ~ /'mem(set|cpy|move)'/)
        return "more is cleared or copied at once than BPF can: 1 KiB, and 128 bytes of what is not aligned"
    if (text ~ /'mem(cmp|chr)'|'str[a-z]*'/) return "a function of the C library, which BPF does not have"
    if (text ~ /'__(u?mul|u?div|u?mod|ashl|ashr|lshr)[a-z0-9]*'/)
        return "numbers of 128 bits, which BPF cannot calculate with"
    return ""
}

function say(place,    where) {
    if (why == "") return
    where = place == "" ? "provider.bpf.c" : place
    if (!((where why) in said)) print where ": error: " why (program == "" ? "" : ", in " program)
    said[where why] = 1
    why = ""
}

/: error: / { say(""); why = reason($0); program = "" }
/could not determine the original source location for / {
    place = $0
    sub(/.*location for /, "", place)
    # Of the stack clang knows no line.
    say(place ~ /:0:0$/ || why ~ /variables/ ? "" : place)
}
why != "" && /^ +[0-9]+ \| +mediant_[a-z_]+$/ { program = $NF }
# Of what lies in a program's own arguments, where it calls the policy.
why != "" && match($0, /mediant_policy_[a-z_]+/) { program = "mediant_" substr($0, RSTART + 15, RLENGTH - 15) }
{ line[++lines] = $0 }
END {
    say("")
    for (i = 1; i <= lines; i++) print line[i]
}
