#pragma once
// cancel_everywhere: runs a scenario again and again, each time cancelled one step later, until a
// run ends before its cancel; after each run nothing may be lost or left.
//
// Each core runs one task between two looks at its driver, once with completions that go on at once
// as in production, and once with all of them going through the ready queue. A step is the time
// before such a look and the time after it: what was begun has not been submitted, what has
// completed has not been seen. So a cancel comes between any two things that tasks do.

#include <corespun/io/detail/io_driver.hpp>
#include <corespun/runtime/driver.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/when.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <utility>

#include "tests/support/io_run.hpp"
#include "tests/support/trace.hpp"

namespace corespun::test {

/// What is run; a fresh one each time, made and ended on core 0.
class scenario {
 public:
  explicit scenario(int& alive) noexcept : alive_(&alive) {}
  scenario(const scenario&) = delete;
  scenario& operator=(const scenario&) = delete;
  virtual ~scenario() = default;

  /// The main task. Cancelled somewhere, with all that it has spawned into the scope.
  virtual task<> run(scope& s) = 0;
  /// Runs at the same time; nobody cancels it.
  virtual task<> beside() { co_return; }
  /// Checks what must hold however far run() came. Nobody cancels it.
  virtual task<> after() { co_return; }

  /// For frames: all of them must end.
  [[nodiscard]] counted in_frame() const noexcept { return counted(*alive_); }

  bool done = false;  ///< set at the end of run()

 private:
  int* alive_;
};

/// Counts the steps of one core while its window is open, and cancels at one of them.
class cancel_point {
 public:
  explicit cancel_point(std::size_t at) noexcept : left_(at) {}

  /// Open while the body of the scope lives, so that the scope does, too.
  class window {
   public:
    window(cancel_point& p, scope& s) : point_(p) { point_.set(&s); }
    window(const window&) = delete;
    window& operator=(const window&) = delete;
    ~window() { point_.set(nullptr); }

   private:
    cancel_point& point_;
  };

  /// True: it cancelled.
  bool step() {
    const std::lock_guard lock(mutex_);
    if (scope_ == nullptr || reached_ || left_-- > 0) return false;
    reached_ = true;
    scope_->cancel();
    return true;
  }
  [[nodiscard]] bool reached() const noexcept { return reached_; }

 private:
  void set(scope* s) {
    const std::lock_guard lock(mutex_);
    scope_ = s;
  }
  std::mutex mutex_;  // the steps may be those of another core than the scope's
  scope* scope_ = nullptr;
  std::size_t left_;
  bool reached_ = false;
};

/// The driver of the lane, and a step before and after each look at it.
class stepping_driver final : public driver {
 public:
  stepping_driver(std::unique_ptr<driver> real, cancel_point* point, bool all_wait) noexcept
      : real_(std::move(real)), point_(point), all_wait_(all_wait) {}

  void attach(detail::core& c) override {
    c.run_budget = 1;
    if (all_wait_) c.inline_budget = 0;
    real_->attach(c);
  }
  void poll(clock::time_point deadline) override {
    // The core wanted to sleep before there was something to do.
    if (point_ != nullptr && point_->step()) deadline = clock::time_point::min();
    real_->poll(deadline);
    if (point_ != nullptr && point_->step()) real_->wake();  // in a simulation it sleeps only then
  }
  void wake() noexcept override { real_->wake(); }
  [[nodiscard]] std::size_t in_flight() const noexcept override { return real_->in_flight(); }
  void cancel_all() override { real_->cancel_all(); }
  [[nodiscard]] const char* name() const noexcept override { return real_->name(); }

 private:
  std::unique_ptr<driver> real_;
  cancel_point* point_;  // nullptr on the cores whose steps do not count
  bool all_wait_;  // no completion goes on at once
};

/// Small, since each run makes its rings anew; in the lane of small rings as small as there.
[[nodiscard]] inline io_options few_buffers() {
  io_options io = lane_io();
  io.ring_entries = std::min(io.ring_entries, 64U);
  io.small_buffers = std::min(io.small_buffers, 8U);
  io.large_buffers = std::min(io.large_buffers, 2U);
  return io;
}

inline task<> expect_all_buffers_home() {
  EXPECT_EQ(detail::io_driver::of(*detail::core::current()).buffers_away(), 0u);
  co_return;
}

struct steps_of {
  unsigned core;  ///< whose steps count
  bool all_wait;  ///< no completion goes on at once
};

/// One run; whether the cancel came before its end.
template <typename Scenario, typename... Args>
bool cancelled_at(std::size_t step, runtime_options options, steps_of of, Args... args) {
  cancel_point point(step);
  options.driver = [real = std::move(options.driver), &point, of](unsigned core) {
    return std::make_unique<stepping_driver>(real(core), core == of.core ? &point : nullptr,
                                             of.all_wait);
  };
  int alive = 0;
  bool done = false;
  const std::size_t descriptors = open_descriptors();
  run_with(std::move(options), [&]() -> task<> {
    {
      Scenario what(alive, args...);
      auto body = [&](scope& s) -> task<> {
        const cancel_point::window open(point, s);
        auto main = what.run(s);
        co_await std::move(main);
      };
      auto both = when_all(with_scope(std::move(body)), what.beside());
      (void)co_await std::move(both);
      auto checks = what.after();
      co_await std::move(checks);
      done = what.done;
    }
    co_await quiet_everywhere();
    auto buffers = [](scope& s) -> task<> {
      for (unsigned core = 0; core < this_core::count(); ++core)
        (void)s.spawn_on(core, expect_all_buffers_home);
      co_return;
    };
    co_await with_scope(buffers);
  });
  EXPECT_TRUE(done || point.reached()) << "it did not come to its end, and nobody cancelled it";
  EXPECT_EQ(alive, 0) << "frames were lost";
  EXPECT_EQ(open_descriptors(), descriptors) << "descriptors were lost or closed twice";
  return point.reached();
}

/// Scenario(int& alive, args…), cancelled at each step of that core.
template <typename Scenario, typename... Args>
void cancel_everywhere(const runtime_options& options, unsigned core, Args... args) {
  constexpr std::size_t limit = 4000;
  constexpr int enough = 3;  // runs differ in length, so several in a row must end early
  (void)on_uring();  // asked once, before anything is counted
  std::size_t runs = 0;
  for (const bool all_wait : {false, true}) {
    std::size_t step = 0;
    for (int early = 0; early < enough && step < limit && !testing::Test::HasFailure(); ++step) {
      SCOPED_TRACE("cancelled at step " + std::to_string(step) +
                   (all_wait ? ", all completions wait" : ""));
      const bool reached = cancelled_at<Scenario>(step, options, {core, all_wait}, args...);
      early = reached ? 0 : early + 1;
    }
    EXPECT_LT(step, limit) << "the scenario has too many steps, or no end";
    runs += step;
  }
  testing::Test::RecordProperty("runs", static_cast<int>(runs));
}

}  // namespace corespun::test
