// event: opens once, wakes each waiter once and on its own core, and loses no race with a cancel.

#include <corespun/runtime/event.hpp>
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

TEST(event, is_closed_until_it_is_opened_and_open_for_good) {
  event e;
  EXPECT_FALSE(e.is_open());
  e.open();
  EXPECT_TRUE(e.is_open());
  e.open();
  EXPECT_TRUE(e.is_open());
}

TEST(event, lets_all_waiters_through_in_the_order_of_waiting) {
  std::string log;
  run([&](scope& s) -> task<> {
    event e;
    auto wait = [&](char c) -> task<> {
      co_await e.wait();
      log += c;
    };
    for (const char c : {'a', 'b', 'c'}) (void)s.spawn(wait, c);
    co_await test::let_others_run();
    EXPECT_EQ(log, "");
    e.open();
    EXPECT_EQ(log, "") << "no waiter runs inside open()";
    co_await test::let_others_run();
    EXPECT_EQ(log, "abc");
  });
}

TEST(event, that_is_open_lets_pass_without_a_wait) {
  std::string log;
  run([&](scope& s) -> task<> {
    event e;
    e.open();
    (void)s.spawn([&]() -> task<> {
      log += " other";
      co_return;
    });
    co_await e.wait();
    log += "passed";
  });
  EXPECT_EQ(log, "passed other");
}

TEST(event, publishes_what_was_written_before_open) {
  if (test::on_sim()) GTEST_SKIP() << "one thread plays all cores";
  std::thread opener;
  run([&]() -> task<> {
    event e;
    int written = 0;
    opener = std::thread([&] {
      written = 42;
      e.open();
    });
    co_await e.wait();
    EXPECT_EQ(written, 42);
    opener.join();
  });
}

TEST(event, wakes_waiters_on_several_cores_each_once_on_its_own_core) {
  constexpr unsigned cores = 3;
  constexpr unsigned per_core = 100;
  std::atomic<unsigned> woken{0};
  std::atomic<unsigned> waiting{0};
  run_on(cores, [&]() -> task<> {
    event e;
    co_await with_scope([&](scope& s) -> task<> {
      for (unsigned i = 0; i < cores * per_core; ++i) {
        auto wait = [&, core = i % cores]() -> task<> {
          ++waiting;
          co_await e.wait();
          EXPECT_EQ(this_core::index(), core);
          ++woken;
        };
        (void)s.spawn_on(i % cores, wait);
      }
      while (waiting < cores * per_core) co_await yield();
      e.open();
    });
  });
  EXPECT_EQ(woken, cores * per_core);
}

TEST(event, a_cancelled_waiter_leaves_the_others_and_the_event_unchanged) {
  for (int cancelled = 0; cancelled < 3;
       ++cancelled) {  // the last, the middle, the first of the list
    std::string log;
    run([&](scope& s) -> task<> {
      event e;
      auto wait = [&](char c) -> task<> {
        co_await e.wait();
        log += c;
      };
      task_handle<void> t[] = {s.spawn(wait, 'a'), s.spawn(wait, 'b'), s.spawn(wait, 'c')};
      co_await test::let_others_run();
      t[cancelled].cancel();
      (void)co_await t[cancelled].join();
      EXPECT_FALSE(e.is_open());
      e.open();
      co_await test::let_others_run();
    });
    std::string expected = "abc";
    expected.erase(static_cast<std::size_t>(cancelled), 1);
    EXPECT_EQ(log, expected);
  }
}

TEST(event, that_was_opened_before_the_cancel_wins) {
  run([](scope& s) -> task<> {
    event e;
    bool passed = false;
    auto t = s.spawn([&]() -> task<> {
      co_await e.wait();
      passed = true;
    });
    co_await test::let_others_run();
    e.open();
    t.cancel();
    (void)co_await t.join();
    EXPECT_TRUE(passed);
  });
}

TEST(event, open_and_cancel_from_two_threads_wake_each_waiter_exactly_once) {
  if (test::on_sim()) GTEST_SKIP() << "one thread plays all cores";
  run_on(2, []() -> task<> {
    int passed = 0;
    int stopped = 0;
    for (int round = 0; round < 500; ++round) {
      event e;
      std::atomic<int> ready{0};
      const auto meet = [&] {
        ++ready;
        while (ready < 2) std::this_thread::yield();
      };
      std::thread opener;
      std::thread canceller;
      co_await with_scope([&](scope& s) -> task<> {
        auto wait = [&]() -> task<> { co_await e.wait(); };
        auto t = s.spawn_on(1, wait);
        opener = std::thread([&] {
          meet();
          e.open();
        });
        canceller = std::thread([&] {
          meet();
          t.cancel();
        });
        const outcome<void> o = co_await t.join();
        ++(o.stopped() ? stopped : passed);
        opener.join();
        canceller.join();
      });
    }
    EXPECT_EQ(passed + stopped, 500);
  });
}

// The one who polls is no waiter; is_open() is all it needs to know that the event may go.
TEST(event, may_be_destroyed_as_soon_as_it_is_seen_open) {
  if (test::on_sim()) GTEST_SKIP() << "one thread plays all cores";
  run([]() -> task<> {
    for (int round = 0; round < 300; ++round) {
      auto e = std::make_unique<event>();
      std::thread opener([gate = e.get()] { gate->open(); });
      while (!e->is_open()) co_await yield();
      e.reset();
      opener.join();
    }
  });
}

TEST(event, may_be_destroyed_by_the_waiter_it_woke) {
  run_on(2, [](scope& s) -> task<> {
    for (int round = 0; round < 300; ++round) {
      auto e = std::make_unique<event>();
      (void)s.spawn_on(1, [gate = e.get()]() -> task<> {
        gate->open();
        co_return;
      });
      co_await e->wait();
      e.reset();
    }
  });
}

TEST(event, destroyed_while_tasks_wait_aborts_with_advice) {
  EXPECT_DEATH(run([](scope& s) -> task<> {
                 auto e = std::make_unique<event>();
                 (void)s.spawn([&]() -> task<> { co_await e->wait(); });
                 co_await test::let_others_run();
                 e.reset();
               }),
               "event is destroyed while tasks wait(.|\n)*end the scope");
}

}  // namespace
}  // namespace corespun
