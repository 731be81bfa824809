// mutex: one at a time, first come first served, and no cancel loses it.

#include <corespun/runtime/as_result.hpp>
#include <corespun/runtime/mutex.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/this_core.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "tests/support/run.hpp"
#include "tests/support/tasks.hpp"

namespace corespun {
namespace {

using test::run;
using test::run_on;

TEST(mutex, is_held_until_the_guard_goes) {
  run([]() -> task<> {
    mutex m;
    {
      auto held = co_await m.lock();
      EXPECT_TRUE(held);
      EXPECT_FALSE(m.try_lock());
    }
    EXPECT_TRUE(m.try_lock());
  });
}

TEST(mutex, a_guard_moves_and_unlocks_once) {
  run([]() -> task<> {
    mutex m;
    mutex other;
    auto first = co_await m.lock();
    mutex::guard second = std::move(first);
    EXPECT_FALSE(first);
    first.unlock();
    EXPECT_FALSE(m.try_lock());
    second = co_await other.lock();  // unlocks m
    EXPECT_TRUE(m.try_lock());
    EXPECT_FALSE(other.try_lock());
    second.unlock();
    EXPECT_FALSE(second);
    EXPECT_TRUE(other.try_lock());
  });
}

TEST(mutex, goes_to_the_one_who_waits_longest) {
  std::string log;
  run([&](scope& s) -> task<> {
    mutex m;
    auto held = co_await m.lock();
    auto enter = [&](char c) -> task<> {
      auto mine = co_await m.lock();
      log += c;
      co_await yield();
      log += c;
    };
    for (const char c : {'a', 'b', 'c'}) {
      (void)s.spawn(enter, c);
      co_await test::let_others_run();
    }
    held.unlock();
    EXPECT_FALSE(m.try_lock()) << "handed over, not up for grabs";
    auto last = co_await m.lock();
    log += 'd';
  });
  EXPECT_EQ(log, "aabbccd");
}

TEST(mutex, that_is_free_lets_pass_at_once_but_others_run_too) {
  run([](scope& s) -> task<> {
    mutex m;
    bool other_ran = false;
    (void)s.spawn([&]() -> task<> {
      other_ran = true;
      co_return;
    });
    auto first = co_await m.lock();
    first.unlock();
    EXPECT_FALSE(other_ran && !test::on_sim());
    for (int i = 0; i < 1000; ++i) {
      auto held = co_await m.lock();
    }
    EXPECT_TRUE(other_ran);
  });
}

TEST(mutex, a_cancelled_waiter_leaves_the_queue_in_order) {
  for (int cancelled = 0; cancelled < 3; ++cancelled) {  // first, middle, last
    std::string log;
    run([&](scope& s) -> task<> {
      mutex m;
      auto held = co_await m.lock();
      auto enter = [&](char c) -> task<> {
        auto mine = co_await m.lock();
        log += c;
      };
      std::vector<task_handle<void>> t;
      for (const char c : {'a', 'b', 'c'}) {
        t.push_back(s.spawn(enter, c));
        co_await test::let_others_run();
      }
      t[static_cast<std::size_t>(cancelled)].cancel();
      const auto ended = co_await t[static_cast<std::size_t>(cancelled)].join();
      EXPECT_TRUE(ended.stopped());
      held.unlock();
      auto last = co_await m.lock();
    });
    std::string expected = "abc";
    expected.erase(static_cast<std::size_t>(cancelled), 1);
    EXPECT_EQ(log, expected);
  }
}

TEST(mutex, handed_over_before_the_cancel_is_held_and_given_back) {
  run([](scope& s) -> task<> {
    mutex m;
    auto held = co_await m.lock();
    bool entered = false;
    auto t = s.spawn([&]() -> task<> {
      auto mine = co_await m.lock();
      entered = true;
      co_await test::forever();
    });
    co_await test::let_others_run();
    held.unlock();
    t.cancel();
    (void)co_await t.join();
    EXPECT_TRUE(entered);
    EXPECT_TRUE(m.try_lock());
  });
}

TEST(mutex, a_cancelled_task_does_not_take_it_even_if_it_is_free) {
  run([](scope& s) -> task<> {
    mutex m;
    auto t = s.spawn([&]() -> task<> {
      (void)co_await as_result(test::forever());
      auto mine = co_await m.lock();
      ADD_FAILURE() << "went on";
    });
    co_await test::let_others_run();
    t.cancel();
    (void)co_await t.join();
    EXPECT_TRUE(m.try_lock());
  });
}

TEST(mutex, lets_in_one_task_at_a_time_of_many_cores) {
  constexpr unsigned cores = 4;
  constexpr int tasks = 12;
  constexpr int rounds = 500;
  int inside = 0;  // guarded by the mutex
  int entered = 0;
  run_on(cores, [&]() -> task<> {
    mutex m;
    auto work = [&]() -> task<> {
      for (int i = 0; i < rounds; ++i) {
        auto held = co_await m.lock();
        EXPECT_EQ(++inside, 1);
        ++entered;
        if (i % 16 == 0) co_await yield();
        --inside;
      }
    };
    co_await with_scope([&](scope& s) -> task<> {
      for (unsigned i = 0; i < tasks; ++i) (void)s.spawn_on(i % cores, work);
      co_return;
    });
  });
  EXPECT_EQ(entered, tasks * rounds);
}

// Whoever is first, the unlock or the cancel: the mutex is free in the end.
TEST(mutex, is_never_lost_between_an_unlock_and_a_cancel) {
  int entered = 0;
  int stopped = 0;
  run_on(2, [&]() -> task<> {
    for (int round = 0; round < 1000; ++round) {
      mutex m;
      std::atomic<bool> waits{false};
      co_await with_scope([&](scope& s) -> task<> {
        auto held = co_await m.lock();
        auto t = s.spawn_on(1, [&]() -> task<> {
          waits = true;
          auto mine = co_await m.lock();
        });
        while (!waits) co_await yield();
        if (round % 2 == 0) t.cancel();
        held.unlock();
        if (round % 2 == 1) t.cancel();
        const outcome<void> o = co_await t.join();
        ++(o.stopped() ? stopped : entered);
      });
      EXPECT_TRUE(m.try_lock());
    }
  });
  EXPECT_EQ(entered + stopped, 1000);
}

TEST(mutex, may_be_destroyed_by_the_one_it_was_handed_to) {
  run_on(2, [](scope& s) -> task<> {
    for (int round = 0; round < 300; ++round) {
      auto m = std::make_unique<mutex>();
      auto locked = std::make_shared<std::atomic<bool>>(false);
      (void)s.spawn_on(1, [p = m.get(), locked]() -> task<> {
        auto held = co_await p->lock();
        *locked = true;
      });
      while (!*locked) co_await yield();
      auto held = co_await m->lock();
      held.unlock();
      m.reset();
    }
  });
}

TEST(mutex, destroyed_while_tasks_wait_aborts_with_advice) {
  EXPECT_DEATH(run([](scope& s) -> task<> {
                 auto m = std::make_unique<mutex>();
                 auto held = co_await m->lock();
                 (void)s.spawn([&]() -> task<> { auto mine = co_await m->lock(); });
                 co_await test::let_others_run();
                 m.reset();
               }),
               "a mutex is destroyed while tasks wait(.|\n)*end the scope");
}

}  // namespace
}  // namespace corespun
