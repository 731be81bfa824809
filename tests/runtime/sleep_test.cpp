// sleep_for, sleep_until, interval: waiting for time, exactly and in order.

#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/sleep.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/tasks.hpp"
#include "tests/support/virtual_time.hpp"

namespace corespun {
namespace {

using namespace std::chrono_literals;
using test::virtual_time;

TEST(sleep_for, ends_exactly_when_it_should) {
  virtual_time time;
  time.run([&]() -> task<> {
    co_await sleep_for(5ms);
    EXPECT_EQ(time.elapsed(), 5ms);
    co_await sleep_for(24h * 365);
    EXPECT_EQ(time.elapsed(), 24h * 365 + 5ms);
  });
}

TEST(sleep_for, is_never_early_and_late_by_less_than_a_tick) {
  virtual_time time;
  time.run([&]() -> task<> {
    for (const clock::duration d : {1ns, 49'999ns, 50'000ns, 50'001ns, 123'456'789ns}) {
      const clock::duration before = time.elapsed();
      co_await sleep_for(d);
      EXPECT_GE(time.elapsed() - before, d);
      EXPECT_LT(time.elapsed() - before, d + detail::timer_wheel::tick_length);
    }
  });
}

TEST(sleep_until, ends_at_that_time_and_at_once_if_it_has_passed) {
  virtual_time time;
  time.run([&]() -> task<> {
    const clock::time_point start = clock::now();
    co_await sleep_until(start + 3s);
    EXPECT_EQ(time.elapsed(), 3s);
    co_await sleep_until(start + 1s);
    co_await sleep_until(clock::time_point::min());
    EXPECT_EQ(time.elapsed(), 3s);
  });
}

TEST(sleep_for, no_time_or_less_goes_to_the_back_of_the_queue_like_yield) {
  for (const clock::duration d :
       {clock::duration(0), clock::duration(-1h), clock::duration::min()}) {
    virtual_time time;
    std::string log;
    time.run([&](scope& s) -> task<> {
      auto other = [&]() -> task<> {
        log += "other ";
        co_return;
      };
      (void)s.spawn(other);
      co_await sleep_for(d);
      log += "sleeper";
      EXPECT_EQ(time.elapsed(), 0s);
    });
    EXPECT_EQ(log, "other sleeper");
  }
}

TEST(sleep_until, wakes_in_the_order_of_deadlines_and_equal_ones_in_the_order_of_arming) {
  virtual_time time;
  std::vector<int> woken;
  time.run([&](scope& s) -> task<> {
    auto sleeper = [&](int ms, int id) -> task<> {
      co_await sleep_for(std::chrono::milliseconds(ms));
      woken.push_back(id);
    };
    const int delays[] = {30, 10, 20, 10, 30, 20, 10};
    for (int i = 0; i < 7; ++i) (void)s.spawn(sleeper, delays[i], i);
    co_return;
  });
  EXPECT_EQ(woken, (std::vector<int>{1, 3, 6, 2, 5, 0, 4}));
}

TEST(sleep_until, of_many_tasks_ends_each_at_its_own_time) {
  virtual_time time;
  int wrong = 0;
  time.run([&](scope& s) -> task<> {
    auto sleeper = [&](int ms) -> task<> {
      co_await sleep_for(std::chrono::milliseconds(ms));
      if (time.elapsed() != std::chrono::milliseconds(ms)) ++wrong;
    };
    for (int i = 0; i < 10'000; ++i) (void)s.spawn(sleeper, i * 7919 % 10'000);
    co_return;
  });
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(time.elapsed(), 9999ms);
}

TEST(sleep_for, a_cancel_takes_the_timer_out_at_once) {
  virtual_time time;
  time.run([&](scope& s) -> task<> {
    auto sleeper = []() -> task<> { co_await sleep_for(1h); };
    for (int i = 0; i < 100; ++i) {
      auto t = s.spawn(sleeper);
      co_await yield();
      t.cancel();
      (void)co_await t.join();
    }
    co_await sleep_for(1s);
    EXPECT_EQ(time.elapsed(), 1s);
  });
}

// "Until the end of time" is a natural way to write "until somebody cancels me".
TEST(sleep_until, the_end_of_time_is_a_deadline_like_any_other) {
  virtual_time time;
  time.run([&](scope& s) -> task<> {
    auto sleeper = []() -> task<> { co_await sleep_until(clock::time_point::max()); };
    auto t = s.spawn(sleeper);
    co_await sleep_for(1h);
    EXPECT_FALSE(t.done());
    t.cancel();
    const outcome<void> o = co_await t.join();
    EXPECT_TRUE(o.stopped());
    co_await sleep_for(clock::duration::max());
    EXPECT_GT(time.elapsed(), 290 * 24h * 365);
  });
}

TEST(interval, ticks_at_fixed_distances_however_long_the_work_takes) {
  virtual_time time;
  time.run([&]() -> task<> {
    interval every(10ms);
    for (int i = 1; i <= 5; ++i) {
      co_await every.next();
      EXPECT_EQ(time.elapsed(), i * 10ms);
      time.pass(7ms);
    }
  });
}

TEST(interval, skips_ticks_that_passed_unseen) {
  virtual_time time;
  time.run([&]() -> task<> {
    interval every(10ms);
    time.pass(35ms);
    co_await every.next();
    EXPECT_EQ(time.elapsed(), 35ms) << "one tick is due at once: that of 30 ms";
    co_await every.next();
    EXPECT_EQ(time.elapsed(), 40ms) << "10 and 20 ms are not made up for";
    co_await every.next();
    EXPECT_EQ(time.elapsed(), 50ms);
  });
}

TEST(interval, of_no_length_aborts_with_advice) {
  EXPECT_DEATH(interval(0ms), "interval of no length(.|\n)*positive period");
  EXPECT_DEATH(interval(-1ms), "interval of no length");
}

}  // namespace
}  // namespace corespun
