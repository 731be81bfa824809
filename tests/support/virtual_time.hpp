#pragma once
// virtual_time: a clock that a test owns. Nothing waits for it: when a core has nothing left to do
// before a deadline, the clock stands at that deadline at once. Sleeps of hours take no time and
// elapsed times are exact.
//
//   virtual_time time;
//   time.run([&]() -> task<> {
//     co_await sleep_for(1h);
//     EXPECT_EQ(time.elapsed(), 1h);
//   });

#include <corespun/runtime/clock.hpp>
#include <corespun/runtime/driver.hpp>

#include <memory>
#include <optional>
#include <random>
#include <semaphore>
#include <utility>

#include "tests/support/run.hpp"

namespace corespun::test {

class virtual_time final : public detail::oracle {
 public:
  /// Ready tasks run in order of age.
  virtual_time() = default;
  /// Ready tasks run in an order that the seed decides.
  explicit virtual_time(unsigned seed) : chance_(seed) {}

  [[nodiscard]] clock::time_point now() noexcept override { return now_; }
  [[nodiscard]] std::uint32_t choose(std::uint32_t n, detail::site) noexcept override {
    return chance_ ? static_cast<std::uint32_t>((*chance_)() % n) : 0;
  }

  /// Since this object was made.
  [[nodiscard]] clock::duration elapsed() const noexcept { return now_.time_since_epoch(); }
  /// As if the running task had computed for so long.
  void pass(clock::duration d) noexcept { now_ += d; }

  /// One core, since there is one clock. The driver still waits for mail from other threads when no
  /// timer is armed.
  [[nodiscard]] runtime_options options() {
    runtime_options o = cores(1);
    o.oracle = this;
    o.driver = [this](unsigned) { return std::make_unique<jumping_driver>(*this); };
    return o;
  }
  template <typename Fn>
  void run(Fn fn) {
    run_with(options(), std::move(fn));
  }

 private:
  class jumping_driver final : public driver {
   public:
    explicit jumping_driver(virtual_time& t) noexcept : time_(t) {}
    void attach(detail::core&) override {}
    void poll(clock::time_point deadline) override {
      if (deadline == clock::time_point::max()) {
        rung_.acquire();
      } else if (!rung_.try_acquire() && deadline > time_.now_) {
        time_.now_ = deadline;
      }
    }
    void wake() noexcept override { rung_.release(); }
    [[nodiscard]] std::size_t in_flight() const noexcept override { return 0; }
    void cancel_all() override {}
    [[nodiscard]] const char* name() const noexcept override { return "virtual"; }

   private:
    virtual_time& time_;
    std::counting_semaphore<> rung_{0};
  };

  clock::time_point now_{};
  std::optional<std::minstd_rand> chance_;
};

}  // namespace corespun::test
