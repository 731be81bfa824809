// with_deadline, with_timeout, shield: a time limit of its own for a part of a task.

#include <corespun/runtime/as_result.hpp>
#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/sleep.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <type_traits>

#include "tests/support/tasks.hpp"
#include "tests/support/trace.hpp"
#include "tests/support/virtual_time.hpp"

namespace corespun {
namespace {

using namespace std::chrono_literals;
using test::counted;
using test::forever;
using test::noted;
using test::virtual_time;

task<int> value_after(clock::duration d) {
  co_await sleep_for(d);
  co_return 7;
}

TEST(with_timeout, of_what_ends_in_time_is_its_value) {
  virtual_time time;
  time.run([&]() -> task<> {
    const result<int> r = co_await with_timeout(1h, value_after(1min));
    EXPECT_EQ(r, 7);
    EXPECT_EQ(time.elapsed(), 1min);
  });
}

TEST(with_timeout, ends_at_the_limit_with_an_error_when_nothing_of_the_body_is_left) {
  virtual_time time;
  std::string log;
  time.run([&]() -> task<> {
    auto body = [&]() -> task<int> {
      const noted local(log, "body");
      co_return co_await value_after(1h);
    };
    const result<int> r = co_await with_timeout(5ms, body());
    EXPECT_FALSE(r);
    EXPECT_EQ(r.error(), errc::timed_out);
    EXPECT_EQ(time.elapsed(), 5ms);
    EXPECT_EQ(log, "body ");
  });
}

TEST(with_timeout, does_not_stop_the_task_that_asked) {
  virtual_time time;
  time.run([&]() -> task<> {
    (void)co_await with_timeout(1s, forever());
    co_await sleep_for(1s);
    EXPECT_EQ(time.elapsed(), 2s);
  });
}

TEST(with_timeout, a_value_that_was_produced_wins_over_the_deadline) {
  virtual_time time;
  time.run([&]() -> task<> {
    auto busy = [&]() -> task<int> {
      time.pass(1h);  // computes past its limit, and does not await any more
      co_return 7;
    };
    const result<int> r = co_await with_timeout(1s, busy());
    EXPECT_EQ(r, 7);
  });
}

TEST(with_timeout, a_body_that_catches_its_end_still_gives_its_value) {
  virtual_time time;
  time.run([&]() -> task<> {
    auto careful = []() -> task<int> {
      const result<> r = co_await as_result(forever());
      co_return r ? 1 : 2;
    };
    const result<int> r = co_await with_timeout(1s, careful());
    EXPECT_EQ(r, 2);
    EXPECT_EQ(time.elapsed(), 1s);
  });
}

TEST(with_timeout, waits_for_a_body_that_takes_its_time_to_end) {
  virtual_time time;
  time.run([&]() -> task<> {
    auto slow = []() -> task<> {
      (void)co_await as_result(forever());
      (void)co_await shield(1h, sleep_for(10s));
      co_await forever();
    };
    const result<> r = co_await with_timeout(1s, slow());
    EXPECT_EQ(r.error(), errc::timed_out);
    EXPECT_EQ(time.elapsed(), 11s);
  });
}

TEST(with_timeout, a_limit_that_is_not_positive_stops_at_the_first_await_and_not_before) {
  for (const clock::duration limit :
       {clock::duration(0), clock::duration(-1h), clock::duration::min()}) {
    virtual_time time;
    time.run([&]() -> task<> {
      std::string log;
      auto body = [&]() -> task<> {
        log += "begun";
        co_await yield();
        log += " went on";
      };
      const result<> r = co_await with_timeout(limit, body());
      EXPECT_EQ(r.error(), errc::timed_out);
      EXPECT_EQ(log, "begun");
      auto at_once = []() -> task<int> { co_return 1; };
      const result<int> one = co_await with_timeout(limit, at_once());
      EXPECT_EQ(one, 1);
      EXPECT_EQ(time.elapsed(), 0s);
    });
  }
}

TEST(with_timeout, awaited_when_its_limit_has_passed_ends_all_the_same) {
  virtual_time time;
  time.run([&]() -> task<> {
    auto limited = with_timeout(1ms, forever());
    co_await sleep_for(2ms);
    const auto r = co_await std::move(limited);
    EXPECT_FALSE(r);
    EXPECT_EQ(r.error(), errc::timed_out);
    EXPECT_LE(time.elapsed(), 3ms);
  });
}

TEST(with_timeout, the_longest_limit_there_is_means_none) {
  virtual_time time;
  time.run([&]() -> task<> {
    const result<int> r = co_await with_timeout(clock::duration::max(), value_after(1h));
    EXPECT_EQ(r, 7);
    const result<int> d = co_await with_deadline(clock::time_point::max(), value_after(1h));
    EXPECT_EQ(d, 7);
    EXPECT_EQ(time.elapsed(), 2h);
  });
}

TEST(with_timeout, leaves_no_timer_behind) {
  virtual_time time;
  time.run([&]() -> task<> {
    for (int i = 0; i < 1000; ++i) (void)co_await with_timeout(1s, value_after(1ms));
    co_await sleep_for(1h);  // a timer of an ended wait would fire meanwhile
    EXPECT_EQ(time.elapsed(), 1h + 1s);
  });
}

TEST(with_deadline, counts_from_the_clock_not_from_the_call) {
  virtual_time time;
  time.run([&]() -> task<> {
    const clock::time_point deadline = clock::now() + 5s;
    co_await sleep_for(3s);
    (void)co_await with_deadline(deadline, forever());
    EXPECT_EQ(time.elapsed(), 5s);
  });
}

TEST(nested_deadlines, the_earlier_outer_one_ends_both) {
  virtual_time time;
  time.run([&]() -> task<> {
    bool inner_returned = false;
    auto body = [&]() -> task<> {
      (void)co_await with_timeout(2s, forever());
      inner_returned = true;
    };
    const result<> r = co_await with_timeout(1s, body());
    EXPECT_EQ(r.error(), errc::timed_out);
    EXPECT_EQ(time.elapsed(), 1s);
    EXPECT_FALSE(inner_returned) << "the outer deadline is not the inner one's to report";
  });
}

TEST(nested_deadlines, the_earlier_inner_one_is_reported_to_the_inner_level) {
  virtual_time time;
  time.run([&]() -> task<> {
    auto body = [&]() -> task<std::string> {
      const result<> inner = co_await with_timeout(1s, forever());
      EXPECT_EQ(time.elapsed(), 1s);
      co_return inner.error().message();
    };
    const result<std::string> r = co_await with_timeout(2s, body());
    EXPECT_EQ(r, "timed out");
    EXPECT_EQ(time.elapsed(), 1s);
  });
}

TEST(nested_deadlines, equal_ones_end_the_outer_level) {
  virtual_time time;
  time.run([&]() -> task<> {
    const result<result<>> r = co_await with_timeout(1s, [&]() -> task<result<result<>>> {
      result<> inner = co_await with_timeout(1s, forever());
      co_await sleep_for(1h);
      co_return inner;
    });
    EXPECT_FALSE(r);
    EXPECT_EQ(time.elapsed(), 1s);
  });
}

TEST(with_timeout, adds_an_error_to_a_result_not_a_layer) {
  virtual_time time;
  time.run([]() -> task<> {
    auto refused = []() -> task<result<int>> {
      co_await yield();
      co_return std::unexpected(errc::closed);
    };
    const auto r = co_await with_timeout(1s, refused());
    EXPECT_TRUE((std::is_same_v<decltype(r), const result<int>>));
    EXPECT_EQ(r.error(), errc::closed);
  });
}

TEST(with_timeout, lets_exceptions_through_and_forgets_the_deadline) {
  virtual_time time;
  time.run([&]() -> task<> {
    auto fail = []() -> task<> {
      co_await sleep_for(1ms);
      throw 5;
    };
    int caught = 0;
    try {
      (void)co_await with_timeout(1s, fail());
    } catch (int x) {
      caught = x;
    }
    EXPECT_EQ(caught, 5);
    co_await sleep_for(1h);
    EXPECT_EQ(time.elapsed(), 1h + 1ms);
  });
}

TEST(with_timeout, takes_a_task_an_awaitable_or_a_function_that_it_keeps_alive) {
  virtual_time time;
  int alive = 0;
  time.run([&]() -> task<> {
    const result<int> of_task = co_await with_timeout(1s, value_after(1ms));
    EXPECT_EQ(of_task, 7);
    const result<> of_awaitable = co_await with_timeout(1s, sleep_for(1ms));
    EXPECT_TRUE(of_awaitable);
    result<int> of_function = 0;
    {
      auto fn = [kept = counted(alive), &alive]() -> task<int> {
        co_await sleep_for(1ms);
        co_return alive;
      };
      auto call = with_timeout(1s, std::move(fn));
      of_function = co_await std::move(call);
    }
    EXPECT_GE(*of_function, 1);
    EXPECT_EQ(alive, 0);
  });
}

TEST(with_timeout, that_is_never_awaited_runs_nothing_and_leaks_nothing) {
  int alive = 0;
  auto body = [](counted) -> task<> { co_return; };
  {
    const auto call = with_timeout(1s, body(counted(alive)));
    EXPECT_EQ(alive, 1);
  }
  EXPECT_EQ(alive, 0);
}

// A scope that gives up by itself has nothing to do with time.
TEST(with_timeout, a_body_that_stopped_itself_stops_the_caller_and_is_not_called_late) {
  virtual_time time;
  time.run([&](scope& s) -> task<> {
    auto gives_up = [](scope& mine) -> task<int> {
      mine.cancel();
      co_await yield();
      co_return 1;
    };
    auto t = s.spawn([&]() -> task<> { (void)co_await with_timeout(1h, with_scope(gives_up)); });
    const outcome<void> o = co_await t.join();
    EXPECT_TRUE(o.stopped());
    EXPECT_EQ(time.elapsed(), 0s);
  });
}

// --- shield ---

TEST(shield, a_cancel_of_the_task_reaches_only_what_comes_after_it) {
  virtual_time time;
  std::string log;
  time.run([&](scope& s) -> task<> {
    auto t = s.spawn([&]() -> task<> {
      const result<int> r = co_await shield(1h, value_after(1min));
      log += r ? "kept " : "lost ";
      co_await yield();
      log += "went on";
    });
    co_await sleep_for(1s);
    t.cancel();
    const outcome<void> o = co_await t.join();
    EXPECT_TRUE(o.stopped());
    EXPECT_EQ(time.elapsed(), 1min);
  });
  EXPECT_EQ(log, "kept ");
}

TEST(shield, can_wait_in_a_task_that_is_cancelled_already) {
  virtual_time time;
  time.run([&](scope& s) -> task<> {
    auto t = s.spawn([&]() -> task<> {
      (void)co_await as_result(forever());
      (void)co_await shield(1h, sleep_for(3s));
      EXPECT_EQ(time.elapsed(), 3s);
    });
    co_await yield();
    t.cancel();
    const outcome<void> o = co_await t.join();
    EXPECT_TRUE(o.has_value());
  });
}

TEST(shield, is_ended_by_its_own_limit) {
  virtual_time time;
  time.run([&]() -> task<> {
    const result<> r = co_await shield(2s, forever());
    EXPECT_EQ(r.error(), errc::timed_out);
    EXPECT_EQ(time.elapsed(), 2s);
  });
}

TEST(shield, protects_from_an_outer_deadline_too) {
  virtual_time time;
  time.run([&]() -> task<> {
    bool complete = false;
    const result<> r = co_await with_timeout(1s, [&]() -> task<> {
      (void)co_await shield(1h, sleep_for(5s));
      complete = true;
      co_await yield();
    });
    EXPECT_TRUE(complete);
    EXPECT_EQ(r.error(), errc::timed_out);
    EXPECT_EQ(time.elapsed(), 5s);
  });
}

TEST(shield, a_deadline_inside_it_still_counts) {
  virtual_time time;
  time.run([&]() -> task<> {
    const result<> r = co_await shield(1h, with_timeout(1s, forever()));
    EXPECT_EQ(r.error(), errc::timed_out);
    EXPECT_EQ(time.elapsed(), 1s);
  });
}

}  // namespace
}  // namespace corespun
