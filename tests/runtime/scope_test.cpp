// scope: owns tasks and ends after them; what an exception and a cancel do to all of them.
// How tasks are spawned, joined and cleaned up after: scope_spawn, scope_handle, scope_exit.

#include <corespun/runtime/as_result.hpp>
#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/sleep.hpp>
#include <corespun/runtime/this_core.hpp>

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <thread>

#include "tests/support/tasks.hpp"
#include "tests/support/trace.hpp"
#include "tests/support/virtual_time.hpp"

namespace corespun {
namespace {

using namespace std::chrono_literals;
using test::forever;
using test::noted;
using test::run;
using test::run_on;
using test::yield_once;

TEST(scope, ends_only_after_all_its_tasks) {
  test::virtual_time time;
  int ended = 0;
  auto sleeper = [&](int hours) -> task<> {
    co_await sleep_for(std::chrono::hours(hours));
    ++ended;
  };
  time.run([&]() -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      for (int i = 1; i <= 3; ++i) (void)s.spawn(sleeper, i);
      co_return;
    });
    EXPECT_EQ(ended, 3);
    EXPECT_EQ(time.elapsed(), 3h);
  });
}

TEST(scope, returns_what_its_body_returned) {
  run([]() -> task<> {
    const int seven = co_await with_scope([](scope& s) -> task<int> {
      (void)s.spawn(yield_once);
      co_return 7;
    });
    EXPECT_EQ(seven, 7);
  });
}

TEST(scope, counts_its_body_and_its_tasks_while_they_are_alive) {
  run([]() -> task<> {
    co_await with_scope([](scope& s) -> task<> {
      EXPECT_EQ(s.alive(), 1u);
      auto t = s.spawn(yield_once);
      EXPECT_EQ(s.alive(), 2u);
      (void)co_await t.join();
      EXPECT_EQ(s.alive(), 1u);
    });
  });
}

// --- exceptions ---

TEST(scope, the_first_exception_cancels_the_siblings_and_is_rethrown_after_all_have_ended) {
  std::string log;
  auto wait = [&]() -> task<> {
    const noted local(log, "sibling");
    co_await forever();
  };
  auto fail = []() -> task<> {
    co_await yield();
    throw std::runtime_error("first");
  };
  run([&]() -> task<> {
    try {
      co_await with_scope([&](scope& s) -> task<> {
        const noted local(log, "body");
        (void)s.spawn(wait);
        (void)s.spawn(fail);
        co_await forever();
      });
    } catch (const std::runtime_error& e) {
      log += e.what();
    }
  });
  EXPECT_TRUE(log == "body sibling first" || log == "sibling body first") << log;
}

TEST(scope, an_exception_of_the_body_cancels_the_tasks) {
  std::string log;
  auto wait = [&]() -> task<> {
    const noted local(log, "task");
    co_await forever();
  };
  run([&]() -> task<> {
    try {
      co_await with_scope([&](scope& s) -> task<> {
        (void)s.spawn(wait);
        co_await yield();
        throw std::runtime_error("body");
      });
    } catch (const std::runtime_error& e) {
      log += e.what();
    }
  });
  EXPECT_EQ(log, "task body");
}

TEST(scope, only_the_first_of_two_exceptions_is_rethrown) {
  auto fail = [](int code) -> task<> {
    co_await yield();
    throw code;
  };
  run([&]() -> task<> {
    int caught = 0;
    try {
      co_await with_scope([&](scope& s) -> task<> {
        (void)s.spawn(fail, 1);
        (void)s.spawn(fail, 2);
        co_return;
      });
    } catch (int code) {
      caught = code;
    }
    EXPECT_EQ(caught, 1);
  });
}

TEST(scope, an_exception_from_making_the_body_is_thrown_at_the_await) {
  run([]() -> task<> {
    auto refuse = [](scope&) -> task<> { throw 1; };  // not a coroutine
    int caught = 0;
    try {
      co_await with_scope(refuse);
    } catch (int x) {
      caught = x;
    }
    EXPECT_EQ(caught, 1);
  });
}

// --- cancel ---

TEST(scope, that_cancels_itself_is_no_error) {
  bool after_cancel = false;
  run([&]() -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      (void)s.spawn(forever);
      s.cancel();
      EXPECT_TRUE(s.cancelled());
      co_await yield();
      after_cancel = true;
    });
  });
  EXPECT_FALSE(after_cancel);
}

TEST(scope, that_cancels_itself_before_there_is_a_value_stops_the_await) {
  bool after_scope = false;
  run([&]() -> task<> {
    const result<int> r = co_await as_result(with_scope([](scope& s) -> task<int> {
      s.cancel();
      co_await yield();
      co_return 1;
    }));
    EXPECT_FALSE(r);
    EXPECT_EQ(r.error(), errc::cancelled);
    co_await yield();  // the task itself is not cancelled
    after_scope = true;
  });
  EXPECT_TRUE(after_scope);
}

TEST(scope, a_value_that_was_returned_is_not_lost_to_its_own_cancel) {
  run([]() -> task<> {
    const int kept = co_await with_scope([](scope& s) -> task<int> {
      (void)s.spawn(forever);
      s.cancel();
      co_return 1;
    });
    EXPECT_EQ(kept, 1);
  });
}

