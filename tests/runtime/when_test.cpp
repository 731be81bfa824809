// when_all, when_any, when_all_settled: several at once; losers are cancelled and awaited, winners
// kept.

#include <corespun/runtime/as_result.hpp>
#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/sleep.hpp>
#include <corespun/runtime/when.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "tests/support/tasks.hpp"
#include "tests/support/trace.hpp"
#include "tests/support/virtual_time.hpp"

namespace corespun {
namespace {

using namespace std::chrono_literals;
using test::forever;
using test::noted;
using test::run;
using test::virtual_time;

template <typename T>
task<T> after(clock::duration d, T value) {
  co_await sleep_for(d);
  co_return std::move(value);
}
task<int> at_once(int value) { co_return value; }
task<int> fail_after(clock::duration d) {
  co_await sleep_for(d);
  throw 13;
}
/// Notes when its frame ends.
task<int> traced(std::string& log, std::string name, clock::duration d) {
  const noted local(log, std::move(name));
  co_await sleep_for(d);
  co_return 1;
}

// --- when_all ---

TEST(when_all, yields_all_values_after_the_longest) {
  virtual_time time;
  time.run([&]() -> task<> {
    auto [number, text, nothing] =
        co_await when_all(after(2s, 1), after(3s, std::string("x")), sleep_for(1s));
    EXPECT_EQ(number, 1);
    EXPECT_EQ(text, "x");
    EXPECT_EQ(nothing, std::monostate());
    EXPECT_EQ(time.elapsed(), 3s) << "they wait at the same time";
  });
}

TEST(when_all, hands_references_and_move_only_values_on) {
  run([]() -> task<> {
    int target = 0;
    auto refer = [](int& x) -> task<int&> { co_return x; };
    auto make = []() -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(2); };
    auto [same, owned] = co_await when_all(refer(target), make());
    EXPECT_EQ(&same, &target);
    EXPECT_EQ(*owned, 2);
  });
}

TEST(when_all, of_one_that_is_complete_at_once_yields_it) {
  run([]() -> task<> {
    const auto [only] = co_await when_all(at_once(4));
    EXPECT_EQ(only, 4);
  });
}

TEST(when_all, the_first_exception_cancels_the_others_and_is_rethrown_when_they_have_ended) {
  virtual_time time;
  std::string log;
  time.run([&]() -> task<> {
    try {
      (void)co_await when_all(traced(log, "other", 1h), fail_after(1s), fail_after(2s));
    } catch (int x) {
      log += std::to_string(x);
    }
    EXPECT_EQ(time.elapsed(), 1s);
  });
  EXPECT_EQ(log, "other 13");
}

TEST(when_all, a_cancel_stops_all_branches_and_then_the_await) {
  virtual_time time;
  std::string log;
  time.run([&](scope& s) -> task<> {
    auto t = s.spawn([&]() -> task<> {
      (void)co_await when_all(traced(log, "a", 1h), traced(log, "b", 2h));
      log += "went on";
    });
    co_await sleep_for(1s);
    t.cancel();
    const outcome<void> o = co_await t.join();
    EXPECT_TRUE(o.stopped());
  });
  EXPECT_EQ(log, "a b ");
}

TEST(when_all, that_is_complete_wins_over_a_cancel) {
  virtual_time time;
  time.run([&](scope& s) -> task<> {
    int sum = 0;
    auto careful = []() -> task<int> {
      (void)co_await as_result(forever());
      co_return 3;
    };
    auto t = s.spawn([&]() -> task<> {
      const auto [a, b] = co_await when_all(careful(), careful());
      sum = a + b;
    });
    co_await sleep_for(1s);
    t.cancel();
    (void)co_await t.join();
    EXPECT_EQ(sum, 6);
  });
}

TEST(when_all, of_a_list_yields_the_values_in_the_order_of_the_list) {
  virtual_time time;
  time.run([&]() -> task<> {
    std::vector<task<int>> list;
    for (int i = 0; i < 100; ++i) list.push_back(after(std::chrono::seconds(100 - i), i));
    const std::vector<int> values = co_await when_all(std::move(list));
    EXPECT_EQ(values.size(), 100u);
    for (int i = 0; i < static_cast<int>(values.size()); ++i) {
      EXPECT_EQ(values[static_cast<std::size_t>(i)], i);
    }
    EXPECT_EQ(time.elapsed(), 100s);
  });
}

TEST(when_all, of_a_list_of_void_waits_for_all) {
  virtual_time time;
  time.run([&]() -> task<> {
    auto nap = [](clock::duration d) -> task<> { co_await sleep_for(d); };
    std::vector<task<>> list;
    for (int i = 1; i <= 3; ++i) list.push_back(nap(std::chrono::seconds(i)));
    co_await when_all(std::move(list));
    EXPECT_EQ(time.elapsed(), 3s);
  });
}

TEST(when_all, of_an_empty_list_is_done_at_once) {
  run([]() -> task<> {
    const std::vector<int> none = co_await when_all(std::vector<task<int>>());
    EXPECT_TRUE(none.empty());
    const auto settled = co_await when_all_settled(std::vector<task<int>>());
    EXPECT_TRUE(settled.empty());
  });
}

TEST(when_all, of_a_list_cancels_the_rest_at_the_first_exception) {
  virtual_time time;
  time.run([&]() -> task<> {
    std::vector<task<int>> list;
    list.push_back(after(1h, 1));
    list.push_back(fail_after(1s));
    int caught = 0;
    try {
      (void)co_await when_all(std::move(list));
    } catch (int x) {
      caught = x;
    }
    EXPECT_EQ(caught, 13);
    EXPECT_EQ(time.elapsed(), 1s);
  });
}

TEST(when_all, many_that_are_complete_at_once_do_not_use_up_the_stack) {
  run([]() -> task<> {
    std::vector<task<int>> list;
    for (int i = 0; i < 100'000; ++i) list.push_back(at_once(1));
    const std::vector<int> values = co_await when_all(std::move(list));
    EXPECT_EQ(values.size(), 100'000u);
  });
}

TEST(when_all, that_is_never_awaited_runs_nothing_and_leaks_nothing) {
  int alive = 0;
  auto body = [](test::counted) -> task<> { co_return; };
  {
    const auto call = when_all(body(test::counted(alive)), body(test::counted(alive)));
    EXPECT_EQ(alive, 2);
  }
  EXPECT_EQ(alive, 0);
}

// --- when_any ---

TEST(when_any, yields_the_first_and_the_losers_have_ended_by_then) {
  virtual_time time;
  std::string log;
  time.run([&]() -> task<> {
    auto any = co_await when_any(traced(log, "loser", 1h), after(1s, 8), traced(log, "loser", 2h));
    EXPECT_EQ(any.index, 1u);
    EXPECT_EQ(std::get<1>(std::move(any.outcomes)).value(), 8);
    EXPECT_TRUE(std::get<0>(any.outcomes).stopped());
    EXPECT_TRUE(std::get<2>(any.outcomes).stopped());
    EXPECT_EQ(time.elapsed(), 1s);
    EXPECT_EQ(log, "loser loser ");
  });
}

TEST(when_any, keeps_the_values_of_others_that_also_completed) {
  virtual_time time;
  time.run([&]() -> task<> {
    auto also = []() -> task<int> {
      (void)co_await as_result(forever());
      co_return 2;
    };
    auto any = co_await when_any(after(1s, 1), also());
    EXPECT_EQ(any.index, 0u);
    EXPECT_EQ(std::get<1>(std::move(any.outcomes)).value(), 2);
  });
}

TEST(when_any, waits_for_losers_that_take_their_time) {
  virtual_time time;
  time.run([&]() -> task<> {
    auto slow = []() -> task<int> {
      (void)co_await as_result(forever());
      (void)co_await shield(1h, sleep_for(9s));
      co_return 0;
    };
    const auto any = co_await when_any(after(1s, 1), slow());
    EXPECT_EQ(any.index, 0u);
    EXPECT_EQ(time.elapsed(), 10s);
  });
}

TEST(when_any, one_that_is_complete_at_once_stops_the_others_at_their_first_await) {
  run([]() -> task<> {
    bool went_on = false;
    auto other = [&]() -> task<int> {
      co_await forever();
      went_on = true;
      co_return 0;
    };
    const auto first = co_await when_any(at_once(1), other());
    EXPECT_EQ(first.index, 0u);
    const auto second = co_await when_any(other(), at_once(1));
    EXPECT_EQ(second.index, 1u);
    EXPECT_TRUE(std::get<0>(second.outcomes).stopped());
    EXPECT_FALSE(went_on);
  });
}

TEST(when_any, rethrows_if_the_first_to_end_threw) {
  virtual_time time;
  time.run([&]() -> task<> {
    int caught = 0;
    try {
      (void)co_await when_any(fail_after(1s), after(2s, 1));
    } catch (int x) {
      caught = x;
    }
    EXPECT_EQ(caught, 13);
    EXPECT_EQ(time.elapsed(), 1s);
  });
}

TEST(when_any, shows_an_exception_of_a_loser_as_its_outcome) {
  virtual_time time;
  time.run([&]() -> task<> {
    auto sore_loser = []() -> task<int> {
      (void)co_await as_result(forever());
      throw 1;
    };
    const auto any = co_await when_any(after(1s, 1), sore_loser());
    EXPECT_EQ(any.index, 0u);
    EXPECT_TRUE(std::get<1>(any.outcomes).failed());
  });
}

TEST(when_any, a_cancel_stops_all_branches_and_then_the_await) {
  virtual_time time;
  std::string log;
  time.run([&](scope& s) -> task<> {
    auto t = s.spawn([&]() -> task<> {
      (void)co_await when_any(traced(log, "a", 1h), traced(log, "b", 2h));
      log += "went on";
    });
    co_await sleep_for(1s);
    t.cancel();
    const outcome<void> o = co_await t.join();
    EXPECT_TRUE(o.stopped());
  });
  EXPECT_EQ(log, "a b ");
}

TEST(when_any, that_is_decided_wins_over_a_cancel) {
  virtual_time time;
  time.run([&](scope& s) -> task<> {
    std::size_t winner = 9;
    auto slow = []() -> task<int> {
      (void)co_await as_result(forever());
      (void)co_await shield(1h, sleep_for(9s));
      co_await yield();
      co_return 0;
    };
    auto t = s.spawn([&]() -> task<> {
      const auto any = co_await when_any(slow(), after(1s, 1));
      winner = any.index;
    });
    co_await sleep_for(2s);  // decided, but the loser has not ended yet
    t.cancel();
    (void)co_await t.join();
    EXPECT_EQ(winner, 1u);
  });
}

TEST(when_any, of_a_list_yields_the_index_and_an_outcome_for_each) {
  virtual_time time;
  time.run([&]() -> task<> {
    std::vector<task<int>> list;
    for (int i = 0; i < 5; ++i) list.push_back(after(std::chrono::seconds(5 - i), i));
    auto any = co_await when_any(std::move(list));
    EXPECT_EQ(any.index, 4u);
    EXPECT_EQ(any.outcomes.size(), 5u);
    EXPECT_EQ(std::move(any.outcomes[4]).value(), 4);
    EXPECT_TRUE(any.outcomes[0].stopped());
    EXPECT_EQ(time.elapsed(), 1s);
  });
}

TEST(when_any, of_nothing_aborts_with_advice) {
  EXPECT_DEATH((void)when_any(std::vector<task<int>>()), "when_any of nothing(.|\n)*at least one");
}

// --- when_all_settled ---

TEST(when_all_settled, waits_for_all_whatever_they_do_and_throws_nothing) {
  virtual_time time;
  time.run([&]() -> task<> {
    auto gives_up = []() -> task<int> {
      co_return co_await with_scope([](scope& s) -> task<int> {
        s.cancel();
        co_await yield();
        co_return 1;
      });
    };
    auto [value, failed, stopped] =
        co_await when_all_settled(after(3s, 1), fail_after(1s), gives_up());
    EXPECT_EQ(std::move(value).value(), 1);
    EXPECT_TRUE(failed.failed());
    EXPECT_TRUE(stopped.stopped());
    EXPECT_EQ(time.elapsed(), 3s);
  });
}

TEST(when_all_settled, of_a_list_yields_an_outcome_for_each) {
  virtual_time time;
  time.run([&]() -> task<> {
    std::vector<task<int>> list;
    list.push_back(after(2s, 1));
    list.push_back(fail_after(1s));
    const auto outcomes = co_await when_all_settled(std::move(list));
    EXPECT_TRUE(outcomes[0].has_value());
    EXPECT_TRUE(outcomes[1].failed());
  });
}

TEST(when_all_settled, ends_as_stopped_when_a_cancel_took_a_branch) {
  virtual_time time;
  time.run([&](scope& s) -> task<> {
    auto t =
        s.spawn([]() -> task<> { (void)co_await when_all_settled(after(1s, 1), after(1h, 2)); });
    co_await sleep_for(2s);
    t.cancel();
    const outcome<void> o = co_await t.join();
    EXPECT_TRUE(o.stopped());
    EXPECT_EQ(time.elapsed(), 2s);
  });
}

}  // namespace
}  // namespace corespun
