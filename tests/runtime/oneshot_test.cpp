// oneshot: one value, once.

#include <corespun/runtime/oneshot.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/this_core.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <memory>

#include "tests/support/run.hpp"
#include "tests/support/tasks.hpp"

namespace corespun {
namespace {

using test::run;
using test::run_on;

TEST(oneshot, delivers_what_was_sent_before_or_after_the_wait_began) {
  run([](scope& s) -> task<> {
    oneshot<std::unique_ptr<int>> before;
    oneshot<std::unique_ptr<int>> after;
    EXPECT_TRUE(before.send(std::make_unique<int>(1)));
    auto t = s.spawn([&]() -> task<> {
      const auto first = co_await before.recv();
      EXPECT_EQ(**first, 1);
      const auto second = co_await after.recv();
      EXPECT_EQ(**second, 2);
    });
    co_await test::let_others_run();
    EXPECT_TRUE(after.send(std::make_unique<int>(2)));
    (void)co_await t.join();
  });
}

TEST(oneshot, is_closed_after_its_value_was_received) {
  run([](scope& s) -> task<> {
    oneshot<int> o;
    int closed = 0;
    int values = 0;
    auto wait = [&]() -> task<> {
      const result<int> got = co_await o.recv();
      ++(got ? values : closed);
    };
    auto first = s.spawn(wait);
    auto second = s.spawn(wait);
    co_await test::let_others_run();
    o.send(1);
    (void)co_await first.join();
    (void)co_await second.join();
    EXPECT_EQ(values, 1);
    EXPECT_EQ(closed, 1);
    const result<int> late = co_await o.recv();
    EXPECT_EQ(late.error(), errc::closed);
  });
}

TEST(oneshot, that_is_closed_ends_the_wait_and_refuses_a_value) {
  run([](scope& s) -> task<> {
    oneshot<int> o;
    auto t = s.spawn([&]() -> task<> {
      const result<int> got = co_await o.recv();
      EXPECT_EQ(got.error(), errc::closed);
    });
    co_await test::let_others_run();
    o.close();
    EXPECT_FALSE(o.send(1));
    (void)co_await t.join();
  });
}

TEST(oneshot, keeps_its_value_when_it_is_closed_after_the_send) {
  run([]() -> task<> {
    oneshot<int> o;
    o.send(1);
    o.close();
    const result<int> got = co_await o.recv();
    EXPECT_EQ(got, 1);
  });
}

TEST(oneshot, a_value_survives_a_cancelled_receiver) {
  run_on(2, []() -> task<> {
    for (int round = 0; round < 500; ++round) {
      oneshot<int> o;
      bool got = false;
      std::atomic<bool> waits{false};
      co_await with_scope([&](scope& s) -> task<> {
        auto t = s.spawn_on(1, [&]() -> task<> {
          waits = true;
          const result<int> value = co_await o.recv();
          got = value.has_value();
        });
        while (!waits) co_await yield();
        if (round % 2 == 0) t.cancel();
        o.send(1);
        if (round % 2 == 1) t.cancel();
        (void)co_await t.join();
        const result<int> again = co_await o.recv();
        EXPECT_NE(again.has_value(), got);
      });
    }
  });
}

TEST(oneshot, a_second_value_is_a_bug) {
  oneshot<int> o;
  o.send(1);
  EXPECT_DEATH(o.send(2), "a oneshot is sent to twice(.|\n)*use a channel");
}

TEST(oneshot, destroyed_while_tasks_wait_aborts_with_advice) {
  EXPECT_DEATH(run([](scope& s) -> task<> {
                 auto o = std::make_unique<oneshot<int>>();
                 (void)s.spawn([&]() -> task<> { (void)co_await o->recv(); });
                 co_await test::let_others_run();
                 o.reset();
               }),
               "a oneshot is destroyed while tasks wait(.|\n)*end the scope");
}

}  // namespace
}  // namespace corespun