TEST(scope, cancel_from_another_thread_reaches_body_and_tasks) {
  if (test::on_sim()) GTEST_SKIP() << "one thread plays all cores";
  std::thread canceller;
  std::string log;
  run([&]() -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      const noted local(log, "body");
      (void)s.spawn(forever);
      canceller = std::thread([&s] { s.cancel(); });
      co_await forever();
    });
    log += "after";
    canceller.join();  // here, since the runtime must outlive the thread
  });
  EXPECT_EQ(log, "body after");
}

TEST(scope, cancel_from_a_task_on_another_core_reaches_body_and_tasks) {
  run_on(2, [&]() -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      auto cancel_from_afar = [&s]() -> task<> {
        s.cancel();
        co_return;
      };
      (void)s.spawn(forever);
      (void)s.spawn_on(1, cancel_from_afar);
      co_await forever();
    });
  });
}

// The flag is seen before the mail that carries the cancel out has come.
TEST(scope, does_not_end_before_a_cancel_from_another_thread_has_arrived) {
  if (test::on_sim()) GTEST_SKIP() << "one thread plays all cores";
  for (int i = 0; i < 200; ++i) {
    std::thread canceller;
    run([&]() -> task<> {
      co_await with_scope([&](scope& s) -> task<> {
        canceller = std::thread([&s] { s.cancel(); });
        while (!s.cancelled()) (void)co_await as_result(yield());
      });
      canceller.join();  // here, since the runtime must outlive the thread
    });
  }
}

TEST(scope, a_cancel_reaches_the_tasks_of_nested_scopes) {
  std::string log;
  auto inner = [&]() -> task<> {
    const noted local(log, "task-of-inner");
    co_await forever();
  };
  auto with_inner_scope = [&]() -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      (void)s.spawn(inner);
      co_await forever();
    });
  };
  run([&]() -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      (void)s.spawn(with_inner_scope);
      co_await test::let_others_run();
      s.cancel();
    });
  });
  EXPECT_EQ(log, "task-of-inner ");
}

// Its tasks were its work; going on after it would pretend that the work was done.
TEST(scope, whose_tasks_a_cancel_from_outside_stopped_ends_as_stopped_though_its_body_returned) {
  bool went_on = false;
  run([&](scope& s) -> task<> {
    auto t = s.spawn([&]() -> task<> {
      co_await with_scope([](scope& mine) -> task<> {
        (void)mine.spawn(forever);
        co_return;
      });
      went_on = true;
    });
    co_await test::let_others_run();
    t.cancel();
    const outcome<void> ended = co_await t.join();
    EXPECT_TRUE(ended.stopped());
  });
  EXPECT_FALSE(went_on);
}

TEST(scope, keeps_the_value_of_its_body_though_a_cancel_from_outside_stopped_its_tasks) {
  run([&](scope& s) -> task<> {
    int value = 0;
    auto t = s.spawn([&]() -> task<> {
      value = co_await with_scope([](scope& mine) -> task<int> {
        (void)mine.spawn(forever);
        co_return 5;
      });
    });
    co_await test::let_others_run();
    t.cancel();
    (void)co_await t.join();
    EXPECT_EQ(value, 5);
  });
}

TEST(scope, one_whose_waiting_task_is_cancelled_cancels_all_waits_and_ends_as_stopped) {
  std::string log;
  auto slow_to_end = [&]() -> task<> {
    (void)co_await as_result(forever());
    (void)co_await shield(1h, [&]() -> task<> {
      co_await sleep_for(1min);
      log += "cleaned-up ";
    });
  };
  auto waits = [&]() -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      const noted local(log, "body");
      (void)s.spawn(slow_to_end);
      co_await forever();
    });
    log += "not-stopped ";
  };
  test::virtual_time time;
  time.run([&](scope& s) -> task<> {
    auto t = s.spawn(waits);
    co_await sleep_for(1s);
    t.cancel();
    const outcome<void> ended = co_await t.join();
    EXPECT_TRUE(ended.stopped());
    EXPECT_EQ(time.elapsed(), 1min + 1s);
  });
  EXPECT_EQ(log, "body cleaned-up ");
}

TEST(scope, in_a_cancelled_task_does_not_even_make_its_body) {
  bool made = false;
  run([&]() -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      s.cancel();
      co_await with_scope([&](scope&) -> task<> {
        made = true;
        co_return;
      });
    });
  });
  EXPECT_FALSE(made);
}

TEST(scope, an_exception_wins_over_being_stopped) {
  run([]() -> task<> {
    int caught = 0;
    try {
      co_await with_scope([](scope& s) -> task<> {
        (void)s.spawn([]() -> task<> {
          (void)co_await as_result(forever());
          throw 3;
        });
        co_await yield();
        s.cancel();
        co_await yield();
      });
    } catch (int x) {
      caught = x;
    }
    EXPECT_EQ(caught, 3);
  });
}

TEST(scope, many_cores_may_cancel_it_at_once) {
  for (int i = 0; i < 50; ++i) {
    run_on(3, [&]() -> task<> {
      co_await with_scope([&](scope& s) -> task<> {
        auto cancel = [&s]() -> task<> {
          s.cancel();
          co_return;
        };
        for (unsigned core = 0; core < 3; ++core) (void)s.spawn_on(core, cancel);
        for (unsigned core = 0; core < 3; ++core) (void)s.spawn_on(core, forever);
        co_await forever();
      });
    });
  }
}

}  // namespace
}  // namespace corespun
