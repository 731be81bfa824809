#pragma once
// Runs the body of a test as the main task of a runtime, under the watchdog.

#include <corespun/runtime/driver.hpp>
#include <corespun/runtime/loop.hpp>
#include <corespun/runtime/runtime.hpp>

#include <gtest/gtest.h>

#include <functional>
#include <memory>
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
  options.stall_notice = {};  // a test may block; what is about the notice says so
  if (on_sim()) sim_machine::get().play(options, io_options());
  return options;
}

/// The same for a loop.
[[nodiscard]] inline loop_options loop_like(const runtime_options& options) {
  loop_options l;
  l.driver = options.driver;
  l.simulation = options.simulation;
  return l;
}

/// The driver of the lane; what it tells each core before its first turn is up to the test.
class tuning_driver final : public driver {
 public:
  tuning_driver(std::unique_ptr<driver> real, std::function<void(detail::core&)> tune)
      : real_(std::move(real)), tune_(std::move(tune)) {}

  void attach(detail::core& c) override {
    tune_(c);
    real_->attach(c);
  }
  void all_attached() override { real_->all_attached(); }
  void poll(clock::time_point deadline) override { real_->poll(deadline); }
  void wake() noexcept override { real_->wake(); }
  [[nodiscard]] std::size_t in_flight() const noexcept override { return real_->in_flight(); }
  void cancel_all() override { real_->cancel_all(); }
  [[nodiscard]] const char* name() const noexcept override { return real_->name(); }

 private:
  std::unique_ptr<driver> real_;
  std::function<void(detail::core&)> tune_;
};

/// tune(core&) for each core before its first turn, on its own thread.
[[nodiscard]] inline runtime_options tuned(runtime_options options,
                                           std::function<void(detail::core&)> tune) {
  options.driver = [real = std::move(options.driver), tune = std::move(tune)](unsigned index) {
    return std::make_unique<tuning_driver>(real(index), tune);
  };
  return options;
}

/// Free tasks, and cores that call for help at once, so that much is stolen.
[[nodiscard]] inline runtime_options eager(runtime_options options) {
  options.affinity = affinity::any;
  options = tuned(std::move(options), [](detail::core& c) {
    c.worth_a_wake = clock::duration::zero();
    c.run_budget = 4;
  });
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
