// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// The #include directives of a C++ source, found in its text.
namespace mediant::kernel {

/// One directive that a freestanding compiler could reach.
struct include_directive {
    enum class form { quoted, angled, computed, next };

    form how = form::quoted;
    std::string name; ///< between the quotes or brackets; of a computed one, its text
    unsigned line = 0;
    bool optional = false; ///< within a condition that asks __has_include for it
};

/// Reads a source to its end and never fails: what does not scan is passed over, as a compiler will complain anyway.
/// Left out is what lies in the branch of an #if that a freestanding compiler does not take for certain: `0`,
/// `__STDC_HOSTED__`, or one of these and'ed with more. Any other condition may hold.
class include_scanner {
public:
    [[nodiscard]] static std::vector<include_directive> scan(std::string_view source) {
        include_scanner scanner{source};
        scanner.run();
        return std::move(scanner.found_);
    }

private:
    /// One #if … #endif: whether its present branch and the ones that are to come are dead.
    struct conditional {
        bool dead = false;
        bool rest_dead = false;
        std::string condition; ///< of the present branch, without spaces
    };
    enum class truth { no, yes, unknown };

    explicit include_scanner(std::string_view source) {
        // Lines that end in a backslash are one line; so is every later step spared the thought. In a raw string
        // that is wrong, but changes nothing of what is looked for.
        if (source.starts_with("\xef\xbb\xbf")) source.remove_prefix(3);
        unsigned line = 1;
        for (std::size_t i = 0; i < source.size(); ++i) {
            if (source[i] == '\\') {
                const std::size_t end = i + (source.substr(i + 1, 1) == "\r" ? 2 : 1);
                if (source.substr(end, 1) == "\n") {
                    i = end;
                    ++line;
                    continue;
                }
            }
            text_ += source[i];
            lines_.push_back(line);
            if (source[i] == '\n') ++line;
        }
    }

    [[nodiscard]] char at(std::size_t i) const noexcept { return i < text_.size() ? text_[i] : '\0'; }
    [[nodiscard]] bool done() const noexcept { return at_ >= text_.size(); }
    [[nodiscard]] bool sees(std::string_view what) const noexcept {
        return std::string_view{text_}.substr(at_, what.size()) == what;
    }

    [[nodiscard]] static bool digit(char c) noexcept { return c >= '0' && c <= '9'; }
    [[nodiscard]] static bool letter(char c) noexcept {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
    }
    [[nodiscard]] static bool blank(char c) noexcept {
        return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
    }

    void run() {
        bool fresh = true; // nothing but blanks and comments in this line so far
        while (!done()) {
            const char c = at(at_);
            if (c == '\n') {
                fresh = true;
                ++at_;
            } else if (blank(c)) {
                ++at_;
            } else if (skip_comment()) {
                // it leaves the line as fresh as it was
            } else if (fresh && (c == '#' || sees("%:"))) {
                at_ += c == '#' ? 1 : 2;
                fresh = false;
                directive();
            } else {
                fresh = false;
                skip_token();
            }
        }
    }

    bool skip_comment() {
        if (sees("//")) {
            at_ = std::min(text_.find('\n', at_), text_.size());
            return true;
        }
        if (!sees("/*")) return false;
        const std::size_t end = text_.find("*/", at_ + 2);
        at_ = end == text_.npos ? text_.size() : end + 2;
        return true;
    }

    void skip_token() {
        const char c = at(at_);
        if (c == '"' || c == '\'') {
            skip_literal(c);
        } else if (digit(c) || (c == '.' && digit(at(at_ + 1)))) {
            ++at_; // a number, of which 1'000 has no character literal
            while (digit(at(at_)) || letter(at(at_)) || at(at_) == '.' ||
                   (at(at_) == '\'' && (digit(at(at_ + 1)) || letter(at(at_ + 1)))))
                ++at_;
        } else if (letter(c)) {
            const std::string word = take_word();
            const bool raw = word == "R" || word == "u8R" || word == "uR" || word == "UR" || word == "LR";
            if (raw && at(at_) == '"') skip_raw_string();
        } else {
            ++at_;
        }
    }

    void skip_literal(char quote) {
        for (++at_; !done() && at(at_) != '\n'; ++at_) {
            if (at(at_) == '\\') {
                ++at_;
            } else if (at(at_) == quote) {
                ++at_;
                return;
            }
        }
    }

    void skip_raw_string() {
        const std::size_t open = text_.find('(', at_);
        if (open == text_.npos) {
            at_ = text_.size();
            return;
        }
        const std::string close = ")" + text_.substr(at_ + 1, open - at_ - 1) + "\"";
        const std::size_t end = text_.find(close, open);
        at_ = end == text_.npos ? text_.size() : end + close.size();
    }

    [[nodiscard]] std::string take_word() {
        const std::size_t from = at_;
        while (letter(at(at_)) || digit(at(at_))) ++at_;
        return text_.substr(from, at_ - from);
    }

    void skip_blanks() {
        while (!done() && (blank(at(at_)) || skip_comment_within_line())) {
            if (!done() && blank(at(at_))) ++at_;
        }
    }
    bool skip_comment_within_line() { return sees("/*") && skip_comment(); }

