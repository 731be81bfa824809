#pragma once
// The runtime of an I/O test: which driver and which rings the lane wants, and the balance at the
// end.
//
//   run_io([]() -> task<> { … });               // one core
//   run_io(io_cores(2), [](scope& s) -> task<> { … });
//
// After the body no operation is in flight on any core, and the process has as many descriptors as
// before: what closes in the background has closed.

#include <corespun/io/drivers.hpp>
#include <corespun/runtime/result.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/sleep.hpp>
#include <corespun/runtime/this_core.hpp>

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "tests/support/run.hpp"
#include "tests/support/sim_machine.hpp"

namespace corespun::test {

/// In the lane of small rings: two submission slots, eight completions, one buffer of each size.
[[nodiscard]] inline io_options lane_io() {
  io_options io;
  const char* const rings = std::getenv("CORESPUN_TEST_RINGS");
  if (rings != nullptr && std::string_view(rings) == "small") {
    io.ring_entries = 2;
    io.small_buffers = 1;
    io.large_buffers = 1;
  }
  return io;
}

/// n cores with I/O. The library itself reads CORESPUN_DRIVER.
[[nodiscard]] inline runtime_options io_cores(unsigned n, io_options io = lane_io()) {
  runtime_options options = cores(n);
  options.driver = io_drivers(io);
  if (on_sim()) sim_machine::get().play(options, io);
  return options;
}

/// Whether this lane runs on io_uring. For skips with a reason.
[[nodiscard]] inline bool on_uring() {
  static const bool yes = [] {
    runtime rt(io_cores(1));
    auto name = rt.run([]() -> task<std::string> { co_return this_core::driver_name(); });
    return std::move(name).value() == "uring";
  }();
  return yes;
}

[[nodiscard]] inline std::size_t open_descriptors() {
  if (on_sim()) return sim_machine::get().kernel.descriptors();
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

/// Waits until this core has no operation in flight.
inline task<> quiet() {
  while (this_core_io().in_flight != 0) {
    if (on_sim()) co_await sleep_for(std::chrono::milliseconds(1));
    co_await yield();
  }
}

inline task<> quiet_everywhere() {
  auto body = [](scope& s) -> task<> {
    for (unsigned core = 0; core < this_core::count(); ++core) (void)s.spawn_on(core, quiet);
    co_return;
  };
  co_await with_scope(body);
}

template <typename Fn>
task<> then_quiet(Fn fn) {
  if constexpr (std::is_invocable_v<Fn&, scope&>) {
    auto body = with_scope(std::move(fn));
    co_await std::move(body);
  } else {
    auto body = fn();
    co_await std::move(body);
  }
  co_await quiet_everywhere();
}

/// Runs fn, which returns task<> and may take a scope&, and checks the balance.
template <typename Fn>
void run_io(runtime_options options, Fn fn) {
  (void)on_uring();  // asked once, before anything is counted
  const std::size_t before = open_descriptors();
  run_with(std::move(options), [&fn] { return then_quiet(std::move(fn)); });
  EXPECT_EQ(open_descriptors(), before) << "descriptors were lost or closed twice";
}
template <typename Fn>
void run_io(Fn fn) {
  run_io(io_cores(1), std::move(fn));
}

/// The value; an error fails the test by an exception, which ends a coroutine as well.
template <typename T>
T need(result<T> r, std::source_location at = std::source_location::current()) {
  if (!r) {
    throw std::runtime_error(std::string(at.file_name()) + ":" + std::to_string(at.line()) + ": " +
                             explain(r.error(), "what the test needs"));
  }
  if constexpr (!std::is_void_v<T>) return std::move(*r);
}

/// The error of a result that must be one; the empty error otherwise.
template <typename T>
[[nodiscard]] std::error_code error_in(const result<T>& r) {
  return r ? std::error_code{} : r.error();
}

}  // namespace corespun::test
