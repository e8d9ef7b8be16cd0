// SPDX-License-Identifier: BSD-3-Clause
// Cases of VERSION.
#include "suite.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <string>

namespace wire_conformance {

namespace {

constexpr const char* section = "VFIO_USER_VERSION";

struct agreement {
    std::uint16_t minor = 0;
    nlohmann::json capabilities;
    std::vector<unique_fd> fds;
};

agreement agree(conversation& with, const bytes& whole) {
    auto came = with.expect(whole);
    require(came.payload.size() >= 4, "answers with less than the version");
    require(at<std::uint16_t>(came.payload, 0) == 0, "answers with another major version");
    require(at<std::uint16_t>(came.payload, 2) <= at<std::uint16_t>(whole, header_size + 2),
            "answers with a higher minor version than was proposed");
    agreement found{.minor = at<std::uint16_t>(came.payload, 2), .capabilities = {}, .fds = std::move(came.fds)};
    if (came.payload.size() > 4) {
        require(came.payload.back() == 0, "answers with JSON that has no NUL at its end");
        const auto json = nlohmann::json::parse(came.payload.begin() + 4, came.payload.end() - 1, nullptr, false);
        require(json.is_object(), "answers with broken JSON");
        found.capabilities = json.value("capabilities", nlohmann::json::object());
        require(found.capabilities.is_object(), "answers with capabilities that are no object");
    }
    return found;
}

/// It is refused: by an error, by the connection's end, or by both. The next client is served.
void turned_away(conversation& with, const bytes& whole) {
    (void)with.send(whole);
    try {
        require(with.wire().receive().failed, "succeeds");
    } catch (const observed& seen) {
        if (seen.what != hung_up) throw;
    }
    with.connect();
    with.works();
}

void good(conversation& with, const bytes& whole) {
    (void)agree(with, whole);
    with.works();
}

} // namespace

void add_version_cases(test_cases& to) {
    const auto add = [&](const std::string& name, const std::string& expects, auto run) {
        to.push_back({"version/" + name, section, expects, run, false});
    };
    for (const std::uint32_t minor : {0u, 1u, 2u, 3u, 0xffffu})
        add("minor/" + std::to_string(minor), "major 0 and at most this minor",
            [minor](conversation& with) { good(with, version_of(usual_capabilities, u16(minor))); });
    add("without-JSON", "it is optional: it works", [](conversation& with) { good(with, version_of("")); });
    for (
        const auto& [name, text] :
        {std::pair{"empty", "{}"},
         {"no-capabilities", R"({"capabilities":{}})"},
         {"unknown-key", R"({"vendor":[1,2]})"},
         {"unknown-capability", R"({"capabilities":{"teleport":true}})"},
         {"space", " {\n\"capabilities\" : { } }\t"},
         {"all",
          R"({"capabilities":{"max_msg_fds":8,"max_data_xfer_size":1048576,"max_dma_maps":65535,"pgsizes":4096,"twin_socket":{"supported":false},"write_multiple":true}})"}})
        add(std::string{"JSON/"} + name, "it works", [text](conversation& with) { good(with, version_of(text)); });
    add("reply-is-JSON", "what is in the reply is an object of the types that the specification gives",
        [](conversation& with) {
            const auto found = agree(with, version_of(usual_capabilities));
            for (const char* const name : {"max_msg_fds", "max_data_xfer_size", "max_dma_maps", "pgsizes"})
                require(!found.capabilities.contains(name) || found.capabilities[name].is_number_unsigned(),
                        std::string{name} + " is no number");
            require(!found.capabilities.contains("write_multiple") || found.capabilities["write_multiple"].is_boolean(),
                    "write_multiple is no boolean");
        });
    add("write_multiple-unasked", "not in the reply, being not proposed", [](conversation& with) {
        const auto found = agree(with, version_of(R"({"capabilities":{"max_msg_fds":8}})"));
        require(!found.capabilities.value("write_multiple", false), "offers write_multiple");
    });
    add("twin_socket-unasked", "not in the reply, being not proposed", [](conversation& with) {
        const auto found = agree(with, version_of(usual_capabilities));
        require(!found.capabilities.contains("twin_socket") ||
                    !found.capabilities["twin_socket"].value("supported", false),
                "offers twin_socket");
        require(found.fds.empty(), "sends a descriptor");
    });
    add("twin_socket", "either a socket, found by fd_index, or nothing of the kind", [](conversation& with) {
        const auto found = agree(with,
                                 version_of(R"({"capabilities":{"max_msg_fds":8,"twin_socket":{"supported":true}}})"));
        const auto twin = found.capabilities.value("twin_socket", nlohmann::json::object());
        if (!twin.value("supported", false)) {
            require(found.fds.empty(), "sends a descriptor without twin_socket");
            throw not_offered{"no twin_socket"};
        }
        require(twin.contains("fd_index") && twin["fd_index"].is_number_unsigned() &&
                    twin["fd_index"].get<std::uint64_t>() < found.fds.size(),
                "answers with an fd_index of no descriptor");
        with.works();
    });

    add("major", "no agreement on major 1",
        [](conversation& with) { turned_away(with, version_of(usual_capabilities, 0, 1)); });
    for (const std::size_t size : {0u, 1u, 2u, 3u})
        add("short/" + std::to_string(size), "refused",
            [size](conversation& with) { turned_away(with, resized(version_of(""), size)); });
    for (const auto& [name, text] : {std::pair{"broken", "{"},
                                     {"array", "[]"},
                                     {"number", "1"},
                                     {"nothing-but-space", " "},
                                     {"capabilities-are-no-object", R"({"capabilities":7})"},
                                     {"max_msg_fds-is-text", R"({"capabilities":{"max_msg_fds":"8"}})"},
                                     {"max_msg_fds-is-negative", R"({"capabilities":{"max_msg_fds":-1}})"},
                                     {"pgsizes-is-text", R"({"capabilities":{"pgsizes":"4096"}})"},
                                     {"max_data_xfer_size-is-text", R"({"capabilities":{"max_data_xfer_size":"1"}})"},
                                     {"write_multiple-is-a-number", R"({"capabilities":{"write_multiple":1}})"},
                                     {"twin_socket-is-a-boolean", R"({"capabilities":{"twin_socket":true}})"}})
        add(std::string{"JSON/"} + name, "refused",
            [text](conversation& with) { turned_away(with, version_of(text)); });
    add("JSON/no-NUL", "refused", [](conversation& with) {
        const auto whole = version_of(usual_capabilities);
        turned_away(with, resized(whole, whole.size() - header_size - 1));
    });
    add("JSON/nested-deep", "it works or is refused; the next client is served", [](conversation& with) {
        (void)with.send(version_of(std::string(5000, '[')));
        (void)with.wire().ends();
        with.connect();
        with.works();
    });
    add("twice", "the second is refused, and the next command works", [](conversation& with) {
        (void)agree(with, version_of(usual_capabilities));
        with.refused(version_of(usual_capabilities));
    });
    for (const auto& [name, whole] : {std::pair{"DEVICE_GET_INFO", info_of()},
                                      {"REGION_READ", read_of(0, 4)},
                                      {"DMA_MAP", map_of(0, 0x1000)},
                                      {"DEVICE_RESET", message(device_reset)},
                                      {"an-unknown-command", message(100)}})
        add(std::string{"not-first/"} + name, "refused: VERSION is the first",
            [whole](conversation& with) { turned_away(with, whole); });
    add("silent-client", "the next client is served when it is gone", [](conversation& with) {
        with.hang_up();
        with.connect();
        with.works();
    });
}

} // namespace wire_conformance