    /// What is left of a directive's line, without comments.
    [[nodiscard]] std::string take_line() {
        std::string out;
        while (!done() && at(at_) != '\n') {
            if (skip_comment()) {
                out += ' ';
            } else if (at(at_) == '"' || at(at_) == '\'') {
                const std::size_t from = at_;
                skip_literal(at(at_));
                out += text_.substr(from, at_ - from);
            } else {
                out += at(at_++);
            }
        }
        return out;
    }
    [[nodiscard]] static std::string without_blanks(std::string text) {
        std::erase_if(text, blank);
        return text;
    }

    void directive() {
        skip_blanks();
        const unsigned line = done() ? 0 : lines_[at_];
        const std::string word = take_word();
        if (word == "include" || word == "import")
            include(line, false);
        else if (word == "include_next")
            include(line, true);
        else if (word == "if")
            enter(without_blanks(take_line()));
        else if (word == "ifdef" || word == "ifndef")
            enter(word + ' ' + without_blanks(take_line()));
        else if (word == "elif")
            branch(without_blanks(take_line()));
        else if (word == "elifdef" || word == "elifndef" || word == "else")
            branch(word + ' ' + without_blanks(take_line()));
        else if (word == "endif" && !conditions_.empty())
            conditions_.pop_back();
    }

    void enter(std::string condition) {
        const truth holds = holds_freestanding(condition);
        conditions_.push_back({holds == truth::no, holds == truth::yes, std::move(condition)});
    }
    void branch(std::string condition) {
        if (conditions_.empty()) return;
        conditional& now = conditions_.back();
        const truth holds = holds_freestanding(condition);
        now.dead = now.rest_dead || holds == truth::no;
        now.rest_dead = now.rest_dead || holds == truth::yes;
        now.condition = std::move(condition);
    }

    /// What is certain of a condition where __STDC_HOSTED__ is 0.
    [[nodiscard]] static truth holds_freestanding(std::string_view condition) {
        while (enclosed(condition)) condition = condition.substr(1, condition.size() - 2);
        for (const std::string_view no : {"0", "false", "__STDC_HOSTED__", "__STDC_HOSTED__==1", "1==__STDC_HOSTED__",
                                          "__STDC_HOSTED__!=0", "__STDC_HOSTED__>0"})
            if (condition == no) return truth::no;
        for (const std::string_view yes : {"1", "true", "!__STDC_HOSTED__", "!(__STDC_HOSTED__)", "__STDC_HOSTED__==0",
                                           "0==__STDC_HOSTED__", "__STDC_HOSTED__!=1", "__STDC_HOSTED__<1"})
            if (condition == yes) return truth::yes;
        // A conjunction with a part that does not hold.
        if (split(condition, "||").size() == 1) {
            const std::vector<std::string_view> parts = split(condition, "&&");
            if (parts.size() > 1)
                for (const std::string_view part : parts)
                    if (holds_freestanding(part) == truth::no) return truth::no;
        }
        return truth::unknown;
    }

    /// Whether one pair of parentheses holds all of it.
    [[nodiscard]] static bool enclosed(std::string_view text) noexcept {
        if (!text.starts_with('(')) return false;
        int depth = 0;
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (text[i] == '(') ++depth;
            if (text[i] == ')' && --depth == 0) return i + 1 == text.size();
        }
        return false;
    }

    /// Split at an operator that stands outside all parentheses.
    [[nodiscard]] static std::vector<std::string_view> split(std::string_view text, std::string_view at) {
        std::vector<std::string_view> parts;
        std::size_t from = 0;
        int depth = 0;
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (text[i] == '(') ++depth;
            if (text[i] == ')') --depth;
            if (depth == 0 && text.substr(i, at.size()) == at) {
                parts.push_back(text.substr(from, i - from));
                from = i + at.size();
                i = from - 1;
            }
        }
        parts.push_back(text.substr(from));
        return parts;
    }

    void include(unsigned line, bool next) {
        skip_blanks();
        include_directive out;
        out.line = line;
        const char open = at(at_);
        const char close = open == '<' ? '>' : '"';
        const std::size_t end = open == '<' || open == '"' ? text_.find_first_of(std::string{close, '\n'}, at_ + 1)
                                                           : text_.npos;
        if (end != text_.npos && text_[end] == close) {
            out.how = open == '<' ? include_directive::form::angled : include_directive::form::quoted;
            out.name = text_.substr(at_ + 1, end - at_ - 1);
            at_ = end + 1;
        } else {
            out.how = include_directive::form::computed;
            out.name = take_line();
            while (!out.name.empty() && blank(out.name.back())) out.name.pop_back();
        }
        if (next) out.how = include_directive::form::next;

        const std::string in_quotes = "__has_include(\"" + without_blanks(out.name) + "\")";
        const std::string in_brackets = "__has_include(<" + without_blanks(out.name) + ">)";
        for (const conditional& outer : conditions_) {
            if (outer.dead) return;
            if (outer.condition.find(in_quotes) != outer.condition.npos ||
                outer.condition.find(in_brackets) != outer.condition.npos)
                out.optional = true;
        }
        found_.push_back(std::move(out));
    }

    std::string text_;             ///< with continued lines joined
    std::vector<unsigned> lines_;  ///< the line of each character
    std::size_t at_ = 0;
    std::vector<conditional> conditions_;
    std::vector<include_directive> found_;
};

} // namespace mediant::kernel
