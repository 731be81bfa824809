// task: lazy, awaited once, and its frames end from the innermost outwards.

#include <corespun/runtime/as_result.hpp>
#include <corespun/runtime/task.hpp>
#include <corespun/runtime/this_core.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "tests/support/run.hpp"
#include "tests/support/tasks.hpp"
#include "tests/support/trace.hpp"

namespace corespun {
namespace {

using test::counted;
using test::forever;
using test::noted;
using test::run;

task<int> twice(int x) {
  co_await yield();
  co_return 2 * x;
}

TEST(task, hands_its_value_to_the_await) {
  run([]() -> task<> {
    const int eight = co_await twice(4);
    EXPECT_EQ(eight, 8);
  });
}

TEST(task, a_reference_is_handed_on_as_the_same_object) {
  int target = 1;
  auto choose = [](int& x) -> task<int&> { co_return x; };
  run([&]() -> task<> {
    int& chosen = co_await choose(target);
    EXPECT_EQ(&chosen, &target);
  });
}

TEST(task, a_value_need_not_be_copyable_or_default_constructible) {
  struct only_moves {
    explicit only_moves(int v) : value(std::make_unique<int>(v)) {}
    std::unique_ptr<int> value;
  };
  auto make = [](int v) -> task<only_moves> {
    co_await yield();
    co_return only_moves(v);
  };
  run([&]() -> task<> {
    const only_moves seven = co_await make(7);
    EXPECT_EQ(*seven.value, 7);
  });
}

TEST(task, an_exception_is_rethrown_at_the_await_after_the_frame_was_left) {
  std::string log;
  auto fail = [&]() -> task<int> {
    const noted frame(log, "local");
    co_await yield();
    throw std::runtime_error("broken");
  };
  run([&]() -> task<> {
    try {
      (void)co_await fail();
      ADD_FAILURE() << "nothing was thrown";
    } catch (const std::runtime_error& e) {
      log += e.what();
    }
  });
  EXPECT_EQ(log, "local broken");
}

TEST(task, an_exception_passes_through_awaiting_tasks) {
  auto inner = []() -> task<> {
    co_await yield();
    throw 7;
  };
  auto middle = [&]() -> task<> { co_await inner(); };
  run([&]() -> task<> {
    int caught = 0;
    try {
      co_await middle();
    } catch (int x) {
      caught = x;
    }
    EXPECT_EQ(caught, 7);
  });
}

TEST(task, does_not_begin_before_it_is_awaited) {
  bool began = false;
  auto body = [&]() -> task<> {
    began = true;
    co_return;
  };
  run([&]() -> task<> {
    auto t = body();
    co_await yield();
    EXPECT_FALSE(began);
    co_await std::move(t);
    EXPECT_TRUE(began);
  });
}

TEST(task, one_that_never_began_ends_its_arguments_and_nothing_else) {
  int alive = 0;
  bool began = false;
  auto body = [&](counted) -> task<> {
    began = true;
    co_return;
  };
  {
    const auto t = body(counted(alive));
    EXPECT_EQ(alive, 1);
  }
  EXPECT_EQ(alive, 0);
  EXPECT_FALSE(began);
}

TEST(task, assignment_ends_the_task_that_was_there_before) {
  int alive = 0;
  auto body = [](counted) -> task<> { co_return; };
  auto t = body(counted(alive));
  t = body(counted(alive));
  EXPECT_EQ(alive, 1);
  task<> taken = std::move(t);
  EXPECT_EQ(alive, 1);
}

TEST(task, cannot_be_copied) {
  EXPECT_FALSE(std::is_copy_constructible_v<task<>>);
  EXPECT_FALSE(std::is_copy_assignable_v<task<>>);
}

TEST(task, awaiting_one_twice_aborts_with_advice) {
  EXPECT_DEATH(run([]() -> task<> {
                 auto t = twice(1);
                 (void)co_await std::move(t);
                 (void)co_await std::move(t);
               }),
               "a task is used twice(.|\n)*await each task once");
}

TEST(task, arguments_by_value_live_as_long_as_the_frame) {
  int alive = 0;
  auto body = [&](counted) -> task<int> {
    co_await yield();
    co_return alive;
  };
  run([&]() -> task<> {
    auto t = body(counted(alive));
    const int inside = co_await std::move(t);
    EXPECT_EQ(inside, 1);
    EXPECT_EQ(alive, 0);
  });
}

// One recursion of the machine stack per task would end the process.
constexpr int very_deep = 1'000'000;

task<int> count_down(int depth) {
  int below = 0;
  if (depth > 1) below = co_await count_down(depth - 1);
  co_return below + 1;
}

TEST(task, a_million_nested_awaits_return_without_using_up_the_stack) {
  run([]() -> task<> {
    const int frames = co_await count_down(very_deep);
    EXPECT_EQ(frames, very_deep);
  });
}

TEST(task, a_million_awaits_in_a_row_do_not_use_up_the_stack) {
  auto at_once = [](int x) -> task<int> { co_return x; };
  run([&]() -> task<> {
    int sum = 0;
    for (int i = 0; i < very_deep; ++i) sum += co_await at_once(1);
    EXPECT_EQ(sum, very_deep);
  });
}

task<> wait_below(int depth, const counted parameter) {
  const counted local = parameter;
  if (depth > 1) {
    co_await wait_below(depth - 1, local);
  } else {
    co_await forever();
  }
}

TEST(task, a_chain_of_100000_is_stopped_without_using_up_the_stack) {
  constexpr int depth = 100'000;
  int alive = 0;
  run([&](scope& s) -> task<> {
    auto chain = s.spawn(wait_below, depth, counted(alive));
    co_await yield();
    EXPECT_GT(alive, depth);
    chain.cancel();
    const outcome<void> ended = co_await chain.join();
    EXPECT_TRUE(ended.stopped());
  });
  EXPECT_EQ(alive, 0);
}

TEST(task, a_stop_ends_the_frames_from_the_leaf_outwards) {
  std::string log;
  auto leaf = [&]() -> task<> {
    const noted first(log, "leaf");
    const noted second(log, "leaf's-last");
    co_await forever();
  };
  auto middle = [&]() -> task<> {
    const noted local(log, "middle");
    co_await leaf();
  };
  auto outer = [&]() -> task<> {
    const noted local(log, "outer");
    co_await middle();
  };
  run([&](scope& s) -> task<> {
    auto t = s.spawn(outer);
    co_await yield();
    t.cancel();
  });
  EXPECT_EQ(log, "leaf's-last leaf middle outer ");
}

TEST(task, a_move_only_argument_moves_into_the_frame) {
  auto body = [](std::unique_ptr<int> p) -> task<int> {
    co_await yield();
    co_return *p;
  };
  run([&]() -> task<> {
    auto t = body(std::make_unique<int>(5));
    const int five = co_await std::move(t);
    EXPECT_EQ(five, 5);
  });
}

}  // namespace
}  // namespace corespun
