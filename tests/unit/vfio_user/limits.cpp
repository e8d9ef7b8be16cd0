// SPDX-License-Identifier: BSD-3-Clause
// The limits that the README of vfio_user tells are those of the code.
#include <mediant/vfio_user/features.hpp>
#include <mediant/vfio_user/options.hpp>
#include <mediant/vfio_user/received_files.hpp>
#include <mediant/vfio_user/remote_device.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>
#include <string>

using namespace mediant::vfio_user;

namespace {

const auto folder = std::filesystem::path{__FILE__}.parent_path() / "../../../include/mediant/vfio_user";

std::string text_of(const char* name) {
    std::ifstream file{folder / name};
    std::stringstream all;
    all << file.rdbuf();
    return all.str();
}

/// The rows of the tables of limits: what by default, by option, and by what it is where there is none.
std::map<std::string, std::string> told() {
    const auto readme = text_of("README.md");
    std::istringstream lines{readme.substr(readme.find("## Limits"))};
    std::map<std::string, std::string> found;
    const std::regex row{R"(\| (.*) \| (.*) \| (.*) \|)"};
    for (std::string line; std::getline(lines, line);) {
        std::smatch parts;
        if (!std::regex_match(line, parts, row)) continue;
        const std::string option = parts[2];
        const bool named = option.front() == '`';
        found[named ? option.substr(1, option.size() - 2) : parts[1].str()] = parts[3];
    }
    return found;
}

std::string bytes(std::uint64_t count) {
    constexpr std::array units{"", " KiB", " MiB", " GiB", " TiB"};
    std::size_t unit = 0;
    for (; count % 1024 == 0 && unit + 1 < units.size(); ++unit) count /= 1024;
    return std::to_string(count) + units[unit];
}
std::string time_of(std::chrono::milliseconds length) {
    return length.count() % 1000 == 0 ? std::to_string(length.count() / 1000) + " s"
                                      : std::to_string(length.count()) + " ms";
}

} // namespace

TEST_CASE("vfio-user limits: the README tells those of the code") {
    auto rows = told();
    const server_options by_default;
    CHECK(rows["max_data_xfer"] == bytes(by_default.max_data_xfer));
    CHECK(rows["max_queued"] == bytes(by_default.max_queued));
    CHECK(rows["max_msg_fds"] ==
          std::to_string(by_default.max_msg_fds) + ", at most " + std::to_string(most_fds));
    CHECK(rows["max_dma_maps"] == std::to_string(by_default.max_dma_maps));
    CHECK(rows["max_dma_bytes"] == bytes(by_default.max_dma_bytes));
    CHECK(rows["memory_files_only"] == (by_default.memory_files_only ? "on" : "off; `serve`: on"));
    CHECK(rows["max_regions"] == std::to_string(by_default.max_regions));
    CHECK(rows["max_version_data"] == bytes(by_default.max_version_data));
    CHECK(rows["handshake_timeout"] == time_of(by_default.handshake_timeout));
    CHECK(rows["dma_timeout"] == time_of(by_default.dma_timeout));
    CHECK(rows["dma_budget"] == time_of(by_default.dma_budget));
    CHECK(rows["backlog"] == std::to_string(by_default.backlog));
    CHECK(rows["remote_options::patience"] == time_of(remote_options{}.patience));
    CHECK(rows["ranges of one DMA_LOGGING_START"] == std::to_string(most_logging_ranges));
    CHECK(rows["descriptors that have come and wait"] == std::to_string(2 * most_fds));
    CHECK(rows["threads that close files of clients"] == std::to_string(detail::file_closer::most_threads));
    CHECK(rows["files that wait to be closed"] == std::to_string(detail::file_closer::most_waiting));
}

TEST_CASE("vfio-user limits: none of the options is missing") {
    const auto rows = told();
    const auto code = text_of("options.hpp");
    const std::regex limit{R"((max_\w+|\w+_timeout|\w+_budget|\w+_only|backlog)( = |\{))"};
    int count = 0;
    for (auto at = std::sregex_iterator(code.begin(), code.end(), limit); at != std::sregex_iterator{}; ++at, ++count) {
        INFO((*at)[1].str());
        CHECK(rows.contains((*at)[1].str()));
    }
    CHECK(count == 12);
}
