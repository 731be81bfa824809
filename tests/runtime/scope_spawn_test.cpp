// scope::spawn: who owns the function and its arguments, and on which core the task runs.

#include <corespun/runtime/affinity.hpp>
#include <corespun/runtime/event.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/this_core.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/run.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/support/tasks.hpp"
#include "tests/support/trace.hpp"

namespace corespun {
namespace {

using test::counted;
using test::run;
using test::run_on;
using test::yield_once;

TEST(spawn, does_not_run_the_task_before_the_caller_waits) {
  run([](scope& s) -> task<> {
    bool began = false;
    (void)s.spawn([&]() -> task<> {
      began = true;
      co_return;
    });
    EXPECT_FALSE(began);
    co_await yield();
    EXPECT_TRUE(began);
  });
}

TEST(spawn, tasks_begin_in_the_order_of_spawning) {
  std::string log;
  run([&](scope& s) -> task<> {
    auto note = [&](char c) -> task<> {
      log += c;
      co_return;
    };
    for (const char c : {'a', 'b', 'c', 'd'}) (void)s.spawn(note, c);
    co_await yield();
    EXPECT_EQ(log, "abcd");
  });
}

TEST(spawn, arguments_are_copied_so_the_caller_may_change_its_own) {
  run([](scope& s) -> task<> {
    std::string text = "before";
    auto read = [](const std::string& given) -> task<std::string> {  // a reference into the task
      co_await yield();
      co_return given;
    };
    auto t = s.spawn(read, text);
    text = "after";
    outcome<std::string> seen = co_await t.join();
    EXPECT_EQ(std::move(seen).value(), "before");
  });
}

TEST(spawn, std_ref_hands_over_a_reference) {
  run([](scope& s) -> task<> {
    int target = 0;
    auto write = [](int& x) -> task<> {
      x = 5;
      co_return;
    };
    auto t = s.spawn(write, std::ref(target));
    (void)co_await t.join();
    EXPECT_EQ(target, 5);
  });
}

TEST(spawn, move_only_arguments_move_into_the_task) {
  run([](scope& s) -> task<> {
    auto read = [](std::unique_ptr<int> p) -> task<int> {
      co_await yield();
      co_return *p;
    };
    auto t = s.spawn(read, std::make_unique<int>(9));
    outcome<int> nine = co_await t.join();
    EXPECT_EQ(std::move(nine).value(), 9);
  });
}

TEST(spawn, takes_up_to_four_arguments) {
  run([](scope& s) -> task<> {
    auto sum = [](int a, int b, int c, int d) -> task<int> { co_return a + b + c + d; };
    auto t = s.spawn(sum, 1, 2, 3, 4);
    outcome<int> ten = co_await t.join();
    EXPECT_EQ(std::move(ten).value(), 10);
  });
}

TEST(spawn, keeps_a_lambda_coroutine_and_its_captures_alive) {
  int alive = 0;
  run([&](scope& s) -> task<> {
    {
      auto fn = [kept = counted(alive), &alive]() -> task<int> {
        co_await yield();
        co_return alive;
      };
      (void)s.spawn(std::move(fn));
    }
    EXPECT_EQ(alive, 1);
    co_await yield();
    EXPECT_EQ(alive, 1) << "the task still runs";
  });
  EXPECT_EQ(alive, 0);
}

TEST(spawn, a_task_that_ended_gives_its_arguments_back_before_the_scope_ends) {
  int alive = 0;
  run([&](scope& s) -> task<> {
    auto body = [](const counted&) -> task<> { co_return; };
    (void)s.spawn(body, counted(alive));
    EXPECT_EQ(alive, 1);
    co_await yield();
    EXPECT_EQ(alive, 0);
  });
}

TEST(spawn, what_calling_the_function_throws_comes_out_and_nothing_was_started) {
  run([](scope& s) -> task<> {
    auto refuse = [](int) -> task<> { throw std::bad_alloc(); };  // not a coroutine
    EXPECT_THROW((void)s.spawn(refuse, 1), std::bad_alloc);
    EXPECT_EQ(s.alive(), 1u);
    co_return;
  });
}

TEST(spawn, into_a_cancelled_scope_begins_the_task_and_stops_it_at_its_first_await) {
  std::string log;
  run([&]() -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      s.cancel();
      auto late = [&]() -> task<> {
        log += "begun ";
        co_await yield();
        log += "went on ";
      };
      (void)s.spawn(late);
      (void)s.spawn_on(0, late);
      co_return;
    });
  });
  EXPECT_EQ(log, "begun begun ");
}

task<> grow(scope& s, int& runs, int depth) {
  ++runs;
  for (int i = 0; i < 2 && depth > 0; ++i) {
    (void)s.spawn(grow, std::ref(s), std::ref(runs), depth - 1);
  }
  co_return;
}

TEST(spawn, tasks_may_spawn_siblings) {
  int runs = 0;
  run([&](scope& s) -> task<> {
    (void)s.spawn(grow, std::ref(s), std::ref(runs), 9);
    co_return;
  });
  EXPECT_EQ(runs, (1 << 10) - 1);
}

std::size_t resident_bytes() {
  std::size_t all = 0;
  std::size_t resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident * 4096;
}

/// CORESPUN_TEST_TASKS says how many; ten million take some 2.5 GB.
std::size_t tasks_at_once() {
  if (const char* const n = std::getenv("CORESPUN_TEST_TASKS"); n != nullptr)
    return std::strtoull(n, nullptr, 10);
  return test::sanitized ? 100'000 : 1'000'000;
}

