// Cancellation: stopped is a third outcome beside value and exception. It cannot be caught, it runs
// destructors, it stays, and what was complete before it is delivered.

#include <corespun/runtime/as_result.hpp>
#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/event.hpp>
#include <corespun/runtime/offload.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/sleep.hpp>
#include <corespun/runtime/this_core.hpp>
#include <corespun/runtime/when.hpp>

#include <gtest/gtest.h>

#include <pthread.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/support/sanitizers.hpp"
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
using test::yield_once;

TEST(cancellation, cannot_be_swallowed_by_catching_everything) {
  bool caught = false;
  bool went_on = false;
  run([&](scope& s) -> task<> {
    auto stubborn = [&]() -> task<> {
      try {
        co_await forever();
      } catch (...) {
        caught = true;
      }
      went_on = true;
    };
    auto t = s.spawn(stubborn);
    co_await yield();
    t.cancel();
    const outcome<void> ended = co_await t.join();
    EXPECT_TRUE(ended.stopped());
  });
  EXPECT_FALSE(caught);
  EXPECT_FALSE(went_on);
}

TEST(cancellation, is_seen_by_every_later_await_not_only_by_the_first) {
  std::string seen;
  run([&](scope& s) -> task<> {
    auto body = [&]() -> task<> {
      for (int i = 0; i < 3; ++i) {
        const result<> r = co_await as_result(forever());
        seen += r ? "value " : r.error().message() + ' ';
      }
      co_await yield();
      seen += "went on";
    };
    auto t = s.spawn(body);
    co_await yield();
    t.cancel();
    (void)co_await t.join();
  });
  EXPECT_EQ(seen, "cancelled cancelled cancelled ");
}

TEST(cancellation, does_not_interrupt_what_does_not_await) {
  run([](scope& s) -> task<> {
    auto no_await = []() -> task<int> { co_return 3; };
    auto t = s.spawn([&]() -> task<int> {
      const int three = co_await no_await();
      const int again = co_await no_await();
      co_return three + again;
    });
    t.cancel();
    outcome<int> o = co_await t.join();
    EXPECT_TRUE(o.has_value());
  });
}

TEST(cancellation, what_completed_before_it_is_delivered_and_it_is_seen_at_the_next_await) {
  run([](scope& s) -> task<> {
    event go;
    std::string log;
    auto waiter = s.spawn([&]() -> task<> {
      co_await go.wait();
      log += "delivered";
      co_await yield();
      log += " and went on";
    });
    co_await yield();
    go.open();  // the waiter is ready, but has not run
    waiter.cancel();
    const outcome<void> o = co_await waiter.join();
    EXPECT_TRUE(o.stopped());
    EXPECT_EQ(log, "delivered");
  });
}

TEST(cancellation, an_exception_while_being_cancelled_is_delivered) {
  run([]() -> task<> {
    int caught = 0;
    try {
      co_await with_scope([](scope& s) -> task<> {
        auto t = s.spawn([]() -> task<> {
          const result<> r = co_await as_result(forever());
          if (!r) throw 6;
        });
        co_await yield();
        t.cancel();
      });
    } catch (int x) {
      caught = x;
    }
    EXPECT_EQ(caught, 6);
  });
}

TEST(cancellation, of_a_task_that_is_being_destroyed_runs_each_destructor_once_and_in_order) {
  std::string log;
  run([&](scope& s) -> task<> {
    auto inner = [&]() -> task<> {
      const noted a(log, "4");
      {
        const noted b(log, "inner block");
      }
      const noted c(log, "3");
      try {
        const noted d(log, "2");
        const noted e(log, "1");
        co_await forever();
      } catch (...) {
        log += "caught ";
      }
    };
    auto outer = [&]() -> task<> {
      const noted a(log, "5");
      co_await inner();
    };
    auto t = s.spawn(outer);
    co_await yield();
    log.clear();
    t.cancel();
    (void)co_await t.join();
  });
  EXPECT_EQ(log, "1 2 3 4 5 ");
}

// --- each kind of wait can be cancelled, and is cancelled when it begins late ---

struct wait_case {
  const char* name;
  task<> (*wait)();
};

task<> wait_join() {
  co_await with_scope([](scope& s) -> task<> {
    auto t = s.spawn(forever);
    (void)co_await t.join();
  });
}
task<> wait_sleep() { co_await sleep_for(1h); }
task<> wait_scope() {
  co_await with_scope([](scope&) -> task<> { co_await forever(); });
}
task<> wait_deadline() { (void)co_await with_timeout(1h, forever()); }
task<> wait_nested_deadlines() { (void)co_await with_timeout(1h, with_timeout(2h, forever())); }
task<> wait_all() { (void)co_await when_all(forever(), forever()); }
task<> wait_any() { (void)co_await when_any(forever(), wait_sleep()); }
task<> wait_settled() { (void)co_await when_all_settled(forever(), forever()); }
task<> wait_list() {
  std::vector<task<>> list;
  for (int i = 0; i < 3; ++i) list.push_back(forever());
  co_await when_all(std::move(list));
}

