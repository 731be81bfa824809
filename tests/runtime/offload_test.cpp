// offload: blocking calls on helper threads, bounded in number, in order, and awaited to their end.

#include <corespun/runtime/detail/threads.hpp>
#include <corespun/runtime/event.hpp>
#include <corespun/runtime/offload.hpp>
#include <corespun/runtime/scope.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
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
  if (test::on_sim()) GTEST_SKIP() << "there are no helper threads";
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

// --- threads: on demand, bounded, no more than needed, and they end ---

detail::helpers& pool_here() { return detail::core::current()->all().pool; }

/// Until no call runs and all threads are idle.
task<> quiet() {
  for (auto l = pool_here().present_load(); l.idle != l.threads || l.queued != 0;
       l = pool_here().present_load())
    co_await yield();
}

TEST(offload, makes_no_thread_before_the_first_call) {
  run([]() -> task<> {
    EXPECT_EQ(pool_here().present_load().threads, 0u);
    co_return;
  });
}

TEST(offload, has_as_many_threads_as_allowed_and_the_other_calls_wait) {
  if (test::on_sim()) GTEST_SKIP() << "there are no helper threads";
  static constexpr std::size_t limit = 3, calls = 10;
  run_with(with_helpers(limit), [](scope& s) -> task<> {
    std::counting_semaphore<> go{0};
    auto blocks = [&]() -> task<> { co_await offload([&] { go.acquire(); }); };
    for (std::size_t i = 0; i < calls; ++i) {
      (void)s.spawn(blocks);
      co_await test::let_others_run();
      EXPECT_EQ(pool_here().present_load().threads, std::min(i + 1, limit));
    }
    while (pool_here().present_load().queued != calls - limit) co_await yield();
    go.release(calls);
  });
}

TEST(offload, that_is_called_again_and_again_needs_one_thread) {
  if (test::on_sim()) GTEST_SKIP() << "there are no helper threads";
  run([]() -> task<> {
    for (int i = 0; i < 100; ++i) {
      co_await offload([] {});
      co_await quiet();
      EXPECT_EQ(pool_here().present_load().threads, 1u);
    }
  });
}

// So that threads which a burst has left behind are idle and end, however often one is needed.
TEST(offload, prefers_the_thread_that_has_been_idle_for_the_shortest_time) {
  if (test::on_sim()) GTEST_SKIP() << "there are no helper threads";
  run([]() -> task<> {
    co_await with_scope([](scope& s) -> task<> {
      constexpr int burst = 4;
      auto all_there = std::make_shared<std::latch>(burst);
      auto call = [](std::shared_ptr<std::latch> l) -> task<> {
        co_await offload([&] { l->arrive_and_wait(); });
      };
      for (int i = 0; i < burst; ++i) (void)s.spawn(call, all_there);
      co_return;
    });
    co_await quiet();
    EXPECT_EQ(pool_here().present_load().threads, 4u);
    const auto first = co_await offload([] { return std::this_thread::get_id(); });
    for (int i = 0; i < 20; ++i) {
      co_await quiet();
      const auto again = co_await offload([] { return std::this_thread::get_id(); });
      EXPECT_EQ(again, first);
    }
  });
}

TEST(offload, lets_idle_threads_end_and_makes_new_ones) {
  if (test::on_sim()) GTEST_SKIP() << "there are no helper threads";
  runtime rt(test::cores(1));
  rt.inner().pool.idle_limit = std::chrono::milliseconds(1);
  const auto calls = []() -> task<> {
    for (int round = 0; round < 3; ++round) {
      const int two = co_await offload([] { return 2; });
      EXPECT_EQ(two, 2);
      while (pool_here().present_load().threads != 0) co_await yield();
    }
  };
  EXPECT_TRUE(rt.run([&] { return test::watched(calls); }).has_value());
}

TEST(offload, loses_no_call_to_a_thread_that_is_about_to_end) {
  if (test::on_sim()) GTEST_SKIP() << "there are no helper threads";
  runtime rt(test::cores(2));
  rt.inner().pool.idle_limit = std::chrono::microseconds(1);
  std::atomic<int> made{0};
  const auto calls = [&]() -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      auto some = [&]() -> task<> {
        for (int i = 0; i < 500; ++i) co_await offload([&] { ++made; });
      };
      for (unsigned core : {0U, 1U}) (void)s.spawn_on(core, some);
      co_return;
    });
  };
  EXPECT_TRUE(rt.run([&] { return test::watched(calls); }).has_value());
  EXPECT_EQ(made, 1000);
}

