// barrier: nobody goes on before all have come, round after round.

#include <corespun/runtime/barrier.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/this_core.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <vector>

#include "tests/support/run.hpp"
#include "tests/support/tasks.hpp"

namespace corespun {
namespace {

using test::run;
using test::run_on;

TEST(barrier, of_one_lets_pass) {
  run([]() -> task<> {
    barrier b(1);
    for (int i = 0; i < 3; ++i) co_await b.arrive_and_wait();
  });
}

TEST(barrier, keeps_tasks_of_many_cores_in_step) {
  constexpr unsigned cores = 4;
  constexpr unsigned parties = 7;
  run_on(cores, []() -> task<> {
    barrier b(parties);
    std::vector<int> at(parties);  // no atomics: the barrier orders them
    co_await with_scope([&](scope& s) -> task<> {
      for (unsigned i = 0; i < parties; ++i) {
        auto work = [&](unsigned me) -> task<> {
          for (int round = 1; round <= 100; ++round) {
            at[me] = round;
            co_await b.arrive_and_wait();
            for (const int other : at) EXPECT_EQ(other, round);
            co_await b.arrive_and_wait();  // all have looked
          }
        };
        (void)s.spawn_on(i % cores, work, i);
      }
      co_return;
    });
  });
}

TEST(barrier, a_cancelled_arrival_is_taken_back) {
  for (std::size_t cancelled = 0; cancelled < 3; ++cancelled) {  // first, middle, last
    run([&](scope& s) -> task<> {
      barrier b(4);
      int passed = 0;
      auto meet = [&]() -> task<> {
        co_await b.arrive_and_wait();
        ++passed;
      };
      std::vector<task_handle<void>> t;
      for (int i = 0; i < 3; ++i) {
        t.push_back(s.spawn(meet));
        co_await test::let_others_run();
      }
      t[cancelled].cancel();
      const outcome<void> o = co_await t[cancelled].join();
      EXPECT_TRUE(o.stopped());
      auto third = s.spawn(meet);
      co_await test::let_others_run();
      EXPECT_EQ(passed, 0);
      co_await b.arrive_and_wait();
      co_await test::let_others_run();
      EXPECT_EQ(passed, 3);
      (void)co_await third.join();
    });
  }
}

// Whoever is first, the last arrival or the cancel: either both pass or one waits on.
TEST(barrier, loses_no_round_between_an_arrival_and_a_cancel) {
  run_on(2, []() -> task<> {
    for (int round = 0; round < 500; ++round) {
      barrier b(2);
      std::atomic<bool> waits{false};
      std::atomic<bool> passed{false};
      co_await with_scope([&](scope& s) -> task<> {
        auto t = s.spawn_on(1, [&]() -> task<> {
          waits = true;
          co_await b.arrive_and_wait();
        });
        auto other = s.spawn([&]() -> task<> {
          while (!waits) co_await yield();
          co_await b.arrive_and_wait();
          passed = true;
        });
        while (!waits) co_await yield();
        for (int i = 0; i < round % 4; ++i) co_await yield();
        t.cancel();
        const outcome<void> o = co_await t.join();
        if (o.stopped()) {
          co_await test::let_others_run();
          EXPECT_FALSE(passed);
          co_await b.arrive_and_wait();
        }
        (void)co_await other.join();
      });
    }
  });
}

TEST(barrier, for_nobody_is_a_bug) { EXPECT_DEATH(barrier(0), "barrier for nobody"); }

TEST(barrier, destroyed_while_tasks_wait_aborts_with_advice) {
  EXPECT_DEATH(run([](scope& s) -> task<> {
                 auto b = std::make_unique<barrier>(2u);
                 (void)s.spawn([&]() -> task<> { co_await b->arrive_and_wait(); });
                 co_await test::let_others_run();
                 b.reset();
               }),
               "a barrier is destroyed while tasks wait(.|\n)*end the scope");
}

}  // namespace
}  // namespace corespun
