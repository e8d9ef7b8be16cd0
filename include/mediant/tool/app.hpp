// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/tool/program.hpp>
#include <mediant/tool/version.hpp>

#include <CLI/CLI.hpp>
#include <fmt/core.h>
#include <fmt/ostream.h>

#include <exception>
#include <filesystem>
#include <functional>
#include <ostream>
#include <string>
#include <utility>

namespace mediant::command_line {

/// A command line of commands, which end with an exit_code.
class app {
public:
    app(const std::string& about, std::ostream& out, std::ostream& err) : out_{out}, err_{err}, app_{about} {
        app_.set_version_flag("--version", fmt::format("mediant {}", version), "print mediant's version");
        app_.set_help_flag("-h,--help", "print this help");
        app_.require_subcommand(0, 1); // none is complained of below: CLI11 would say so of a misspelt one too
        app_.get_formatter()->column_width(30);
        app_.footer("Exit codes: 0 done, 1 failed or the answer is no, 2 wrong usage.\n"
                    "COMMAND --help says more of each.");
    }

    [[nodiscard]] CLI::App& add(const std::string& name, const std::string& about) {
        CLI::App& command = *app_.add_subcommand(name, about);
        command.set_help_flag("-h,--help", "print this help");
        command.get_formatter()->column_width(30);
        return command;
    }
    /// Runs after the whole command line was understood.
    void does(CLI::App& command, std::function<int()> action) {
        command.callback([this, action = std::move(action)] { action_ = action; });
    }

    int run(int argc, const char* const* argv) {
        const std::string name = argc > 0 ? std::filesystem::path{argv[0]}.filename().string() : "mediant";
        app_.name(name);
        const auto complain = [&](const std::string& why) { fmt::print(err_, "{}: error: {}\n", name, why); };
        try {
            app_.parse(argc, argv);
            return action_();
        } catch (const CLI::Success& asked) { // --help, --version
            return app_.exit(asked, out_, err_);
        } catch (const CLI::ParseError& wrong) {
            complain(wrong.what());
        } catch (const usage_error& wrong) {
            complain(wrong.what());
        } catch (const std::exception& wrong) {
            complain(wrong.what());
            return failure;
        }
        std::string hint = name;
        for (const CLI::App* const chosen : app_.get_subcommands()) hint += ' ' + chosen->get_name();
        fmt::print(err_, "See {} --help.\n", hint);
        return usage;
    }

private:
    std::ostream& out_;
    std::ostream& err_;
    CLI::App app_;
    std::function<int()> action_ = []() -> int { throw usage_error{"a command is needed"}; };
};

} // namespace mediant::command_line
