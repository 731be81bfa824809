// as_result: a cancel as a value, at the level that asks for it.

#include <corespun/runtime/as_result.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/sleep.hpp>

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

using test::forever;
using test::noted;
using test::run;

/// Runs body in a task that is cancelled while it waits.
template <typename Fn>
void run_and_cancel(Fn body) {
  run([&](scope& s) -> task<> {
    auto t = s.spawn(body);
    co_await test::let_others_run();
    t.cancel();
    const outcome<void> o = co_await t.join();
    EXPECT_TRUE(o.has_value());
  });
}

TEST(as_result, of_a_task_that_ends_is_its_value) {
  run([]() -> task<> {
    const result<int> r = co_await as_result([]() -> task<int> {
      co_await yield();
      co_return 4;
    });
    EXPECT_EQ(r, 4);
    const result<> nothing = co_await as_result(yield());
    EXPECT_TRUE(nothing);
  });
}

TEST(as_result, takes_a_move_only_value_out) {
  run([]() -> task<> {
    auto make = []() -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(4); };
    const result<std::unique_ptr<int>> r = co_await as_result(make());
    EXPECT_EQ(**r, 4);
  });
}

TEST(as_result, of_a_result_stays_one_result) {
  run([]() -> task<> {
    auto refused = []() -> task<result<int>> {
      co_await yield();
      co_return std::unexpected(errc::closed);
    };
    const auto r = co_await as_result(refused());
    EXPECT_TRUE((std::is_same_v<decltype(r), const result<int>>));
    EXPECT_EQ(r.error(), errc::closed);
  });
}

TEST(as_result, lets_exceptions_through) {
  run([]() -> task<> {
    auto fail = []() -> task<> {
      co_await yield();
      throw 8;
    };
    int caught = 0;
    try {
      (void)co_await as_result(fail());
    } catch (int x) {
      caught = x;
    }
    EXPECT_EQ(caught, 8);
  });
}

TEST(as_result, catches_a_stop_of_frames_far_below_and_ends_them_first) {
  std::string log;
  run_and_cancel([&]() -> task<> {
    auto leaf = [&]() -> task<> {
      const noted local(log, "leaf");
      co_await forever();
    };
    auto middle = [&]() -> task<> {
      const noted local(log, "middle");
      co_await leaf();
    };
    const result<> r = co_await as_result(middle());
    log += r.error().message();
  });
  EXPECT_EQ(log, "leaf middle cancelled");
}

TEST(as_result, the_innermost_of_several_levels_catches_the_stop) {
  std::string log;
  run_and_cancel([&]() -> task<> {
    auto inner = [&]() -> task<int> {
      const result<> r = co_await as_result(forever());
      log += r ? "inner-value " : "inner-cancelled ";
      co_return 1;
    };
    const result<int> r = co_await as_result(inner());
    log += r ? "outer-value" : "outer-cancelled";
  });
  EXPECT_EQ(log, "inner-cancelled outer-value");
}

TEST(as_result, an_outer_level_catches_the_next_await_of_a_level_that_goes_on) {
  std::string log;
  run_and_cancel([&]() -> task<> {
    auto inner = [&]() -> task<> {
      (void)co_await as_result(forever());
      log += "inner ";
      co_await yield();
      log += "not reached ";
    };
    const result<> r = co_await as_result(inner());
    log += r ? "outer-value" : "outer-cancelled";
  });
  EXPECT_EQ(log, "inner outer-cancelled");
}

TEST(as_result, a_value_that_came_first_wins) {
  run([](scope& s) -> task<> {
    event go;
    result<> seen = std::unexpected(errc::closed);
    auto t = s.spawn([&]() -> task<> { seen = co_await as_result(go.wait()); });
    co_await test::let_others_run();
    go.open();
    t.cancel();
    (void)co_await t.join();
    EXPECT_TRUE(seen);
  });
}

TEST(as_result, in_a_loop_of_a_cancelled_task_does_not_use_up_the_stack) {
  run([](scope& s) -> task<> {
    constexpr int many = 100'000;
    int rounds = 0;
    auto t = s.spawn([&]() -> task<> {
      for (; rounds < many; ++rounds) (void)co_await as_result(yield());
    });
    t.cancel();
    (void)co_await t.join();
    EXPECT_EQ(rounds, many);
  });
}

TEST(as_result, that_is_never_awaited_ends_the_task_it_holds) {
  int alive = 0;
  auto body = [](test::counted) -> task<> { co_return; };
  {
    const auto held = as_result(body(test::counted(alive)));
    EXPECT_EQ(alive, 1);
  }
  EXPECT_EQ(alive, 0);
}

}  // namespace
}  // namespace corespun
