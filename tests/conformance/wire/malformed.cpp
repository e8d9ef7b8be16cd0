// SPDX-License-Identifier: BSD-3-Clause
// Cases that are the same for each command: payloads too short and too long, and descriptors where none belong.
#include "suite.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace wire_conformance {

namespace {

struct form {
    const char* name;
    const char* section;
    bytes whole;       ///< one that works, or would if the device could
    std::size_t fixed; ///< bytes of the payload that must be there
};

std::vector<form> forms() {
    return {
        {"DMA_MAP", "VFIO_USER_DMA_MAP", map_of(0x40000000, 0x1000), 32},
        {"DMA_UNMAP", "VFIO_USER_DMA_UNMAP", unmap_of(0x40000000, 0x1000), 24},
        {"DEVICE_GET_INFO", "VFIO_USER_DEVICE_GET_INFO", info_of(), 16},
        {"DEVICE_GET_REGION_INFO", "VFIO_USER_DEVICE_GET_REGION_INFO", region_info_of(config_region), 32},
        {"DEVICE_GET_REGION_IO_FDS", "VFIO_USER_DEVICE_GET_REGION_IO_FDS", io_fds_of(config_region), 16},
        {"DEVICE_GET_IRQ_INFO", "VFIO_USER_DEVICE_GET_IRQ_INFO", irq_info_of(0), 16},
        {"DEVICE_SET_IRQS", "VFIO_USER_DEVICE_SET_IRQS", irqs_of(none | trigger, 0, 0, 0), 20},
        {"REGION_READ", "VFIO_USER_REGION_READ", read_of(0, 4), 16},
        {"REGION_WRITE", "VFIO_USER_REGION_WRITE", write_of(scratch, {1}), 17},
        {"REGION_WRITE_MULTI", "VFIO_USER_REGION_WRITE_MULTI", multi_of(1, one_write(scratch, 1, 1)), 32},
        {"DEVICE_FEATURE", "VFIO_USER_DEVICE_FEATURE", feature_of(feature_probe | logging_start), 8},
        {"MIG_DATA_READ", "VFIO_USER_MIG_DATA_READ", message(mig_data_read, pack(u32(4096), u32(64))), 8},
        {"MIG_DATA_WRITE", "VFIO_USER_MIG_DATA_WRITE", message(mig_data_write, pack(u32(12), u32(4), u32(0))), 12},
    };
}

} // namespace

void add_malformed_cases(test_cases& to) {
    for (const form& each : forms()) {
        // Some commands may not be there at all: then every form of theirs is refused, as it should be.
        to.push_back({std::string{"short/"} + each.name, each.section, "an error, for each size up to the whole",
                      [each](conversation& with) {
                          for (std::size_t size = 0; size < each.fixed; ++size)
                              within("of " + std::to_string(size) + " bytes",
                                     [&] { with.refused(resized(each.whole, size)); });
                      }});
        to.push_back({std::string{"long/"} + each.name, "Header",
                      "one answer; what is too much is not taken for messages", [each](conversation& with) {
                          for (const std::size_t more : {1u, 16u, 100u, 5000u, 60000u})
                              within("by " + std::to_string(more) + " bytes", [&] {
                                  with.answered(resized(each.whole, each.whole.size() - header_size + more));
                              });
                      }});
        to.push_back({std::string{"descriptors/"} + each.name, "Security Considerations",
                      "whether it works or not: descriptors that do not belong there are not kept",
                      [each](conversation& with) {
                          const auto file = memory_file(0x1000);
                          const std::vector<int> fds(5, file.get());
                          // As many as it needs by itself are open after the first.
                          with.answered(each.whole, fds);
                          (void)with.ask(unmap_of(0x40000000, 0x1000));
                          const auto before = with.server_files();
                          for (int i = 0; i < 20; ++i) {
                              with.answered(each.whole, fds);
                              (void)with.ask(unmap_of(0x40000000, 0x1000));
                          }
                          with.works();
                          require(with.server_files() <= before, "keeps descriptors");
                      }});
    }
    to.push_back({"descriptors/more-than-announced", "VFIO_USER_VERSION",
                  "an error of what carries more than the server's max_msg_fds; the next command works",
                  [](conversation& with) {
                      const auto file = memory_file(0x1000);
                      const auto before = with.server_files();
                      for (int i = 0; i < 5; ++i) {
                          const std::vector<int> fds(with.device().max_fds + std::size_t{1}, file.get());
                          with.refused(info_of(), 0, fds);
                      }
                      with.works(); // what the last brought may be closed behind its answer
                      require(with.server_files() <= before, "keeps descriptors");
                  }});
    to.push_back({"descriptors/as-many-as-can-be-sent", "Security Considerations", "an answer, and nothing is kept",
                  [](conversation& with) {
                      const auto file = memory_file(0x1000);
                      const auto before = with.server_files();
                      const std::vector<int> fds(253, file.get());
                      for (int i = 0; i < 20; ++i) with.answered(info_of(), fds);
                      with.works();
                      require(with.server_files() <= before, "keeps descriptors");
                  }});
    to.push_back({"descriptors/in-the-middle-of-a-message", "Security Considerations",
                  "an answer; what came with a piece of a message is not kept", [](conversation& with) {
                      const auto file = memory_file(0x1000);
                      const auto before = with.server_files();
                      for (std::size_t cut = 1; cut < 32; ++cut) {
                          auto whole = info_of();
                          const auto id = u16(cut);
                          set_id(whole, id);
                          const std::span<const std::uint8_t> all{whole};
                          const std::vector<int> fds(2, file.get());
                          with.wire().send(all.first(cut));
                          with.wire().settle();
                          with.wire().send(all.subspan(cut), fds);
                          (void)with.answer_to(id, get_info);
                      }
                      with.works();
                      require(with.server_files() <= before, "keeps descriptors");
                  }});
    to.push_back({"random-messages", "Security Considerations",
                  "10,000 of known commands and random content: one answer each", [](conversation& with) {
                      std::uint64_t state = 42;
                      const auto random = [&state](std::uint64_t below) {
                          state = state * 6364136223846793005u + 1442695040888963407u;
                          return (state >> 33) % below;
                      };
                      constexpr std::uint64_t odd[] = {0,      1,          4,          16,      32,
                                                       0x1000, 0x7fffffff, 0xffffffff, ~u64(0), u64(1) << 63};
                      const auto all = forms();
                      for (int i = 0; i < 10'000; ++i) {
                          auto whole = all[random(all.size())].whole;
                          // Not the commands that change what the device is.
                          for (std::uint64_t times = random(4); times != 0; --times) {
                              const std::size_t offset = header_size + 4 * random((whole.size() - header_size) / 4);
                              const auto value = u32(odd[random(std::size(odd))]);
                              std::memcpy(whole.data() + offset, &value, std::min(sizeof value, whole.size() - offset));
                          }
                          within("message " + std::to_string(i), [&] { (void)with.ask(whole); });
                      }
                      with.works();
                  }});
}

} // namespace wire_conformance
