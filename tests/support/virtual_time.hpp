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

#include <corespun/runtime/detail/simulation.hpp>
#include <corespun/runtime/driver.hpp>

#include <memory>
#include <utility>

#include "tests/support/run.hpp"

namespace corespun::test {

class virtual_time {
 public:
  /// Ready tasks run in order of age.
  virtual_time() : chance_(std::make_unique<first>()) {}
  /// In an order that the seed decides.
  explicit virtual_time(unsigned seed) : chance_(std::make_unique<sim::seeded>(seed)) {}

  /// Since this object was made.
  [[nodiscard]] clock::duration elapsed() const noexcept { return all_.now().time_since_epoch(); }
  /// As if the running task had computed for so long.
  void pass(clock::duration d) noexcept { all_.pass(d); }

  [[nodiscard]] runtime_options options(unsigned n = 1) {
    runtime_options o = cores(n);
    o.simulation = &all_;
    o.driver = [this](unsigned) { return std::make_unique<idle_driver>(all_); };
    return o;
  }
  template <typename Fn>
  void run(Fn fn) {
    run_with(options(), std::move(fn));
  }

 private:
  struct first final : sim::chance {
    std::uint32_t choose(std::uint32_t, sim::site) override { return 0; }
  };
  class idle_driver final : public driver {
   public:
    explicit idle_driver(detail::simulation& s) noexcept : all_(s) {}
    ~idle_driver() override { all_.remove(*place_->who); }
    void attach(detail::core& c) override {
      c.run_budget = 256;
      c.mailbox_room = detail::mailbox::capacity;
      place_ = &all_.add(c);
    }
    void poll(clock::time_point deadline) override { place_->sleeps_until = deadline; }
    void wake() noexcept override { place_->woken = true; }
    [[nodiscard]] std::size_t in_flight() const noexcept override { return 0; }
    void cancel_all() override {}
    [[nodiscard]] const char* name() const noexcept override { return "virtual"; }

   private:
    detail::simulation& all_;
    detail::simulation::place* place_ = nullptr;
  };

  std::unique_ptr<sim::chance> chance_;
  detail::simulation all_{*chance_};
};

}  // namespace corespun::test
