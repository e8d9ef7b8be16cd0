// SPDX-License-Identifier: BSD-3-Clause
#include <mediant/core/result.hpp>

#include <catch2/catch.hpp>

#include <cerrno>
#include <cstdint>

using namespace mediant;

TEST_CASE("a result holds a value or an error") {
    const result<std::uint32_t> good = 7u;
    CHECK(good.has_value());
    CHECK(static_cast<bool>(good));
    CHECK(*good == 7);
    CHECK(good.value_or(1) == 7);
    CHECK(good.error() == error::none);

    const result<std::uint32_t> bad = error::invalid;
    CHECK_FALSE(bad.has_value());
    CHECK_FALSE(static_cast<bool>(bad));
    CHECK(bad.value_or(1) == 1);
    CHECK(bad.error() == error::invalid);
}

TEST_CASE("a value of zero is a value") {
    const result<std::uint64_t> zero = std::uint64_t{0};
    CHECK(zero.has_value());
    CHECK(zero.error() == error::none);
}

TEST_CASE("a result can be changed in place and reached into") {
    struct pair {
        int a = 0;
        int b = 0;
    };
    result<pair> both = pair{1, 2};
    CHECK(both->b == 2);
    (*both).a = 5;
    CHECK(both->a == 5);
}

TEST_CASE("a result of nothing is success or an error") {
    const result<void> good;
    CHECK(good.has_value());
    CHECK(good.error() == error::none);
    const result<void> bad = error::busy;
    CHECK_FALSE(bad);
    CHECK(bad.error() == error::busy);
}

TEST_CASE("errors are the system's errno numbers") {
    CHECK(to_errno(error::none) == 0);
    CHECK(to_errno(error::not_permitted) == EPERM);
    CHECK(to_errno(error::not_found) == ENOENT);
    CHECK(to_errno(error::io) == EIO);
    CHECK(to_errno(error::no_address) == ENXIO);
    CHECK(to_errno(error::too_big) == E2BIG);
    CHECK(to_errno(error::again) == EAGAIN);
    CHECK(to_errno(error::no_memory) == ENOMEM);
    CHECK(to_errno(error::denied) == EACCES);
    CHECK(to_errno(error::fault) == EFAULT);
    CHECK(to_errno(error::busy) == EBUSY);
    CHECK(to_errno(error::exists) == EEXIST);
    CHECK(to_errno(error::no_device) == ENODEV);
    CHECK(to_errno(error::invalid) == EINVAL);
    CHECK(to_errno(error::not_a_request) == ENOTTY);
    CHECK(to_errno(error::no_space) == ENOSPC);
    CHECK(to_errno(error::out_of_range) == ERANGE);
    CHECK(to_errno(error::not_supported) == EOPNOTSUPP);
}
