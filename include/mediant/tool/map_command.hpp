// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/tool/map_html.hpp>
#include <mediant/tool/map_json.hpp>
#include <mediant/tool/map_markdown.hpp>
#include <mediant/tool/map_text.hpp>
#include <mediant/tool/program.hpp>
#include <mediant/tool/shim_command.hpp>

#include <fmt/core.h>
#include <fmt/ostream.h>

#include <filesystem>
#include <fstream>
#include <ios>
#include <ostream>
#include <string>
#include <vector>

namespace mediant::command_line {

struct map_request {
    std::string provider;        ///< a name, or a device; all where empty
    std::string format = "text"; ///< "text", "html", "markdown" or "json"
    std::filesystem::path out;   ///< standard output where empty
};

/// The maps of one provider, or of all, as a table or a drawing. usage_error for an unknown format.
inline exit_code run_map(const program& what, const map_request& request, std::ostream& out) {
    std::vector<map_facts> all;
    if (request.provider.empty())
        for (const program_provider& provider : what.providers) all.push_back(provider.map());
    else
        all.push_back(what.providers[find_provider(what, request.provider)].map());

    std::string text;
    if (request.format == "text")
        text = map_summary::text(all);
    else if (request.format == "html")
        text = map_page::html(all);
    else if (request.format == "markdown")
        text = map_tables::markdown(all);
    else if (request.format == "json")
        text = map_document::text(all);
    else
        throw usage_error{fmt::format("map: no format {}; there are text, html, markdown and json", request.format)};
    if (request.out.empty()) {
        out << text;
    } else {
        std::ofstream file{request.out, std::ios::binary | std::ios::trunc};
        file << text;
        file.close();
        if (!file) throw command_error{request.out.string() + ": cannot be written"};
        fmt::print(out, "{}: {} bytes\n", request.out.string(), text.size());
    }
    return success;
}

} // namespace mediant::command_line
