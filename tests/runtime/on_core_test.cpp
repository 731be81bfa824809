// Calls of functions and tasks on another core go there and come back, in order, also when
// cancelled.

#include <corespun/runtime/affinity.hpp>
#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/event.hpp>
#include <corespun/runtime/on_core.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/sleep.hpp>
#include <corespun/runtime/this_core.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/run.hpp"
#include "tests/support/tasks.hpp"

namespace corespun {
namespace {

using namespace std::chrono_literals;

TEST(on_core, calls_a_function_there_and_brings_back_what_it_returns) {
  test::run_on(3, []() -> task<> {
    for (unsigned core = 0; core < 3; ++core) {
      const auto where = [](int x) { return std::pair(this_core::index(), x); };
      auto call = on_core(core, where, 7);
      const auto [ran_on, value] = co_await std::move(call);
      EXPECT_EQ(ran_on, core);
      EXPECT_EQ(value, 7);
      EXPECT_EQ(this_core::index(), 0u) << "the caller stays";
    }
  });
}

task<unsigned> wander() {
  co_await yield();
  co_await sleep_for(1ms);
  co_return this_core::index();
}

TEST(on_core, runs_a_task_there_that_stays) {
  test::run_on(3, []() -> task<> {
    for (unsigned core = 0; core < 3; ++core) {
      auto call = on_core(core, wander);
      EXPECT_EQ(co_await std::move(call), core);
    }
  });
}

TEST(on_core, moves_arguments_and_results_that_cannot_be_copied) {
  test::run_on(2, []() -> task<> {
    const auto twice = [](std::unique_ptr<int> x) { return std::make_unique<int>(2 * *x); };
    for (unsigned core = 0; core < 2; ++core) {
      auto call = on_core(core, twice, std::make_unique<int>(21));
      const std::unique_ptr<int> x = co_await std::move(call);
      EXPECT_EQ(*x, 42);
    }
  });
}

TEST(on_core, brings_exceptions_back_of_functions_and_tasks) {
  int caught = 0;
  test::run_on(2, [&]() -> task<> {
    const auto function = [] { throw std::runtime_error("function"); };
    const auto task_that_throws = []() -> task<> {
      co_await yield();
      throw std::runtime_error("task");
    };
    for (unsigned core = 0; core < 2; ++core) {
      try {
        auto call = on_core(core, function);
        co_await std::move(call);
      } catch (const std::runtime_error& e) {
        caught += e.what() == std::string("function") ? 1 : 100;
      }
      try {
        auto call = on_core(core, task_that_throws);
        co_await std::move(call);
      } catch (const std::runtime_error& e) {
        caught += e.what() == std::string("task") ? 10 : 100;
      }
    }
  });
  EXPECT_EQ(caught, 22);
}

TEST(on_core, calls_of_one_core_begin_in_their_order) {
  const int n = 2000;  // more than a mailbox holds
  std::vector<int> began;
  test::run_on(2, [&](scope& s) -> task<> {
    for (int i = 0; i < n; ++i) {
      auto calls = [&began, i]() -> task<> {
        auto call = on_core(1, [&began, i] { began.push_back(i); });
        co_await std::move(call);
      };
      (void)s.spawn(calls);
    }
    co_return;
  });
  std::vector<int> expected(n);
  std::iota(expected.begin(), expected.end(), 0);
  if (test::on_sim()) std::ranges::sort(began);  // there the tasks begin in any order
  EXPECT_EQ(began, expected);
}

/// A cancel of the caller, at each step of the way: the task over there has ended when the await
/// has.
TEST(on_core, a_cancel_reaches_the_task_and_waits_for_it) {
  test::run_on(2, []() -> task<> {
    for (int steps = 0; steps < 20; ++steps) {
      std::atomic<int> inside{0};
      co_await with_scope([&](scope& s) -> task<> {
        const auto waits = [&]() -> task<> {
          struct leaving {
            std::atomic<int>& count;
            ~leaving() { --count; }
          };
          ++inside;
          const leaving at_end{inside};
          co_await test::forever();
        };
        auto caller = [&]() -> task<> {
          auto call = on_core(1, waits);
          co_await std::move(call);
        };
        (void)s.spawn(caller);
        for (int i = 0; i < steps; ++i) co_await yield();
        s.cancel();
      });
      EXPECT_EQ(inside, 0);
    }
  });
}

TEST(on_core, a_callee_cleans_up_though_its_caller_is_cancelled) {
  bool cleaned = false;
  test::run_on(2, [&](scope& tasks) -> task<> {
    event begun;
    const auto body = [&](scope& s) -> task<> {
      s.on_exit([&cleaned]() -> task<> {
        co_await sleep_for(1ms);
        cleaned = true;
      });
      begun.open();
      co_await test::forever();
    };
    const auto holds_a_scope = [&]() -> task<> { co_await with_scope(body); };
    const auto caller = [&]() -> task<> {
      auto call = on_core(1, holds_a_scope);
      co_await std::move(call);
    };
    auto calling = tasks.spawn(caller);
    co_await begun.wait();
    calling.cancel();
    const outcome<void> ended = co_await calling.join();
    EXPECT_TRUE(ended.stopped());
    EXPECT_TRUE(cleaned);
  });
}

TEST(on_core, what_completed_wins_over_the_cancel) {
  int kept = 0;
  test::run_on(2, [&](scope& s) -> task<> {
    event begun;
    event go;
    const auto shielded = [&]() -> task<int> {
      begun.open();
      (void)co_await shield(1h, go.wait());
      co_return 5;
    };
    const auto caller = [&]() -> task<> {
      auto call = on_core(1, shielded);
      kept = co_await std::move(call);
    };
    auto calling = s.spawn(caller);
    co_await begun.wait();
    calling.cancel();
    go.open();
    (void)co_await calling.join();
  });
  EXPECT_EQ(kept, 5);
}

/// A → B → A → B …, each call from inside the one before, from many tasks at once.
task<int> bounce(int depth) {
  if (depth == 0) co_return 0;
  auto call = on_core(1 - this_core::index(), bounce, depth - 1);
  co_return 1 + co_await std::move(call);
}

TEST(on_core, a_storm_of_nested_calls_ends_though_a_mailbox_holds_one_message) {
  const int tasks = test::on_sim() ? 20 : 200;
  runtime_options options =
      test::tuned(test::cores(2), [](detail::core& c) { c.mailbox_room = 1; });
  int sum = 0;
  test::run_with(std::move(options), [&](scope& s) -> task<> {
    auto storm = [&]() -> task<> { sum += co_await bounce(30); };
    for (int i = 0; i < tasks; ++i) (void)s.spawn(storm);
    co_return;
  });
  EXPECT_EQ(sum, 30 * tasks);
}

/// A callee that goes elsewhere ends there, or is cancelled there.
TEST(on_core, finds_a_callee_that_has_gone_to_another_core) {
  test::run_on(3, []() -> task<> {
    for (unsigned first = 0; first < 3; ++first) {
      for (unsigned then = 0; then < 3; ++then) {
        const auto travels = [then]() -> task<unsigned> {
          co_await yield();
          co_await resume_on(then);
          co_await yield();
          co_return this_core::index();
        };
        auto call = on_core(first, travels);
        EXPECT_EQ(co_await std::move(call), then);
        const auto waits = [then]() -> task<unsigned> {
          co_await resume_on(then);
          co_await test::forever();
          co_return 0;
        };
        auto second = on_core(first, waits);
        const result<unsigned> ended = co_await with_timeout(1ms, std::move(second));
        EXPECT_EQ(ended.error(), make_error_code(errc::timed_out));
        EXPECT_EQ(this_core::index(), 0u);
      }
    }
  });
}

TEST(on_core, of_free_tasks_comes_back_to_them) {
  std::atomic<int> sum{0};
  test::run_with(test::eager(test::cores(3)), [&](scope& s) -> task<> {
    auto calls = [&]() -> task<> {
      for (int i = 0; i < 50; ++i) {
        const unsigned there = static_cast<unsigned>(i) % 3;
        auto call = on_core(there, wander);
        if (co_await std::move(call) == there) ++sum;
      }
    };
    for (int i = 0; i < 20; ++i) (void)s.spawn(calls);
    co_return;
  });
  EXPECT_EQ(sum, 20 * 50);
}

TEST(on_core_death, a_core_that_is_not_there_aborts_with_advice) {
  EXPECT_DEATH(test::run_on(2,
                            []() -> task<> {
                              const auto nothing = [] {};
                              auto call = on_core(2, nothing);
                              co_await std::move(call);
                            }),
               "on_core core 2 of 2(.|\n)*this_core::count");
}

}  // namespace
}  // namespace corespun
