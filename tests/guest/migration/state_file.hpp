// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Migration as a user of VFIO has it (linux/vfio.h, version 2): states by VFIO_DEVICE_FEATURE, a stream by its file.
/// What the headers of the oldest kernel lack is spelled out.

#ifndef MEDIANT_TESTS_GUEST_STATE_FILE_HPP
#define MEDIANT_TESTS_GUEST_STATE_FILE_HPP

#include "../vfio_client.hpp"

#include <array>

namespace mediant::guest {

/// VFIO_DEVICE_STATE_PRE_COPY and PRE_COPY_P2P, from 6.2 on.
inline constexpr std::uint32_t state_pre_copy = 6, state_pre_copy_p2p = 7;

/// A feature's number and data, as the kernel left them: 0 or errno.
template <class T>
int device_feature(const device& of, std::uint32_t flags, T& data) {
    alignas(8) std::array<std::byte, sizeof(vfio_device_feature) + sizeof(T)> bytes{};
    vfio_device_feature head{};
    head.argsz = bytes.size();
    head.flags = flags;
    std::memcpy(bytes.data(), &head, sizeof head);
    std::memcpy(bytes.data() + sizeof head, &data, sizeof data);
    const int error = of.raw_ioctl(VFIO_DEVICE_FEATURE, bytes.data());
    std::memcpy(&data, bytes.data() + sizeof head, sizeof data);
    return error;
}

/// VFIO_MIGRATION_*; throws where the device does not migrate.
inline std::uint64_t migration_flags(const device& of) {
    vfio_device_feature_migration answer{};
    const int error = device_feature(of, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION, answer);
    if (error != 0) fail(error, "VFIO_DEVICE_FEATURE_MIGRATION");
    return answer.flags;
}

inline std::uint32_t state_of(const device& of) {
    vfio_device_feature_mig_state answer{};
    const int error = device_feature(of, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, answer);
    if (error != 0) fail(error, "VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE");
    return answer.device_state;
}

/// What came of a change of state.
struct transition {
    int error = 0;
    unique_fd file; ///< of a stream that begins there
};
inline transition set_state(const device& of, std::uint32_t state) {
    vfio_device_feature_mig_state request{};
    request.device_state = state;
    request.data_fd = -1;
    const int error = device_feature(of, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, request);
    return {error, unique_fd{error == 0 ? request.data_fd : -1}};
}

/// VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, from 6.2 on.
inline std::uint64_t data_size(const device& of) {
    std::uint64_t bytes = 0;
    if (const int error = device_feature(of, VFIO_DEVICE_FEATURE_GET | 9u, bytes); error != 0)
        fail(error, "VFIO_DEVICE_FEATURE_MIG_DATA_SIZE");
    return bytes;
}

/// VFIO_MIG_GET_PRECOPY_INFO, from 6.2 on.
struct precopy_info {
    std::uint32_t argsz = sizeof(std::uint64_t) * 3;
    std::uint32_t flags = 0;
    std::uint64_t initial_bytes = 0;
    std::uint64_t dirty_bytes = 0;
    int error = 0; ///< behind what the kernel knows of
};
inline precopy_info precopy_of(const unique_fd& stream, std::uint32_t size = 24) {
    precopy_info out;
    out.argsz = size;
    if (::ioctl(stream.get(), _IO(VFIO_TYPE, VFIO_BASE + 21), &out) < 0) out.error = errno;
    return out;
}

inline outcome read_stream(int stream, std::span<std::byte> to) {
    const ssize_t count = ::read(stream, to.data(), to.size());
    return {count, count < 0 ? errno : 0};
}
inline outcome write_stream(int stream, std::span<const std::byte> from) {
    const ssize_t count = ::write(stream, from.data(), from.size());
    return {count, count < 0 ? errno : 0};
}
inline outcome read_stream(const unique_fd& stream, std::span<std::byte> to) { return read_stream(stream.get(), to); }
inline outcome write_stream(const unique_fd& stream, std::span<const std::byte> from) {
    return write_stream(stream.get(), from);
}

/// What is left of a stream.
inline std::vector<std::byte> saved(const unique_fd& stream) {
    std::vector<std::byte> out(1 << 20);
    std::size_t size = 0;
    for (;;) {
        const outcome got = read_stream(stream, std::span{out}.subspan(size));
        if (got.count < 0) fail(got.error, "read of a stream");
        if (got.count == 0) break;
        size += static_cast<std::size_t>(got.count);
    }
    out.resize(size);
    return out;
}

/// The device's whole state; it is stopped then.
inline std::vector<std::byte> save(const device& of) {
    const transition way = set_state(of, VFIO_DEVICE_STATE_STOP_COPY);
    if (way.error != 0) fail(way.error, "STOP_COPY");
    return saved(way.file);
}

/// Gives a device a state and stops it: 0, or errno of what was refused first.
inline int restore(const device& of, std::span<const std::byte> stream) {
    const transition way = set_state(of, VFIO_DEVICE_STATE_RESUMING);
    if (way.error != 0) return way.error;
    while (!stream.empty()) {
        const outcome done = write_stream(way.file, stream);
        if (done.count < 0) {
            static_cast<void>(set_state(of, VFIO_DEVICE_STATE_STOP));
            return done.error;
        }
        stream = stream.subspan(static_cast<std::size_t>(done.count));
    }
    return set_state(of, VFIO_DEVICE_STATE_STOP).error;
}

} // namespace mediant::guest

#endif