TEST(offload, ends_its_threads_with_the_runtime) {
  if (test::on_sim()) GTEST_SKIP() << "there are no helper threads";
  std::weak_ptr<int> on_a_thread;
  {
    runtime rt(test::cores(1));
    const auto call = [&]() -> task<> {
      co_await offload([&] {
        thread_local std::shared_ptr<int> mine;
        mine = std::make_shared<int>(1);
        on_a_thread = mine;
      });
    };
    EXPECT_TRUE(rt.run([&] { return test::watched(call); }).has_value());
    EXPECT_FALSE(on_a_thread.expired());
  }
  while (!on_a_thread.expired()) std::this_thread::yield();
}

// A thread inherits the processors of the one that makes it.
TEST(offload, runs_on_all_processors_although_cores_are_pinned) {
  if (test::on_sim()) GTEST_SKIP() << "there are no helper threads";
  runtime_options options = test::cores(1);
  options.pin = true;
  const std::vector<unsigned> cpus = detail::usable_cpus();
  run_with(options, [&]() -> task<> {
    const std::vector<unsigned> there = co_await offload(detail::usable_cpus);
    EXPECT_EQ(there, cpus);
  });
}

// --- calls that wait for tasks that make calls ---

TEST(offload, of_a_call_that_runs_tasks_of_another_runtime_ends) {
  if (test::on_sim()) GTEST_SKIP() << "there are no helper threads";
  runtime other(with_helpers(1));
  run_with(with_helpers(1), [&]() -> task<> {
    const int three = co_await offload([&] {
      return other.run([]() -> task<int> { co_return co_await offload([] { return 3; }); }).value();
    });
    EXPECT_EQ(three, 3);
  });
}

/// Each call runs a task of the same runtime, which makes the next call.
task<int> nested(runtime& rt, int depth) {
  if (depth == 0) co_return 0;
  const int below =
      co_await offload([&rt, depth] { return rt.run(nested, std::ref(rt), depth - 1).value(); });
  co_return below + 1;
}

TEST(offload, of_calls_that_run_tasks_of_the_same_runtime_ends_though_one_thread_is_allowed) {
  if (test::on_sim()) GTEST_SKIP() << "there are no helper threads";
  runtime rt(with_helpers(1));
  const auto main = [&]() -> task<> {
    const int depth = co_await nested(rt, 10);
    EXPECT_EQ(depth, 10);
    co_await quiet();
    EXPECT_EQ(pool_here().present_load().threads, 1u) << "the stand-ins have gone";
    const int one = co_await offload([] { return 1; });
    EXPECT_EQ(one, 1);
  };
  EXPECT_TRUE(rt.run([&] { return test::watched(main); }).has_value());
}

// The call that waits for the other is queued before that other one is.
TEST(offload, of_a_call_that_waits_begins_the_calls_that_were_queued_behind_it) {
  if (test::on_sim()) GTEST_SKIP() << "there are no helper threads";
  runtime rt(with_helpers(1));
  const auto main = [&]() -> task<> {
    event made;  // outlives the tasks
    co_await with_scope([&](scope& s) -> task<> {
      std::binary_semaphore queued{0};
      auto waits = [&]() -> task<> {
        co_await offload([&] {
          queued.acquire();
          (void)rt.run([&]() -> task<> { co_await made.wait(); });
        });
      };
      auto opens = [&]() -> task<> { co_await offload([&] { made.open(); }); };
      auto first = s.spawn(waits);
      co_await test::let_others_run();
      auto second = s.spawn(opens);
      while (pool_here().present_load().queued == 0) co_await yield();
      queued.release();
      (void)co_await second.join();
      (void)co_await first.join();
    });
  };
  EXPECT_TRUE(rt.run([&] { return test::watched(main); }).has_value());
}

TEST(offload, with_no_thread_asked_for_still_has_one) {
  run_with(with_helpers(0), []() -> task<> {
    const int two = co_await offload([] { return 2; });
    EXPECT_EQ(two, 2);
  });
}

}  // namespace
}  // namespace corespun
