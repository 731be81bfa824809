// offload: blocking calls on helper threads, bounded in number, in order, and awaited to their end.

#include <corespun/runtime/event.hpp>
#include <corespun/runtime/offload.hpp>
#include <corespun/runtime/scope.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <memory>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/run.hpp"
#include "tests/support/tasks.hpp"

namespace corespun {
namespace {

using test::run;
using test::run_on;
using test::run_with;

runtime_options with_helpers(unsigned n) {
  runtime_options o = test::cores(1);
  o.offload_threads = n;
  return o;
}

TEST(offload, runs_elsewhere_and_the_task_goes_on_where_it_was) {
  if (test::on_sim()) GTEST_SKIP() << "there are no helper threads";
  run([]() -> task<> {
    const std::thread::id here = std::this_thread::get_id();
    const std::thread::id there = co_await offload([] { return std::this_thread::get_id(); });
    EXPECT_NE(there, here);
    EXPECT_EQ(std::this_thread::get_id(), here);
  });
}

TEST(offload, passes_arguments_and_the_value) {
  run([]() -> task<> {
    const std::string text = "x";
    auto join = [](const std::string& a, int n) { return a + std::to_string(n); };
    const std::string joined = co_await offload(join, text, 5);
    EXPECT_EQ(joined, "x5");
  });
}

TEST(offload, of_void_waits_for_the_end) {
  run([]() -> task<> {
    int written = 0;
    co_await offload([&] { written = 3; });
    EXPECT_EQ(written, 3);
  });
}

TEST(offload, std_ref_hands_over_a_reference) {
  run([]() -> task<> {
    int target = 0;
    co_await offload([](int& x) { x = 4; }, std::ref(target));
    EXPECT_EQ(target, 4);
  });
}

TEST(offload, moves_functions_arguments_and_values_that_cannot_be_copied) {
  run([]() -> task<> {
    auto add = [base = std::make_unique<int>(1)](std::unique_ptr<int> p) {
      *p += *base;
      return p;
    };
    auto call = offload(std::move(add), std::make_unique<int>(2));
    const std::unique_ptr<int> three = co_await std::move(call);
    EXPECT_EQ(*three, 3);
  });
}

TEST(offload, rethrows_what_the_function_threw) {
  run([]() -> task<> {
    std::string caught;
    try {
      co_await offload([] { throw std::runtime_error("there"); });
    } catch (const std::runtime_error& e) {
      caught = e.what();
    }
    EXPECT_EQ(caught, "there");
  });
}

TEST(offload, lets_the_core_go_on_while_the_call_blocks) {
  run([](scope& s) -> task<> {
    std::binary_semaphore go{0};
    auto blocked = s.spawn([&]() -> task<> { co_await offload([&] { go.acquire(); }); });
    co_await test::let_others_run(100);
    EXPECT_FALSE(blocked.done());
    go.release();  // only a core that is not blocked comes here
    (void)co_await blocked.join();
  });
}

TEST(offload, never_runs_more_calls_at_once_than_there_may_be_threads) {
  constexpr int limit = 3;
  std::atomic<int> running{0};
  std::atomic<int> most{0};
  run_with(with_helpers(limit), [&](scope& s) -> task<> {
    auto call = [&]() -> task<> {
      co_await offload([&] {
        const int now = ++running;
        int before = most;
        while (before < now && !most.compare_exchange_weak(before, now)) {
        }
        std::this_thread::yield();
        --running;
      });
    };
    for (int i = 0; i < 200; ++i) (void)s.spawn(call);
    co_return;
  });
  EXPECT_LE(most, limit);
  EXPECT_EQ(running, 0);
}

TEST(offload, uses_as_many_threads_as_there_are_calls_that_block) {
  if (test::on_sim()) GTEST_SKIP() << "there are no helper threads";
  constexpr int calls = 8;
  std::latch all_there{calls};  // opens only if all run at once
  run_with(with_helpers(calls), [&](scope& s) -> task<> {
    auto call = [&]() -> task<> { co_await offload([&] { all_there.arrive_and_wait(); }); };
    for (int i = 0; i < calls; ++i) (void)s.spawn(call);
    co_return;
  });
}

TEST(offload, of_one_thread_makes_the_calls_in_order) {
  std::vector<int> order;
  run_with(with_helpers(1), [&](scope& s) -> task<> {
    auto call = [&](int i) -> task<> { co_await offload([&order, i] { order.push_back(i); }); };
    for (int i = 0; i < 50; ++i) (void)s.spawn(call, i);
    co_return;
  });
  for (int i = 0; i < 50; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
}

TEST(offload, a_call_that_is_cancelled_while_queued_is_never_made) {
  if (test::on_sim()) GTEST_SKIP() << "there are no helper threads";
  run_with(with_helpers(1), [](scope& s) -> task<> {
    std::binary_semaphore go{0};
    event begun;
    std::atomic<bool> made{false};
    auto blocker = s.spawn([&]() -> task<> {
      co_await offload([&] {
        begun.open();
        go.acquire();
      });
    });
    co_await begun.wait();
    auto queued = s.spawn([&]() -> task<> { co_await offload([&] { made = true; }); });
    co_await test::let_others_run();
    queued.cancel();
    const outcome<void> o = co_await queued.join();  // ends although the helper is still busy
    EXPECT_TRUE(o.stopped());
    go.release();
    (void)co_await blocker.join();
    EXPECT_FALSE(made);
  });
}

TEST(offload, a_call_that_has_begun_is_awaited_and_its_value_delivered) {
  if (test::on_sim()) GTEST_SKIP() << "there are no helper threads";
  run([](scope& s) -> task<> {
    std::binary_semaphore go{0};
    event begun;
    int value = 0;
    bool went_on = false;
    auto t = s.spawn([&]() -> task<> {
      value = co_await offload([&] {
        begun.open();
        go.acquire();
        return 6;
      });
      co_await yield();
      went_on = true;
    });
    co_await begun.wait();
    t.cancel();
    co_await test::let_others_run();
    EXPECT_FALSE(t.done()) << "the call still uses the memory of the task";
    go.release();
    const outcome<void> o = co_await t.join();
    EXPECT_TRUE(o.stopped());
    EXPECT_EQ(value, 6);
    EXPECT_FALSE(went_on);
  });
}

TEST(offload, in_a_cancelled_task_makes_no_call) {
  run([](scope& s) -> task<> {
    std::atomic<bool> made{false};
    auto t = s.spawn([&]() -> task<> { co_await offload([&] { made = true; }); });
    t.cancel();
    const outcome<void> o = co_await t.join();
    EXPECT_TRUE(o.stopped());
    EXPECT_FALSE(made);
  });
}

TEST(offload, cancel_and_begin_race_without_losing_or_doubling_a_call) {
  std::atomic<int> calls{0};
  int stopped = 0;
  constexpr int rounds = 500;
  run_with(with_helpers(2), [&](scope& s) -> task<> {
    auto call = [&]() -> task<> { co_await offload([&] { ++calls; }); };
    for (int i = 0; i < rounds; ++i) {
      auto t = s.spawn(call);
      co_await yield();
      t.cancel();
      const outcome<void> o = co_await t.join();
      if (o.stopped()) ++stopped;
    }
  });
  EXPECT_EQ(calls + stopped, rounds);
}

TEST(offload, many_from_several_cores_all_return) {
  std::atomic<int> sum{0};
  run_on(3, [&](scope& s) -> task<> {
    for (int i = 0; i < 1500; ++i) {
      auto call = [&]() -> task<> {
        const int one = co_await offload([] { return 1; });
        sum += one;
      };
      (void)s.spawn_on(static_cast<unsigned>(i % 3), call);
    }
    co_return;
  });
  EXPECT_EQ(sum, 1500);
}

TEST(offload, with_no_thread_asked_for_still_has_one) {
  run_with(with_helpers(0), []() -> task<> {
    const int two = co_await offload([] { return 2; });
    EXPECT_EQ(two, 2);
  });
}

}  // namespace
}  // namespace corespun
