// watch: the last value is always seen, by everybody.

#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/this_core.hpp>
#include <corespun/runtime/watch.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "tests/support/run.hpp"
#include "tests/support/tasks.hpp"

namespace corespun {
namespace {

using test::run;
using test::run_on;

TEST(watch, tells_each_observer_once_that_there_is_something_new) {
  run([](scope& s) -> task<> {
    watch<int> w(0);
    int told = 0;
    auto look = [&]() -> task<> {
      auto mine = w.observe();
      while (true) {
        const result<> changed = co_await mine.changed();
        if (!changed) break;
        EXPECT_EQ(mine.get(), w.get());
        ++told;
      }
    };
    task_handle<void> t[] = {s.spawn(look), s.spawn(look)};
    co_await test::let_others_run();
    EXPECT_EQ(told, 0) << "what was there at the beginning is not new";
    w.set(1);
    co_await test::let_others_run();
    EXPECT_EQ(told, 2);
    w.set(2);
    w.set(3);
    co_await test::let_others_run();
    EXPECT_EQ(told, 4) << "only the latest counts";
    w.close();
    for (auto& each : t) (void)co_await each.join();
  });
}

TEST(watch, what_was_looked_at_is_not_told_again) {
  run([](scope& s) -> task<> {
    watch<int> w(0);
    auto mine = w.observe();
    w.set(1);
    EXPECT_EQ(mine.get(), 1);
    bool told = false;
    auto t = s.spawn([&]() -> task<> {
      (void)co_await mine.changed();
      told = true;
    });
    co_await test::let_others_run();
    EXPECT_FALSE(told);
    w.set(2);
    (void)co_await t.join();
  });
}

TEST(watch, tells_of_the_last_value_before_it_tells_of_its_end) {
  run([]() -> task<> {
    watch<int> w(0);
    auto mine = w.observe();
    w.set(1);
    w.close();
    const result<> changed = co_await mine.changed();
    EXPECT_TRUE(changed);
    const result<> end = co_await mine.changed();
    EXPECT_EQ(end.error(), errc::closed) << "told once, looked at or not";
    EXPECT_EQ(mine.get(), 1);
  });
}

TEST(watch, a_cancelled_observer_has_not_seen_the_value) {
  for (std::size_t cancelled = 0; cancelled < 3; ++cancelled) {  // first, middle, last
    run([&](scope& s) -> task<> {
      watch<int> w(0);
      std::vector<watch<int>::observer> o;
      std::vector<task_handle<void>> t;
      int told = 0;
      for (int i = 0; i < 3; ++i) o.push_back(w.observe());
      auto look = [&](std::size_t i) -> task<> {
        (void)co_await o[i].changed();
        ++told;
      };
      for (std::size_t i = 0; i < 3; ++i) {
        t.push_back(s.spawn(look, i));
        co_await test::let_others_run();
      }
      t[cancelled].cancel();
      const outcome<void> ended = co_await t[cancelled].join();
      EXPECT_TRUE(ended.stopped());
      w.set(1);
      co_await test::let_others_run();
      EXPECT_EQ(told, 2);
      const result<> changed = co_await o[cancelled].changed();
      EXPECT_TRUE(changed);
    });
  }
}

TEST(watch, the_last_value_reaches_tasks_of_many_cores) {
  constexpr unsigned cores = 4;
  constexpr int last = 2000;
  run_on(cores, []() -> task<> {
    watch<int> w(0);
    co_await with_scope([&](scope& s) -> task<> {
      auto look = [&]() -> task<> {
        auto mine = w.observe();
        int before = mine.get();
        while (before < last) {
          (void)co_await mine.changed();
          const int value = mine.get();
          EXPECT_GT(value, before);
          before = value;
        }
      };
      for (unsigned i = 0; i < 8; ++i) (void)s.spawn_on(i % cores, look);
      auto set = [&]() -> task<> {
        for (int i = 1; i <= last; ++i) {
          w.set(i);
          if (i % 8 == 0) co_await yield();
        }
      };
      (void)s.spawn_on(cores - 1, set);
      co_return;
    });
  });
}

TEST(watch, destroyed_while_tasks_wait_aborts_with_advice) {
  EXPECT_DEATH(run([](scope& s) -> task<> {
                 auto w = std::make_unique<watch<int>>(0);
                 (void)s.spawn([&]() -> task<> {
                   auto mine = w->observe();
                   (void)co_await mine.changed();
                 });
                 co_await test::let_others_run();
                 w.reset();
               }),
               "a watch is destroyed while tasks wait(.|\n)*end the scope");
}

}  // namespace
}  // namespace corespun
