#pragma once
// io_drivers: io_uring where this process may use it, else epoll.

#include <corespun/io/options.hpp>
#include <corespun/runtime/driver.hpp>

#include <string>

namespace corespun {

/// For runtime_options::driver. Each core tries io_uring with a real no-op, and falls back to epoll
/// on any error, which is said once on stderr. A backend that was forced (option, or
/// CORESPUN_DRIVER in the environment) does not fall back. Errors, when the runtime starts:
/// std::system_error if a forced backend cannot be had; std::invalid_argument for a CORESPUN_DRIVER
/// that is none.
[[nodiscard]] driver_factory io_drivers(io_options options = {});

/// What the calling task's core runs on, with which features, and why not something better. For
/// people.
[[nodiscard]] std::string backend_report();

/// System calls that the driver of this core has made so far; operations in flight there.
struct io_counters {
  std::uint64_t system_calls;
  std::size_t in_flight;
};
[[nodiscard]] io_counters this_core_io();

}  // namespace corespun
