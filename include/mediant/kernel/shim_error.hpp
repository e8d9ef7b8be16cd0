// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <stdexcept>

namespace mediant::kernel {

/// A module tree cannot be made, written or checked; what() says what is wrong and where.
class shim_error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

} // namespace mediant::kernel
