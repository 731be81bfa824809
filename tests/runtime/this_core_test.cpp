// this_core: where a task is. yield: in turns, first come first served.

#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/sleep.hpp>
#include <corespun/runtime/this_core.hpp>

#include <gtest/gtest.h>

#include <string>

#include "tests/support/virtual_time.hpp"

namespace corespun {
namespace {

using test::run;
using test::run_on;

TEST(this_core, knows_its_index_and_how_many_there_are) {
  run_on(3, [](scope& s) -> task<> {
    EXPECT_EQ(this_core::index(), 0u);
    EXPECT_EQ(this_core::count(), 3u);
    (void)s.spawn_on(2, []() -> task<> {
      EXPECT_EQ(this_core::index(), 2u);
      EXPECT_EQ(this_core::count(), 3u);
      co_return;
    });
    co_return;
  });
}

TEST(this_core, names_its_driver) {
  if (test::on_sim()) GTEST_SKIP() << "the driver is the simulation";
  run([]() -> task<> {
    EXPECT_STREQ(this_core::driver_name(), "futex");
    co_return;
  });
  test::virtual_time time;
  time.run([]() -> task<> {
    EXPECT_STREQ(this_core::driver_name(), "virtual");
    co_return;
  });
}

TEST(need_yield, is_true_after_100_us_without_a_look_at_the_driver) {
  test::virtual_time time;
  time.run([&]() -> task<> {
    co_await sleep_for(std::chrono::milliseconds(1));  // the turn begins with this task
    EXPECT_FALSE(this_core::need_yield());
    time.pass(std::chrono::microseconds(100));
    EXPECT_FALSE(this_core::need_yield());
    time.pass(std::chrono::nanoseconds(1));
    EXPECT_TRUE(this_core::need_yield());
    EXPECT_TRUE(this_core::need_yield()) << "until it yields";
    co_await yield();
    EXPECT_FALSE(this_core::need_yield()) << "one yield is enough: the core has looked";
  });
}

// A loop that computes for ever and only yields when it needs to.
TEST(need_yield, keeps_a_loop_from_starving_what_comes_from_elsewhere) {
  if (test::on_sim()) GTEST_SKIP() << "computing takes no time there";
  bool over = false;
  run_on(2, [&](scope& s) -> task<> {
    auto computes = [&]() -> task<> {
      while (!over) {
        if (this_core::need_yield()) co_await yield();
      }
    };
    (void)s.spawn(computes);
    auto there = s.spawn_on(1, []() -> task<> { co_return; });
    (void)co_await there.join();
    co_await sleep_for(std::chrono::microseconds(1));
    over = true;
  });
}

TEST(this_core, asked_outside_of_a_core_aborts_with_advice) {
  const char* const message = "asked on a thread that is no core(.|\n)*inside a task";
  EXPECT_DEATH((void)this_core::index(), message);
  EXPECT_DEATH((void)this_core::count(), message);
  EXPECT_DEATH((void)this_core::driver_name(), message);
  EXPECT_DEATH((void)this_core::need_yield(), message);
}

TEST(yield, lets_all_that_is_ready_go_first) {
  std::string log;
  run([&](scope& s) -> task<> {
    auto turns = [&](char c) -> task<> {
      for (int i = 0; i < 3; ++i) {
        log += c;
        co_await yield();
      }
    };
    for (const char c : {'a', 'b', 'c'}) (void)s.spawn(turns, c);
    co_return;
  });
  EXPECT_EQ(log, "abcabcabc");
}

// A task that never stops yielding must not keep mail and timers from being looked at.
TEST(yield, for_ever_does_not_starve_what_comes_from_elsewhere) {
  bool over = false;
  run_on(2, [&](scope& s) -> task<> {
    auto spin = [&]() -> task<> {
      while (!over) co_await yield();
    };
    (void)s.spawn(spin);
    (void)s.spawn(spin);
    auto there = s.spawn_on(1, []() -> task<> { co_return; });
    (void)co_await there.join();
    co_await sleep_for(std::chrono::microseconds(1));
    over = true;
  });
}

}  // namespace
}  // namespace corespun
