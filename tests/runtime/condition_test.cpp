// condition: no notification is lost, and whoever returns from wait() has the mutex.

#include <corespun/runtime/as_result.hpp>
#include <corespun/runtime/condition.hpp>
#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/this_core.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/run.hpp"
#include "tests/support/tasks.hpp"
#include "tests/support/virtual_time.hpp"

namespace corespun {
namespace {

using namespace std::chrono_literals;
using test::run;
using test::run_on;

TEST(condition, gives_the_mutex_away_while_it_waits_and_holds_it_after) {
  run([](scope& s) -> task<> {
    mutex m;
    condition c;
    bool back = false;
    auto t = s.spawn([&]() -> task<> {
      auto held = co_await m.lock();
      co_await c.wait(held);
      EXPECT_TRUE(held);
      EXPECT_FALSE(m.try_lock());
      back = true;
    });
    co_await test::let_others_run();
    {
      auto held = m.try_lock();
      EXPECT_TRUE(held);
      c.notify_one();
      co_await test::let_others_run();
      EXPECT_FALSE(back) << "the mutex is taken";
    }
    (void)co_await t.join();
    EXPECT_TRUE(back);
    EXPECT_TRUE(m.try_lock());
  });
}

TEST(condition, notify_reaches_the_one_who_waits_longest_or_all) {
  run([](scope& s) -> task<> {
    mutex m;
    condition c;
    std::string log;
    auto wait = [&](char who) -> task<> {
      auto held = co_await m.lock();
      co_await c.wait(held);
      log += who;
    };
    for (const char who : {'a', 'b', 'c', 'd'}) {
      (void)s.spawn(wait, who);
      co_await test::let_others_run();
    }
    c.notify_one();
    co_await test::let_others_run();
    EXPECT_EQ(log, "a");
    auto held = co_await m.lock();
    c.notify_all();
    held.unlock();
    co_await test::let_others_run(8);
    EXPECT_EQ(log, "abcd") << "the mutex goes round in the order of waiting";
    c.notify_all();
  });
}

TEST(condition, a_cancelled_wait_ends_without_the_mutex) {
  for (std::size_t cancelled = 0; cancelled < 3; ++cancelled) {  // first, middle, last
    run([&](scope& s) -> task<> {
      mutex m;
      condition c;
      std::string log;
      auto wait = [&](char who) -> task<> {
        auto held = co_await m.lock();
        const result<> ended = co_await as_result(c.wait(held));
        EXPECT_EQ(ended.has_value(), static_cast<bool>(held));
        if (ended) log += who;
      };
      std::vector<task_handle<void>> t;
      for (const char who : {'a', 'b', 'c'}) {
        t.push_back(s.spawn(wait, who));
        co_await test::let_others_run();
      }
      t[cancelled].cancel();
      (void)co_await t[cancelled].join();
      EXPECT_TRUE(m.try_lock());
      c.notify_all();
      co_await test::let_others_run(8);
      std::string expected = "abc";
      expected.erase(cancelled, 1);
      EXPECT_EQ(log, expected);
      EXPECT_TRUE(m.try_lock());
    });
  }
}

TEST(condition, a_task_that_was_cancelled_before_gives_the_mutex_back) {
  run([](scope& s) -> task<> {
    mutex m;
    condition c;
    auto t = s.spawn([&]() -> task<> {
      auto held = co_await m.lock();
      (void)co_await as_result(test::forever());
      const result<> ended = co_await as_result(c.wait(held));
      EXPECT_EQ(ended.error(), errc::cancelled);
      EXPECT_FALSE(held);
      EXPECT_TRUE(m.try_lock());
    });
    co_await test::let_others_run();
    t.cancel();
    (void)co_await t.join();
  });
}

// Else the notification would be gone, and nobody would look at what has changed.
TEST(condition, notified_before_the_cancel_is_notified) {
  run([](scope& s) -> task<> {
    mutex m;
    condition c;
    bool back = false;
    auto t = s.spawn([&]() -> task<> {
      auto held = co_await m.lock();
      co_await c.wait(held);
      back = true;
      co_await yield();
      ADD_FAILURE() << "the next await is the one that stops";
    });
    co_await test::let_others_run();
    auto held = co_await m.lock();
    c.notify_one();
    t.cancel();
    co_await test::let_others_run();
    EXPECT_FALSE(back);
    held.unlock();
    const outcome<void> o = co_await t.join();
    EXPECT_TRUE(back);
    EXPECT_TRUE(o.stopped());
    EXPECT_TRUE(m.try_lock());
  });
}

TEST(condition, may_be_waited_for_under_a_deadline) {
  test::virtual_time time;
  time.run([&]() -> task<> {
    mutex m;
    condition c;
    auto held = co_await m.lock();
    const result<> late = co_await with_timeout(1s, c.wait(held));
    EXPECT_EQ(late.error(), errc::timed_out);
    EXPECT_EQ(time.elapsed(), 1s);
    EXPECT_FALSE(held);
  });
}

TEST(condition, misses_no_notify_from_the_moment_it_unlocks) {
  run_on(2, []() -> task<> {
    for (int round = 0; round < 500; ++round) {
      mutex m;
      condition c;
      std::atomic<bool> locked{false};
      co_await with_scope([&](scope& s) -> task<> {
        auto t = s.spawn_on(1, [&]() -> task<> {
          auto held = co_await m.lock();
          locked = true;
          co_await c.wait(held);
        });
        while (!locked) co_await yield();
        mutex::guard held;
        while (!held) {
          held = m.try_lock();
          if (!held) co_await yield();
        }
        c.notify_one();
        held.unlock();
        (void)co_await t.join();
      });
    }
  });
}

TEST(condition, makes_a_queue_between_tasks_of_many_cores) {
  constexpr unsigned cores = 4;
  constexpr int producers = 4;
  constexpr int consumers = 4;
  constexpr int each = 500;
  int taken = 0;
  run_on(cores, [&]() -> task<> {
    mutex m;
    condition not_empty;
    condition not_full;
    std::deque<int> queue;
    bool done = false;
    int producing = producers;
    auto produce = [&]() -> task<> {
      for (int i = 0; i < each; ++i) {
        auto held = co_await m.lock();
        while (queue.size() >= 4) co_await not_full.wait(held);
        queue.push_back(i);
        not_empty.notify_one();
      }
      auto held = co_await m.lock();
      if (--producing == 0) {
        done = true;
        not_empty.notify_all();
      }
    };
    auto consume = [&]() -> task<> {
      auto held = co_await m.lock();
      while (true) {
        while (queue.empty() && !done) co_await not_empty.wait(held);
        if (queue.empty()) break;
        queue.pop_front();
        ++taken;
        not_full.notify_one();
      }
    };
    co_await with_scope([&](scope& s) -> task<> {
      for (unsigned i = 0; i < producers; ++i) (void)s.spawn_on(i % cores, produce);
      for (unsigned i = 0; i < consumers; ++i) (void)s.spawn_on((i + 1) % cores, consume);
      co_return;
    });
  });
  EXPECT_EQ(taken, producers * each);
}

// One notification, two waiters, one of them cancelled meanwhile: the other one gets it, or the
// cancelled one has got it before.
TEST(condition, loses_no_notification_between_a_notify_and_a_cancel) {
  run_on(2, []() -> task<> {
    for (int round = 0; round < 500; ++round) {
      mutex m;
      condition c;
      std::atomic<int> back{0};
      std::atomic<int> waiting{0};
      co_await with_scope([&](scope& s) -> task<> {
        auto wait = [&]() -> task<> {
          auto held = co_await m.lock();
          ++waiting;
          co_await c.wait(held);
          ++back;
        };
        auto first = s.spawn_on(1, wait);
        auto second = s.spawn_on(1, wait);
        while (waiting < 2 || !m.try_lock()) co_await yield();
        if (round % 2 == 0) first.cancel();
        c.notify_one();
        if (round % 2 == 1) first.cancel();
        (void)co_await first.join();
        while (back == 0) co_await yield();
        EXPECT_EQ(back, 1);
        second.cancel();
        (void)co_await second.join();
      });
      EXPECT_TRUE(m.try_lock());
    }
  });
}

TEST(condition, without_its_mutex_is_a_bug) {
  EXPECT_DEATH(run([]() -> task<> {
                 condition c;
                 mutex::guard none;
                 co_await c.wait(none);
               }),
               "without its mutex(.|\n)*lock it");
}

TEST(condition, destroyed_while_tasks_wait_aborts_with_advice) {
  EXPECT_DEATH(run([](scope& s) -> task<> {
                 mutex m;
                 auto c = std::make_unique<condition>();
                 (void)s.spawn([&]() -> task<> {
                   auto held = co_await m.lock();
                   co_await c->wait(held);
                 });
                 co_await test::let_others_run();
                 c.reset();
               }),
               "a condition is destroyed while tasks wait(.|\n)*end the scope");
}

}  // namespace
}  // namespace corespun
