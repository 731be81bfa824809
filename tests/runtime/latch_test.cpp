// latch: opens with the last count, once.

#include <corespun/runtime/latch.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/this_core.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "tests/support/run.hpp"
#include "tests/support/tasks.hpp"

namespace corespun {
namespace {

using test::run;
using test::run_on;

TEST(latch, opens_with_the_last_count) {
  run([](scope& s) -> task<> {
    latch l(3);
    bool passed = false;
    auto t = s.spawn([&]() -> task<> {
      co_await l.wait();
      passed = true;
    });
    l.count_down();
    l.count_down(0);
    co_await test::let_others_run();
    EXPECT_FALSE(passed);
    EXPECT_FALSE(l.is_open());
    l.count_down(2);
    EXPECT_TRUE(l.is_open());
    (void)co_await t.join();
    EXPECT_TRUE(passed);
  });
}

TEST(latch, of_zero_is_open) { EXPECT_TRUE(latch(0).is_open()); }

TEST(latch, shows_what_all_did_before_they_counted) {
  constexpr unsigned cores = 4;
  run_on(cores, []() -> task<> {
    for (int round = 0; round < 200; ++round) {
      latch l(cores);
      std::vector<int> written(cores);  // no atomics: the latch orders them
      co_await with_scope([&](scope& s) -> task<> {
        for (unsigned i = 0; i < cores; ++i) {
          auto work = [&](unsigned me) -> task<> {
            written[me] = 1;
            l.count_down();
            co_await l.wait();
            for (const int w : written) EXPECT_EQ(w, 1);
          };
          (void)s.spawn_on(i, work, i);
        }
        co_return;
      });
    }
  });
}

TEST(latch, a_cancelled_waiter_changes_nothing) {
  run([](scope& s) -> task<> {
    latch l(1);
    auto wait = [&]() -> task<> { co_await l.wait(); };
    auto first = s.spawn(wait);
    auto second = s.spawn(wait);
    co_await test::let_others_run();
    first.cancel();
    const outcome<void> o = co_await first.join();
    EXPECT_TRUE(o.stopped());
    EXPECT_FALSE(l.is_open());
    l.count_down();
    const outcome<void> passed = co_await second.join();
    EXPECT_FALSE(passed.stopped());
  });
}

TEST(latch, counted_down_below_zero_is_a_bug) {
  EXPECT_DEATH(latch(1).count_down(2), "below zero(.|\n)*larger count");
}

}  // namespace
}  // namespace corespun