/// How much this process has when all of them are spawned and none has begun.
std::size_t bytes_with_tasks(std::size_t n, affinity moves) {
  runtime_options options = test::cores(1);
  options.affinity = moves;
  std::size_t bytes = 0;
  std::size_t runs = 0;
  test::run_with(options, [&](scope& s) -> task<> {
    auto once = [&]() -> task<> {
      ++runs;
      co_await yield();
      ++runs;
    };
    for (std::size_t i = 0; i < n; ++i) (void)s.spawn(once);
    EXPECT_EQ(runs, 0u);
    bytes = resident_bytes();
    co_return;
  });
  EXPECT_EQ(runs, 2 * n);
  return bytes;
}

TEST(spawn, of_very_many_at_once_runs_each_once_and_gives_their_memory_back) {
  const std::size_t n = tasks_at_once();
  for (const affinity moves : {affinity::core, affinity::any}) {
    const std::size_t first = bytes_with_tasks(n, moves);
    const std::size_t second = bytes_with_tasks(n, moves);
    if (!test::sanitized) {  // who keeps what was freed
      EXPECT_LT(second, first + first / 4);
    }
  }
}

TEST(spawn, into_a_scope_that_has_ended_aborts_with_advice) {
  EXPECT_DEATH(run([](scope& s) -> task<> {
                 scope* other = nullptr;
                 auto too_late = [&]() -> task<> {
                   while (other == nullptr || other->alive() > 0) co_await yield();
                   (void)other->spawn(yield_once);  // its await has not returned yet
                 };
                 (void)s.spawn(too_late);
                 co_await with_scope([&](scope& inner) -> task<> {
                   other = &inner;
                   co_await yield();
                 });
               }),
               "spawn into a scope that has ended(.|\n)*spawn_test.cpp");
}

// --- other cores ---

TEST(spawn_on, runs_the_task_on_that_core_and_it_stays_there) {
  run_on(3, [](scope& s) -> task<> {
    for (unsigned core = 0; core < this_core::count(); ++core) {
      auto where = [core]() -> task<> {
        EXPECT_EQ(this_core::index(), core);
        co_await yield();
        EXPECT_EQ(this_core::index(), core);
      };
      (void)s.spawn_on(core, where);
    }
    co_await yield();
    EXPECT_EQ(this_core::index(), 0u);
  });
}

TEST(spawn_on, hands_the_value_back_to_the_joining_core) {
  run_on(2, [](scope& s) -> task<> {
    auto t = s.spawn_on(1, []() -> task<std::vector<int>> {
      co_await yield();
      co_return std::vector<int>(1000, 3);
    });
    outcome<std::vector<int>> values = co_await t.join();
    EXPECT_EQ(std::move(values).value(), std::vector<int>(1000, 3));
    EXPECT_EQ(this_core::index(), 0u);
  });
}

TEST(spawn_on, an_exception_there_cancels_the_siblings_here_and_is_rethrown) {
  run_on(2, []() -> task<> {
    std::string caught;
    try {
      co_await with_scope([](scope& s) -> task<> {
        event never;
        (void)s.spawn_on(1, []() -> task<> {
          co_await yield();
          throw std::runtime_error("from core 1");
        });
        co_await never.wait();
      });
    } catch (const std::runtime_error& e) {
      caught = e.what();
    }
    EXPECT_EQ(caught, "from core 1");
  });
}

TEST(spawn_on, a_cancel_reaches_tasks_on_all_cores) {
  run_on(3, []() -> task<> {
    event begun[3];
    event never;
    co_await with_scope([&](scope& s) -> task<> {
      for (unsigned core = 0; core < 3; ++core) {
        auto wait = [&, core]() -> task<> {
          begun[core].open();
          co_await never.wait();
        };
        (void)s.spawn_on(core, wait);
      }
      for (event& e : begun) co_await e.wait();
      s.cancel();
    });
  });
}

TEST(spawn_on, function_and_arguments_end_exactly_once) {
  std::atomic<int> alive{0};
  struct counted_anywhere {
    explicit counted_anywhere(std::atomic<int>& a) : alive(&a) { ++*alive; }
    counted_anywhere(const counted_anywhere& o) : alive(o.alive) { ++*alive; }
    ~counted_anywhere() { --*alive; }
    std::atomic<int>* alive;
  };
  run_on(2, [&](scope& s) -> task<> {
    for (int i = 0; i < 1000; ++i) {
      auto fn = [kept = counted_anywhere(alive)]() -> task<> { co_await yield(); };
      (void)s.spawn_on(1, std::move(fn));
    }
    co_return;
  });
  EXPECT_EQ(alive, 0);
}

TEST(spawn_on, a_core_that_is_not_there_aborts_with_advice) {
  EXPECT_DEATH(run([](scope& s) -> task<> {
                 (void)s.spawn_on(1, []() -> task<> { co_return; });
                 co_return;
               }),
               "spawn_on core 1 of 1(.|\n)*this_core::count");
}

TEST(spawn, from_a_task_on_another_core_starts_the_task_there) {
  unsigned where = 0;
  run_on(2, [&](scope& s) -> task<> {
    auto starts_another = [&]() -> task<> {
      (void)s.spawn([&]() -> task<> {
        where = this_core::index();
        co_return;
      });
      co_return;
    };
    (void)s.spawn_on(1, starts_another);
    co_return;
  });
  EXPECT_EQ(where, 1u);
}

}  // namespace
}  // namespace corespun
