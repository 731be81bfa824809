// semaphore: never more permits out than there are, first come first served, no cancel loses one.

#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/semaphore.hpp>
#include <corespun/runtime/this_core.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/run.hpp"
#include "tests/support/tasks.hpp"

namespace corespun {
namespace {

using test::run;
using test::run_on;

TEST(semaphore, counts) {
  run([]() -> task<> {
    semaphore s(3);
    co_await s.acquire();
    co_await s.acquire(2);
    EXPECT_EQ(s.available(), 0u);
    EXPECT_FALSE(s.try_acquire());
    s.release(2);
    EXPECT_FALSE(s.try_acquire(3));
    EXPECT_TRUE(s.try_acquire(2));
    co_await s.acquire(0);
  });
}

TEST(semaphore, a_guard_gives_its_permit_back_to_who_waits) {
  run([](scope& in) -> task<> {
    semaphore s(2);
    bool came = false;
    auto third = [&]() -> task<> {
      const semaphore::guard mine = co_await s.hold();
      came = true;
    };
    {
      semaphore::guard one = co_await s.hold();
      const semaphore::guard two = co_await s.hold();
      EXPECT_EQ(s.available(), 0u);
      auto waits = in.spawn(third);
      co_await test::let_others_run();
      EXPECT_FALSE(came);
      one.unlock();
      (void)co_await waits.join();
      EXPECT_TRUE(came);
      EXPECT_EQ(s.available(), 1u);
    }
    EXPECT_EQ(s.available(), 2u);
  });
}

TEST(semaphore, a_large_request_is_not_overtaken) {
  run([](scope& in) -> task<> {
    semaphore s(0);
    std::string log;
    std::vector<task_handle<void>> t;
    auto take = [&](char c, std::size_t n) -> task<> {
      co_await s.acquire(n);
      log += c;
    };
    t.push_back(in.spawn(take, 'a', std::size_t{3}));
    co_await test::let_others_run();
    t.push_back(in.spawn(take, 'b', std::size_t{1}));
    co_await test::let_others_run();
    s.release(2);
    co_await test::let_others_run();
    EXPECT_EQ(log, "");
    EXPECT_FALSE(s.try_acquire()) << "others wait already";
    s.release(2);
    co_await test::let_others_run();
    EXPECT_EQ(log, test::on_sim() && log == "ba" ? "ba" : "ab") << "ready in this order";
    EXPECT_EQ(s.available(), 0u);
  });
}

TEST(semaphore, those_behind_a_cancelled_request_move_up) {
  run([](scope& in) -> task<> {
    semaphore s(2);
    std::string log;
    std::vector<task_handle<void>> t;
    auto take = [&](char c, std::size_t n) -> task<> {
      co_await s.acquire(n);
      log += c;
    };
    t.push_back(in.spawn(take, 'a', std::size_t{3}));
    co_await test::let_others_run();
    t.push_back(in.spawn(take, 'b', std::size_t{1}));
    co_await test::let_others_run();
    t.push_back(in.spawn(take, 'c', std::size_t{2}));
    co_await test::let_others_run();
    EXPECT_EQ(log, "");
    t[0].cancel();
    (void)co_await t[0].join();
    co_await test::let_others_run();
    EXPECT_EQ(log, "b");
    t[2].cancel();
    (void)co_await t[2].join();
    EXPECT_EQ(s.available(), 1u);
  });
}

TEST(semaphore, granted_before_the_cancel_is_delivered) {
  run([](scope& in) -> task<> {
    semaphore s(0);
    bool got = false;
    auto t = in.spawn([&]() -> task<> {
      co_await s.acquire();
      got = true;
    });
    co_await test::let_others_run();
    s.release();
    t.cancel();
    (void)co_await t.join();
    EXPECT_TRUE(got);
    EXPECT_EQ(s.available(), 0u);
  });
}

TEST(semaphore, never_gives_out_more_than_it_has_to_tasks_of_many_cores) {
  constexpr unsigned cores = 4;
  constexpr int permits = 3;
  std::atomic<int> out{0};
  run_on(cores, [&]() -> task<> {
    semaphore s(permits);
    auto work = [&](std::size_t n) -> task<> {
      for (int i = 0; i < 500; ++i) {
        co_await s.acquire(n);
        EXPECT_LE(out += static_cast<int>(n), permits);
        if (i % 16 == 0) co_await yield();
        out -= static_cast<int>(n);
        s.release(n);
      }
    };
    co_await with_scope([&](scope& in) -> task<> {
      for (unsigned i = 0; i < 12; ++i) (void)in.spawn_on(i % cores, work, std::size_t{1 + i % 3});
      co_return;
    });
    EXPECT_EQ(s.available(), static_cast<std::size_t>(permits));
  });
}

TEST(semaphore, no_permit_is_lost_between_a_release_and_a_cancel) {
  run_on(2, []() -> task<> {
    for (int round = 0; round < 1000; ++round) {
      semaphore s(0);
      co_await with_scope([&](scope& in) -> task<> {
        std::atomic<bool> waits{false};
        auto t = in.spawn_on(1, [&]() -> task<> {
          waits = true;
          co_await s.acquire();
        });
        while (!waits) co_await yield();
        if (round % 2 == 0) t.cancel();
        s.release();
        if (round % 2 == 1) t.cancel();
        const outcome<void> o = co_await t.join();
        EXPECT_EQ(s.available(), o.stopped() ? 1u : 0u);
      });
    }
  });
}

TEST(semaphore, destroyed_while_tasks_wait_aborts_with_advice) {
  EXPECT_DEATH(run([](scope& in) -> task<> {
                 auto s = std::make_unique<semaphore>(0);
                 (void)in.spawn([&]() -> task<> { co_await s->acquire(); });
                 co_await test::let_others_run();
                 s.reset();
               }),
               "a semaphore is destroyed while tasks wait(.|\n)*end the scope");
}

}  // namespace
}  // namespace corespun
