// task_handle: watches a spawned task. It may be joined, cancelled, asked, or dropped at any time.

#include <corespun/runtime/affinity.hpp>
#include <corespun/runtime/as_result.hpp>
#include <corespun/runtime/detail/core.hpp>
#include <corespun/runtime/event.hpp>
#include <corespun/runtime/offload.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/this_core.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "tests/support/run.hpp"
#include "tests/support/tasks.hpp"
#include "tests/support/trace.hpp"

using namespace std::chrono_literals;

namespace corespun {
namespace {

using test::counted;
using test::forever;
using test::let_others_run;
using test::noted;
using test::run;
using test::run_on;
using test::yield_once;

task<int> seven() {
  co_await yield();
  co_return 7;
}

TEST(task_handle, join_waits_for_the_end_and_takes_the_value) {
  run([](scope& s) -> task<> {
    auto t = s.spawn(seven);
    EXPECT_FALSE(t.done());
    outcome<int> o = co_await t.join();
    EXPECT_TRUE(t.done());
    EXPECT_EQ(std::move(o).value(), 7);
  });
}

TEST(task_handle, join_after_the_end_takes_the_value_too) {
  run([](scope& s) -> task<> {
    auto t = s.spawn(seven);
    co_await let_others_run();
    EXPECT_TRUE(t.done());
    outcome<int> o = co_await t.join();
    EXPECT_EQ(std::move(o).value(), 7);
  });
}

TEST(task_handle, join_shows_an_exception_that_cancels_the_scope_all_the_same) {
  run([]() -> task<> {
    std::string log;
    int caught = 0;
    try {
      co_await with_scope([&](scope& s) -> task<> {
        auto t = s.spawn([]() -> task<> {
          co_await yield();
          throw 5;
        });
        // as_result, since the exception also stops this body.
        const result<outcome<void>> seen = co_await as_result(t.join());
        log = !seen ? "stopped" : seen->failed() ? "failed" : "other";
        co_await yield();
        log += " went on";
      });
    } catch (int x) {
      caught = x;
    }
    EXPECT_EQ(caught, 5);
    EXPECT_EQ(log, "failed");
  });
}

TEST(task_handle, a_task_that_is_no_member_of_the_scope_may_join) {
  run([](scope& s) -> task<> {
    auto t = s.spawn(seven);
    auto join = [&]() -> task<int> {
      outcome<int> o = co_await t.join();
      co_return std::move(o).value();
    };
    auto joiner = s.spawn(join);
    outcome<int> o = co_await joiner.join();
    EXPECT_EQ(std::move(o).value(), 7);
  });
}

TEST(task_handle, a_task_on_another_core_may_join_and_wakes_up_there) {
  run_on(2, [](scope& s) -> task<> {
    event go;
    auto wait = [&]() -> task<int> {
      co_await go.wait();
      co_return 3;
    };
    auto t = s.spawn(wait);
    auto join = [&]() -> task<int> {
      go.open();
      outcome<int> o = co_await t.join();
      EXPECT_EQ(this_core::index(), 1u);
      co_return std::move(o).value();
    };
    auto joiner = s.spawn_on(1, join);
    outcome<int> o = co_await joiner.join();
    EXPECT_EQ(std::move(o).value(), 3);
  });
}

runtime_options free_on(unsigned cores) {
  runtime_options options = test::cores(cores);
  options.affinity = affinity::any;
  return options;
}

TEST(task_handle, a_join_runs_the_newest_fork_at_once) {
  if (test::on_sim()) GTEST_SKIP() << "there others may be faster";
  test::run_with(free_on(1), [](scope& s) -> task<> {
    std::string log;
    auto note = [&log](char c) -> task<> {
      log += c;
      co_return;
    };
    auto older = s.spawn(note, '3');
    auto newest = s.spawn(note, '1');
    (void)co_await newest.join();
    log += '2';
    (void)co_await older.join();
    EXPECT_EQ(log, "123");
  });
}

TEST(task_handle, a_task_that_was_joined_at_once_may_end_wait_move_throw_or_be_stopped) {
  test::run_with(free_on(2), [](scope& outer) -> task<> {
    detail::root* const self = detail::core::current()->running();
    auto ends = outer.spawn([]() -> task<> { co_return; });
    (void)co_await ends.join();
    EXPECT_EQ(detail::core::current()->running(), self);

    auto wait = [](event& go) -> task<int> {
      co_await go.wait();
      co_return 1;
    };
    event go;
    (void)outer.spawn([&]() -> task<> {  // after the others have begun to wait
      co_await let_others_run();
      go.open();
    });
    auto waits = outer.spawn(wait, std::ref(go));
    outcome<int> one = co_await waits.join();
    EXPECT_EQ(std::move(one).value(), 1);

    auto moves = outer.spawn([]() -> task<int> {
      co_await resume_on(1);
      co_return 2;
    });
    outcome<int> two = co_await moves.join();
    EXPECT_EQ(std::move(two).value(), 2);

    auto yields = outer.spawn(seven);
    outcome<int> three = co_await yields.join();
    EXPECT_EQ(std::move(three).value(), 7);

    auto stops = outer.spawn(forever);
    stops.cancel();
    const outcome<void> stopped = co_await stops.join();
    EXPECT_TRUE(stopped.stopped());

    bool seen = false;
    try {
      co_await with_scope([&](scope& s) -> task<> {
        auto throws = s.spawn([]() -> task<> {
          throw 5;
          co_return;
        });
        const outcome<void> failed = co_await throws.join();
        seen = failed.failed();
      });
    } catch (int) {
    }
    EXPECT_TRUE(seen);
  });
}

TEST(task_handle, who_spawns_and_joins_all_the_time_lets_in_who_comes_from_another_thread) {
  if (test::on_sim()) GTEST_SKIP() << "there are no other threads";
  test::run_with(free_on(1), [](scope& s) -> task<> {
    bool end = false;
    auto spinner = s.spawn([&]() -> task<> {
      while (!end) {
        auto child = s.spawn([]() -> task<> { co_return; });
        (void)co_await child.join();
        co_await yield();
      }
    });
    for (int i = 0; i < 4; ++i) co_await offload([] {});
    end = true;
    (void)co_await spinner.join();  // it looks at what is of this body
  });
}

TEST(task_handle, joins_of_tasks_that_compute_do_not_keep_the_loop_from_turning) {
  if (test::on_sim()) GTEST_SKIP() << "there computing takes no time";
  test::run_with(free_on(1), [](scope& s) -> task<> {
    constexpr int children = 60;
    const detail::counter& turns = detail::core::current()->counts.turns;
    const std::uint64_t before = turns.get();
    for (int i = 0; i < children; ++i) {
      auto child = s.spawn([]() -> task<> {
        const clock::time_point end = clock::now() + 300us;
        while (clock::now() < end) {
        }
        co_return;
      });
      (void)co_await child.join();
    }
    EXPECT_GE(turns.get() - before, children / 4u);
  });
}

TEST(task_handle, a_task_that_cancels_who_joins_it_stops_the_join) {
  for (const affinity a : {affinity::any, affinity::core}) {
    runtime_options options = test::cores(1);
    options.affinity = a;
    test::run_with(std::move(options), []() -> task<> {
      bool went_on = false;
      co_await with_scope([&](scope& s) -> task<> {
        auto canceller = s.spawn([&]() -> task<> {
          s.cancel();
          co_return;
        });
        (void)co_await canceller.join();
        went_on = true;
      });
      EXPECT_FALSE(went_on);
    });
  }
}

TEST(task_handle, a_cancelled_task_joins_nothing_more) {
  test::run_with(free_on(1), []() -> task<> {
    bool went_on = false;
    co_await with_scope([&](scope& s) -> task<> {
      s.cancel();
      auto newest = s.spawn([]() -> task<> { co_return; });
      (void)co_await newest.join();
      went_on = true;
    });
    EXPECT_FALSE(went_on);
  });
}

task<int> nested(scope& s, int depth) {
  if (depth == 0) co_return 0;
  auto child = s.spawn(nested, std::ref(s), depth - 1);
  outcome<int> below = co_await child.join();
  co_return std::move(below).value() + 1;
}

TEST(task_handle, joins_of_tasks_that_join_need_no_stack) {
  test::run_with(free_on(1), [](scope& s) -> task<> {
    auto all = nested(s, 100'000);
    const int depth = co_await std::move(all);
    EXPECT_EQ(depth, 100'000);
  });
}

TEST(task_handle, who_spawns_and_joins_all_the_time_lets_others_run) {
  test::run_with(free_on(1), [](scope& s) -> task<> {
    bool others_ran = false;
    bool begun = false;
    (void)s.spawn([&]() -> task<> {
      begun = true;
      co_await let_others_run(10);
      others_ran = true;
    });
    while (!begun) co_await yield();
    while (!others_ran) {
      auto child = s.spawn([]() -> task<> { co_return; });
      (void)co_await child.join();
    }
  });
}

TEST(task_handle, a_cancelled_join_leaves_the_joined_task_alone) {
  run([](scope& s) -> task<> {
    event go;
    auto wait = [&]() -> task<int> {
      co_await go.wait();
      co_return 1;
    };
    auto t = s.spawn(wait);
    auto joiner = s.spawn([&]() -> task<> { (void)co_await t.join(); });
    co_await yield();
    joiner.cancel();
    const outcome<void> stopped = co_await joiner.join();
    EXPECT_TRUE(stopped.stopped());
    EXPECT_FALSE(t.done());
    go.open();
    outcome<int> o = co_await t.join();  // may be joined again by another
    EXPECT_EQ(std::move(o).value(), 1);
  });
}

TEST(task_handle, an_end_that_was_seen_wins_over_a_cancel_of_the_join) {
  run([](scope& s) -> task<> {
    bool seen = false;
    auto t = s.spawn(seven);
    auto joiner = s.spawn([&]() -> task<> {
      const outcome<int> o = co_await t.join();
      seen = o.has_value();
    });
    while (!t.done()) co_await yield();
    joiner.cancel();
    (void)co_await joiner.join();
    EXPECT_TRUE(seen);
  });
}

TEST(task_handle, two_joins_at_once_abort_with_advice) {
  EXPECT_DEATH(run([](scope& s) -> task<> {
                 auto t = s.spawn(forever);
                 auto join = [&]() -> task<> { (void)co_await t.join(); };
                 (void)s.spawn(join);
                 (void)s.spawn(join);
                 co_await forever();
               }),
               "two tasks join the same handle(.|\n)*event");
}

TEST(task_handle, a_second_join_aborts_with_advice) {
  EXPECT_DEATH(run([](scope& s) -> task<> {
                 auto seven = []() -> task<int> { co_return 7; };
                 auto t = s.spawn(seven);
                 (void)co_await t.join();
                 (void)co_await t.join();
               }),
               "taken twice(.|\n)*join a handle once");
}

TEST(task_handle, cancel_stops_that_task_alone) {
  run([](scope& s) -> task<> {
    auto a = s.spawn(forever);
    auto b = s.spawn(forever);
    co_await yield();
    a.cancel();
    const outcome<void> ended = co_await a.join();
    EXPECT_TRUE(ended.stopped());
    EXPECT_FALSE(b.done());
    EXPECT_FALSE(s.cancelled());
    b.cancel();
  });
}

TEST(task_handle, cancel_returns_before_the_task_has_ended) {
  std::string log;
  run([&](scope& s) -> task<> {
    auto body = [&]() -> task<> {
      const noted local(log, "task");
      co_await forever();
    };
    auto t = s.spawn(body);
    co_await yield();
    t.cancel();
    EXPECT_EQ(log, "");
    (void)co_await t.join();
    EXPECT_EQ(log, "task ");
  });
}

TEST(task_handle, cancel_before_the_task_began_stops_it_at_its_first_await) {
  run([](scope& s) -> task<> {
    bool began = false;
    bool went_on = false;
    auto t = s.spawn([&]() -> task<> {
      began = true;
      co_await yield();
      went_on = true;
    });
    t.cancel();
    const outcome<void> o = co_await t.join();
    EXPECT_TRUE(o.stopped());
    EXPECT_TRUE(began);
    EXPECT_FALSE(went_on);
  });
}

TEST(task_handle, cancel_after_the_end_does_nothing_and_the_value_stays) {
  run([](scope& s) -> task<> {
    auto t = s.spawn(seven);
    co_await let_others_run();
    EXPECT_TRUE(t.done());
    t.cancel();
    outcome<int> o = co_await t.join();
    EXPECT_EQ(std::move(o).value(), 7);
  });
}

TEST(task_handle, cancel_twice_is_as_good_as_once) {
  run_on(2, [](scope& s) -> task<> {
    auto t = s.spawn_on(1, forever);
    t.cancel();
    t.cancel();
    const outcome<void> o = co_await t.join();
    EXPECT_TRUE(o.stopped());
  });
}

TEST(task_handle, cancel_works_from_any_thread) {
  if (test::on_sim()) GTEST_SKIP() << "one thread plays all cores";
  run_on(2, [](scope& s) -> task<> {
    auto here = s.spawn(forever);
    auto there = s.spawn_on(1, forever);
    std::thread canceller([&] {
      here.cancel();
      there.cancel();
    });
    const outcome<void> a = co_await here.join();
    const outcome<void> b = co_await there.join();
    EXPECT_TRUE(a.stopped());
    EXPECT_TRUE(b.stopped());
    canceller.join();
  });
}

TEST(task_handle, dropping_it_neither_cancels_nor_detaches) {
  bool ended = false;
  run([&]() -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      {
        const auto dropped = s.spawn([&]() -> task<> {
          co_await let_others_run(10);
          ended = true;
        });
      }
      co_return;
    });
    EXPECT_TRUE(ended);
  });
}

TEST(task_handle, keeps_the_result_after_the_scope_has_ended) {
  run([]() -> task<> {
    std::optional<task_handle<int>> kept;
    co_await with_scope([&](scope& s) -> task<> {
      kept.emplace(s.spawn(seven));
      co_return;
    });
    EXPECT_TRUE(kept->done());
    outcome<int> o = co_await kept->join();
    EXPECT_EQ(std::move(o).value(), 7);
  });
}

TEST(task_handle, dropped_last_ends_the_result) {
  int alive = 0;
  run([&](scope& s) -> task<> {
    auto make = [&]() -> task<counted> { co_return counted(alive); };
    {
      auto t = s.spawn(make);
      co_await yield();
      EXPECT_EQ(alive, 1) << "nobody has taken the value yet";
    }
    EXPECT_EQ(alive, 0);
  });
}

TEST(task_handle, may_be_dropped_on_another_thread_while_the_task_ends) {
  if (test::on_sim()) GTEST_SKIP() << "one thread plays all cores";
  run_on(2, []() -> task<> {
    for (int i = 0; i < 200; ++i) {
      std::optional<std::thread> dropper;
      co_await with_scope([&](scope& s) -> task<> {
        auto t = s.spawn_on(1, seven);
        dropper.emplace([t = std::move(t)]() mutable { t.cancel(); });
        co_return;
      });
      dropper->join();
    }
  });
}

TEST(task_handle, cancel_after_the_runtime_has_ended_does_nothing) {
  std::optional<task_handle<int>> kept;
  run([&](scope& s) -> task<> {
    kept.emplace(s.spawn(seven));
    co_return;
  });
  kept->cancel();
  EXPECT_TRUE(kept->done());
}

}  // namespace
}  // namespace corespun
