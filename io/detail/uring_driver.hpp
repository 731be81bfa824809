#pragma once

#include <corespun/io/options.hpp>
#include <corespun/runtime/driver.hpp>

#include <atomic>
#include <cstdint>
#include <memory>

namespace corespun::detail {

/// Sets a ring up and tries it. Throws std::system_error with an explanation if this process cannot
/// use one.
[[nodiscard]] std::unique_ptr<driver> make_uring_driver(const io_options& options);

/// For tests: operations (bits by opcode) that rings made from now on shall refuse, by the kernel's
/// own restrictions.
inline std::atomic<std::uint64_t> refused_operations{0};

}  // namespace corespun::detail
