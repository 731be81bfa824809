// clock and chance: one clock, one source of chance, and a test can own both.

#include <corespun/runtime/clock.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/sleep.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <string>

#include "tests/support/tasks.hpp"
#include "tests/support/virtual_time.hpp"

namespace corespun {
namespace {

using namespace std::chrono_literals;
using test::run;
using test::virtual_time;

TEST(clock, reads_the_monotonic_clock_outside_of_a_core_and_on_one) {
  if (test::on_sim()) GTEST_SKIP() << "time is virtual";
  const auto bracketed = [] {
    const auto before = std::chrono::steady_clock::now().time_since_epoch();
    const auto now = clock::now().time_since_epoch();
    const auto after = std::chrono::steady_clock::now().time_since_epoch();
    return before <= now && now <= after;
  };
  EXPECT_TRUE(bracketed());
  run([&]() -> task<> {
    EXPECT_TRUE(bracketed());
    co_return;
  });
}

TEST(clock, is_the_simulations_on_the_cores_of_its_runtime_only) {
  virtual_time time;
  const clock::time_point outside = clock::now();
  time.run([&]() -> task<> {
    EXPECT_EQ(clock::now(), clock::time_point());
    co_await sleep_for(1h);
    EXPECT_EQ(clock::now(), clock::time_point() + 1h);
  });
  EXPECT_GE(clock::now(), outside);
  EXPECT_LT(clock::now(), outside + 1h);
}

std::string order_of_tasks(virtual_time& time) {
  std::string order;
  time.run([&](scope& s) -> task<> {
    auto note = [&](char c) -> task<> {
      co_await yield();
      order += c;
    };
    for (const char c : {'a', 'b', 'c', 'd', 'e'}) (void)s.spawn(note, c);
    co_return;
  });
  return order;
}

TEST(chance, without_chance_the_oldest_ready_task_runs_first) {
  virtual_time time;
  EXPECT_EQ(order_of_tasks(time), "abcde");
}

TEST(chance, one_seed_gives_one_order_and_many_seeds_many) {
  std::set<std::string> orders;
  for (unsigned seed = 0; seed < 50; ++seed) {
    virtual_time time(seed);
    virtual_time again(seed);
    std::string order = order_of_tasks(time);
    EXPECT_EQ(order, order_of_tasks(again)) << "seed " << seed;
    orders.insert(order);
    std::ranges::sort(order);
    EXPECT_EQ(order, "abcde") << "each task runs once; seed " << seed;
  }
  EXPECT_GT(orders.size(), 10u);
}

}  // namespace
}  // namespace corespun
