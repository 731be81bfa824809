#pragma once
// Runs the body of a test as the main task of a runtime, under the watchdog.

#include <corespun/runtime/runtime.hpp>

#include <gtest/gtest.h>

#include <utility>

#include "tests/support/sim_machine.hpp"
#include "tests/support/watchdog.hpp"

namespace corespun::test {

/// n cores; not pinned, since tests run beside each other. Tasks are bound, so that they run in
/// order; what is about free ones says so.
[[nodiscard]] inline runtime_options cores(unsigned n) {
  runtime_options options;
  options.cores = n;
  options.pin = false;
  options.affinity = affinity::core;
  if (on_sim()) sim_machine::get().play(options, io_options());
  return options;
}

/// fn() or fn(scope&) as one task that the watchdog knows.
template <typename Fn>
task<> watched(Fn fn) {
  const watched_root here(co_await this_root());
  if constexpr (std::is_invocable_v<Fn&, scope&>) {
    auto body = with_scope(std::move(fn));
    co_await std::move(body);
  } else {
    auto body = fn();
    co_await std::move(body);
  }
}

/// Runs fn, which returns task<> and may take a scope&, and tells how it ended.
template <typename Fn>
outcome<void> outcome_with(runtime_options options, Fn fn) {
  runtime rt(std::move(options));
  return rt.run([&fn] { return watched(std::move(fn)); });
}

/// The same for a test that ends by itself.
template <typename Fn>
void run_with(runtime_options options, Fn fn) {
  EXPECT_TRUE(outcome_with(std::move(options), std::move(fn)).has_value()) << "main was stopped";
}
template <typename Fn>
void run_on(unsigned n, Fn fn) {
  run_with(cores(n), std::move(fn));
}
template <typename Fn>
void run(Fn fn) {
  run_on(1, std::move(fn));
}

}  // namespace corespun::test