constexpr wait_case waits[] = {
    {"event", forever},           {"sleep", wait_sleep},       {"join", wait_join},
    {"scope", wait_scope},        {"deadline", wait_deadline}, {"deadlines", wait_nested_deadlines},
    {"when_all", wait_all},       {"when_any", wait_any},      {"when_all_settled", wait_settled},
    {"when_all_list", wait_list},
};

class each_wait : public testing::TestWithParam<wait_case> {};
INSTANTIATE_TEST_SUITE_P(cancellation, each_wait, testing::ValuesIn(waits),
                         [](const auto& chosen) { return chosen.param.name; });

TEST_P(each_wait, ends_as_stopped_when_it_is_cancelled) {
  virtual_time time;
  time.run([&](scope& s) -> task<> {
    auto t = s.spawn(GetParam().wait);
    co_await test::let_others_run();
    EXPECT_FALSE(t.done());
    t.cancel();
    const outcome<void> o = co_await t.join();
    EXPECT_TRUE(o.stopped());
    EXPECT_EQ(time.elapsed(), 0s);
  });
}

TEST_P(each_wait, ends_as_stopped_when_it_begins_in_a_cancelled_task) {
  virtual_time time;
  time.run([&](scope& s) -> task<> {
    auto t = s.spawn(GetParam().wait);
    t.cancel();
    const outcome<void> o = co_await t.join();
    EXPECT_TRUE(o.stopped());
    EXPECT_EQ(time.elapsed(), 0s);
  });
}

TEST_P(each_wait, is_ended_by_a_deadline_at_exactly_that_time) {
  virtual_time time;
  time.run([&]() -> task<> {
    const result<> r = co_await with_timeout(5ms, GetParam().wait());
    EXPECT_FALSE(r);
    EXPECT_EQ(r.error(), errc::timed_out);
    EXPECT_EQ(time.elapsed(), 5ms);
  });
}

TEST_P(each_wait, turns_a_cancel_into_a_value_under_as_result_and_the_task_goes_on) {
  virtual_time time;
  time.run([&](scope& s) -> task<> {
    bool went_on = false;
    auto t = s.spawn([&]() -> task<> {
      const result<> r = co_await as_result(GetParam().wait());
      EXPECT_FALSE(r);
      EXPECT_EQ(r.error(), errc::cancelled);
      went_on = true;
    });
    co_await test::let_others_run();
    t.cancel();
    const outcome<void> o = co_await t.join();
    EXPECT_TRUE(o.has_value());
    EXPECT_TRUE(went_on);
  });
}

/// So many groups, scopes and deadlines around one wait.
task<> wait_far_inside(int depth, bool& arrived) {
  if (depth == 0) {
    arrived = true;
    co_await forever();
  } else if (depth % 3 == 0) {
    co_await with_scope([&](scope&) -> task<> { co_await wait_far_inside(depth - 1, arrived); });
  } else if (depth % 3 == 1) {
    (void)co_await with_timeout(1h, wait_far_inside(depth - 1, arrived));
  } else {
    co_await when_all(wait_far_inside(depth - 1, arrived), forever());
  }
}

/// Of the threads that begin while it lives.
class small_stacks {
 public:
  small_stacks(const small_stacks&) = delete;
  small_stacks& operator=(const small_stacks&) = delete;
  small_stacks() {
    (void)::pthread_getattr_default_np(&before_);
    pthread_attr_t small;
    (void)::pthread_attr_init(&small);
    (void)::pthread_attr_setstacksize(&small, test::sanitized ? 512 << 10 : 128 << 10);
    (void)::pthread_setattr_default_np(&small);
    (void)::pthread_attr_destroy(&small);
  }
  ~small_stacks() { (void)::pthread_setattr_default_np(&before_); }

 private:
  pthread_attr_t before_{};
};

TEST(cancellation, reaches_what_waits_far_inside_without_a_deep_stack) {
  const small_stacks of_the_cores;
  run([](scope& s) -> task<> {
    bool arrived = false;
    auto t = s.spawn(wait_far_inside, 5'000, std::ref(arrived));
    while (!arrived) co_await yield();
    t.cancel();
    const outcome<void> o = co_await t.join();
    EXPECT_TRUE(o.stopped());
  });
}

TEST(cancellation, of_a_yield_that_is_queued_is_seen_at_the_next_await) {
  run([](scope& s) -> task<> {
    int turns = 0;
    auto t = s.spawn([&]() -> task<> {
      while (true) {
        co_await yield();
        ++turns;
      }
    });
    co_await yield();
    t.cancel();
    const outcome<void> o = co_await t.join();
    EXPECT_TRUE(o.stopped());
    EXPECT_LE(turns, 2);
  });
}

}  // namespace
}  // namespace corespun
