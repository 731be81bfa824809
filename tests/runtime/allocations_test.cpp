// What allocates: nothing but frames, and on a warm core not even they take memory from below.
// Not under sanitizers, where each frame is a block of its own.

#include "tests/support/sanitizers.hpp"
#if !CORESPUN_TEST_SANITIZED

#include <corespun/runtime/as_result.hpp>
#include <corespun/runtime/barrier.hpp>
#include <corespun/runtime/broadcast.hpp>
#include <corespun/runtime/channel.hpp>
#include <corespun/runtime/condition.hpp>
#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/detail/frame.hpp>
#include <corespun/runtime/event.hpp>
#include <corespun/runtime/latch.hpp>
#include <corespun/runtime/offload.hpp>
#include <corespun/runtime/oneshot.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/select.hpp>
#include <corespun/runtime/semaphore.hpp>
#include <corespun/runtime/shared_mutex.hpp>
#include <corespun/runtime/sleep.hpp>
#include <corespun/runtime/this_core.hpp>
#include <corespun/runtime/watch.hpp>
#include <corespun/runtime/when.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <new>
#include <vector>

#include "tests/support/heap.hpp"
#include "tests/support/tasks.hpp"
#include "tests/support/virtual_time.hpp"

namespace corespun {
namespace {

using namespace std::chrono_literals;

/// What fn costs on a warm core.
template <typename Fn>
std::size_t cost_of(Fn fn, runtime_options options) {
  std::size_t cost = 0;
  test::run_with(std::move(options), [&]() -> task<> {
    for (int i = 0; i < 5; ++i) co_await fn();
    const std::size_t before = test::heap_blocks();
    co_await fn();
    cost = test::heap_blocks() - before;
  });
  return cost;
}

template <typename Fn>
std::size_t cost_of(Fn fn) {
  test::virtual_time time;
  return cost_of(std::move(fn), time.options());
}

task<int> number() { co_return 1; }

TEST(allocations, the_counters_count) {
  std::size_t before = test::calls_of_new();
  ::operator delete(::operator new(100));  // a new-expression may be optimised away
  EXPECT_EQ(test::calls_of_new(), before + 1);
  detail::release_free_frames();  // of cores that were played on this thread
  before = detail::frames_from_below();
  detail::release_frame(detail::allocate_frame(100), 100);  // outside of a core: no list
  EXPECT_EQ(detail::frames_from_below(), before + 1);
}

TEST(allocations, awaiting_a_task_costs_nothing) {
  EXPECT_EQ(cost_of([]() -> task<> {
              for (int i = 0; i < 100; ++i) (void)co_await number();
            }),
            0u);
}

TEST(allocations, yield_and_sleep_cost_nothing) {
  EXPECT_EQ(cost_of([]() -> task<> {
              for (int i = 0; i < 100; ++i) {
                co_await yield();
                co_await sleep_for(1ms);
                co_await sleep_for(24h);
              }
            }),
            0u);
}

TEST(allocations, waiting_for_an_event_or_a_latch_and_opening_it_cost_nothing) {
  EXPECT_EQ(cost_of([]() -> task<> {
              event e;
              latch l(1);
              auto wait = [&]() -> task<> {
                co_await e.wait();
                co_await l.wait();
              };
              auto open = [&]() -> task<> {
                e.open();
                co_await yield();
                l.count_down();
              };
              (void)co_await when_all(wait(), wait(), open());
            }),
            0u);
}

TEST(allocations, waiting_for_locks_costs_nothing) {
  EXPECT_EQ(cost_of([]() -> task<> {
              mutex m;
              shared_mutex shared;
              semaphore permits(0);
              condition changed;
              barrier meeting(2);
              auto first = [&]() -> task<> {
                auto held = co_await m.lock();
                auto alone = co_await shared.lock();
                co_await yield();
                alone.unlock();
                co_await changed.wait(held);
                permits.release(2);
                co_await meeting.arrive_and_wait();
              };
              auto second = [&]() -> task<> {
                auto sharing = co_await shared.lock_shared();
                auto held = co_await m.lock();
                changed.notify_one();
                held.unlock();
                co_await permits.acquire(2);
                co_await meeting.arrive_and_wait();
              };
              (void)co_await when_all(first(), second());
            }),
            0u);
}

TEST(allocations, a_channel_costs_its_buffer_and_its_waits_nothing) {
  channel<int> numbers(2);
  channel<int> rendezvous(0);
  EXPECT_EQ(cost_of([&]() -> task<> {
              oneshot<int> done;
              auto send = [&]() -> task<> {
                for (int i = 0; i < 20; ++i) (void)co_await numbers.send(i);
                for (int i = 0; i < 20; ++i)
                  (void)co_await select(rendezvous.send(i), sleep_for(1h));
                done.send(1);
              };
              auto receive = [&]() -> task<> {
                for (int i = 0; i < 40; ++i)
                  (void)co_await select(numbers.recv(), rendezvous.recv(), sleep_for(1h));
                (void)co_await done.recv();
              };
              (void)co_await when_all(send(), receive());
            }),
            0u);
}

TEST(allocations, broadcast_and_watch_cost_a_buffer_and_their_waits_nothing) {
  broadcast<int> news(2, when_behind::hold);
  watch<int> latest(0);
  EXPECT_EQ(cost_of([&]() -> task<> {
              auto mine = news.subscribe();
              auto observer = latest.observe();
              auto send = [&]() -> task<> {
                for (int i = 0; i < 20; ++i) {
                  (void)co_await news.send(i);
                  latest.set(i);
                }
              };
              auto receive = [&]() -> task<> {
                (void)co_await observer.changed();
                for (int i = 0; i < 20; ++i) (void)co_await mine.recv();
              };
              (void)co_await when_all(receive(), send());
            }),
            0u);
}

TEST(allocations, scopes_spawned_tasks_and_joins_cost_nothing) {
  EXPECT_EQ(cost_of([]() -> task<> {
              co_await with_scope([](scope& s) -> task<> {
                for (int i = 0; i < 50; ++i) (void)s.spawn(test::yield_once);
                auto t = s.spawn(number);
                (void)co_await t.join();
              });
            }),
            0u);
}

TEST(allocations, a_cancel_costs_nothing) {
  EXPECT_EQ(cost_of([]() -> task<> {
              co_await with_scope([](scope& s) -> task<> {
                for (int i = 0; i < 50; ++i) (void)s.spawn(test::forever);
                co_await yield();
                s.cancel();
              });
            }),
            0u);
}

TEST(allocations, deadlines_shields_and_as_result_cost_nothing) {
  EXPECT_EQ(cost_of([]() -> task<> {
              for (int i = 0; i < 50; ++i) {
                (void)co_await with_timeout(1s, number());
                (void)co_await with_timeout(1s, test::forever());
                (void)co_await shield(1s, sleep_for(1ms));
                (void)co_await as_result(number());
              }
            }),
            0u);
}

TEST(allocations, combinators_of_a_fixed_number_cost_nothing) {
  EXPECT_EQ(cost_of([]() -> task<> {
              for (int i = 0; i < 50; ++i) {
                (void)co_await when_all(number(), number());
                (void)co_await when_any(number(), test::forever());
                (void)co_await when_all_settled(number(), test::yield_once());
              }
            }),
            0u);
}

std::size_t cost_of_list(std::size_t length) {
  return cost_of([length]() -> task<> {
    std::vector<task<int>> list;
    list.reserve(length);
    for (std::size_t i = 0; i < length; ++i) list.push_back(number());
    (void)co_await when_all(std::move(list));
  });
}

TEST(allocations, a_list_costs_the_same_however_long_it_is) {
  EXPECT_EQ(cost_of_list(10), cost_of_list(1000));
}

TEST(allocations, offload_costs_nothing_once_its_thread_is_there) {
  if (test::on_sim()) GTEST_SKIP() << "there are no helper threads";
  const auto calls = []() -> task<> {
    for (int i = 0; i < 20; ++i) (void)co_await offload([] { return 1; });
  };
  runtime_options one_thread = test::cores(1);
  one_thread.offload_threads = 1;  // else a late one makes the next call start another
  EXPECT_EQ(cost_of(calls, one_thread), 0u);
}

}  // namespace
}  // namespace corespun

#endif
