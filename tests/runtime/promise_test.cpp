// promise, future: one value or one exception, to a task, a callback or a thread; never a hang.

#include <corespun/runtime/as_result.hpp>
#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/offload.hpp>
#include <corespun/runtime/promise.hpp>
#include <corespun/runtime/result.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/select.hpp>
#include <corespun/runtime/this_core.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/heap.hpp"
#include "tests/support/run.hpp"
#include "tests/support/tasks.hpp"
#include "tests/support/trace.hpp"
#include "tests/support/virtual_time.hpp"

namespace corespun {
namespace {

using namespace std::chrono_literals;
using test::run;
using test::run_on;

template <typename T>
bool is_broken(const outcome<T>& o) {
  try {
    if (o.failed()) std::rethrow_exception(o.error());
  } catch (const std::system_error& e) {
    return e.code() == errc::broken_promise;
  }
  return false;
}

// --- to a task ---

TEST(future, gives_a_task_what_was_set_before_or_after_the_wait_began) {
  run([](scope& s) -> task<> {
    promise<std::unique_ptr<int>> before;
    promise<std::unique_ptr<int>> after;
    auto first = before.get_future();
    auto second = after.get_future();
    EXPECT_FALSE(first.ready());
    before.set_value(std::make_unique<int>(1));
    EXPECT_TRUE(first.ready());
    auto t = s.spawn([&]() -> task<> {
      const auto one = co_await std::move(first);
      EXPECT_EQ(*one, 1);
      const auto two = co_await std::move(second);
      EXPECT_EQ(*two, 2);
    });
    co_await test::let_others_run();
    EXPECT_FALSE(t.done());
    after.set_value(std::make_unique<int>(2));
    (void)co_await t.join();
  });
}

TEST(future, of_void_carries_no_value) {
  run([](scope& s) -> task<> {
    promise<> p;
    auto t = s.spawn([f = p.get_future()]() mutable -> task<> { co_await std::move(f); });
    co_await test::let_others_run();
    EXPECT_FALSE(t.done());
    p.set_value();
    const outcome<void> o = co_await t.join();
    EXPECT_TRUE(o.has_value());
  });
}

TEST(future, may_be_taken_after_the_promise_was_set) {
  promise<int> p;
  p.set_value(7);
  future<int> f = p.get_future();
  EXPECT_TRUE(f.ready());
  EXPECT_EQ(f.get(), 7);
}

TEST(future, throws_the_exception_that_was_set) {
  run([]() -> task<> {
    promise<int> p;
    p.set_exception(std::make_exception_ptr(std::runtime_error("no answer")));
    std::string what;
    try {
      auto f = p.get_future();
      (void)co_await std::move(f);
    } catch (const std::runtime_error& e) {
      what = e.what();
    }
    EXPECT_EQ(what, "no answer");
  });
}

TEST(future, of_a_promise_that_goes_is_an_error_that_says_so) {
  run([](scope& s) -> task<> {
    auto p = std::make_unique<promise<int>>();
    std::optional<std::system_error> caught;
    auto t = s.spawn([f = p->get_future(), &caught]() mutable -> task<> {
      try {
        (void)co_await std::move(f);
      } catch (const std::system_error& e) {
        caught = e;
      }
    });
    co_await test::let_others_run();
    p.reset();
    (void)co_await t.join();
    if (!caught) {
      ADD_FAILURE() << "nothing was thrown";
      co_return;
    }
    EXPECT_EQ(caught->code(), errc::broken_promise);
    EXPECT_NE(std::string(caught->what()).find("promise"), std::string::npos) << caught->what();
  });
}

TEST(promise, that_is_assigned_to_breaks_its_old_future_only) {
  promise<int> p;
  future<int> old = p.get_future();
  promise<int> other;
  future<int> kept = other.get_future();
  p = std::move(other);
  EXPECT_THROW((void)old.get(), std::system_error);
  EXPECT_FALSE(kept.ready());
  p.set_value(3);
  EXPECT_EQ(kept.get(), 3);
}

TEST(future, a_cancelled_await_leaves_nothing_behind) {
  int alive = 0;
  run([&](scope& s) -> task<> {
    promise<test::counted> p;
    auto t = s.spawn([f = p.get_future()]() mutable -> task<> { (void)co_await std::move(f); });
    co_await test::let_others_run();
    t.cancel();
    const outcome<void> o = co_await t.join();
    EXPECT_TRUE(o.stopped());
    p.set_value(test::counted(alive));
  });
  EXPECT_EQ(alive, 0);
}

TEST(future, wait_leaves_the_value_in_it) {
  test::virtual_time time;
  time.run([]() -> task<> {
    promise<int> p;
    future<int> f = p.get_future();
    const auto none = co_await with_timeout(1s, f.wait());
    EXPECT_EQ(none.error(), errc::timed_out);
    const auto late = co_await select(f.wait(), sleep_for(1s));
    EXPECT_EQ(late.index(), 1u);
    p.set_value(5);
    const auto now = co_await select(f.wait(), sleep_for(1s));
    EXPECT_EQ(now.index(), 0u);
    const int five = co_await std::move(f);
    EXPECT_EQ(five, 5);
  });
}

TEST(future, take_does_not_wait) {
  promise<int> p;
  future<int> f = p.get_future();
  EXPECT_DEATH((void)f.take(), "take\\(\\) of a future that is not ready(.|\n)*ask ready");
  p.set_value(5);
  EXPECT_EQ(f.take(), 5);
  EXPECT_DEATH((void)f.take(), "used twice");
}

TEST(future, each_value_reaches_a_task_of_another_core) {
  run_on(2, []() -> task<> {
    for (int round = 0; round < 500; ++round) {
      std::optional<promise<int>> p(std::in_place);
      int got = -1;
      co_await with_scope([&](scope& s) -> task<> {
        (void)s.spawn_on(
            1, [f = p->get_future(), &got]() mutable -> task<> { got = co_await std::move(f); });
        if (round % 2 == 0) co_await yield();
        p->set_value(round);
      });
      EXPECT_EQ(got, round);
    }
  });
}

TEST(future, a_cancel_that_meets_the_value_ends_the_wait_once) {
  run_on(2, []() -> task<> {
    for (int round = 0; round < 500; ++round) {
      promise<int> p;
      std::atomic<bool> waits{false};
      co_await with_scope([&](scope& s) -> task<> {
        auto t = s.spawn_on(1, [f = p.get_future(), &waits, round]() mutable -> task<> {
          waits = true;
          const int got = co_await std::move(f);
          EXPECT_EQ(got, round);
        });
        while (!waits) co_await yield();
        if (round % 2 == 0) t.cancel();
        p.set_value(round);
        if (round % 2 == 1) t.cancel();
        (void)co_await t.join();
      });
    }
  });
}

TEST(future, is_set_by_threads_that_are_no_core) {
  if (test::on_sim()) GTEST_SKIP() << "one thread plays all cores";
  run([]() -> task<> {
    for (int round = 0; round < 200; ++round) {
      std::jthread other;
      {
        promise<int> p;
        future<int> f = p.get_future();
        other = std::jthread([&p, round] {
          if (round % 4 == 3) {
            p.set_exception(std::make_exception_ptr(round));
          } else {
            p.set_value(round);
          }
        });
        int got = -1;
        try {
          got = co_await std::move(f);
        } catch (int thrown) {
          got = thrown;
        }
        EXPECT_EQ(got, round);
      }  // the promise goes while the thread may still be inside of it
    }
  });
}

// --- to a callback ---

TEST(future, calls_back_once_whether_it_is_set_before_or_after) {
  for (const bool before : {true, false}) {
    promise<int> p;
    future<int> f = p.get_future();
    int calls = 0;
    int got = 0;
    if (before) p.set_value(4);
    f.then([&](outcome<int> o) {
      ++calls;
      got = std::move(o).value();
    });
    EXPECT_EQ(calls, before ? 1 : 0);
    if (!before) p.set_value(4);
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(got, 4);
  }
}

TEST(future, calls_back_with_the_exception_also_of_a_broken_promise) {
  std::optional<outcome<void>> thrown;
  std::optional<outcome<void>> broken;
  {
    promise<> p;
    p.get_future().then([&](outcome<void> o) { thrown = std::move(o); });
    p.set_exception(std::make_exception_ptr(1));
    promise<> gone;
    gone.get_future().then([&](outcome<void> o) { broken = std::move(o); });
  }
  ASSERT_TRUE(thrown && broken);
  EXPECT_TRUE(thrown->failed());
  EXPECT_THROW(std::rethrow_exception(thrown->error()), int);
  EXPECT_TRUE(is_broken(*broken));
}

TEST(future, a_callback_that_meets_the_value_is_called_once) {
  for (int round = 0; round < 500; ++round) {
    promise<int> p;
    future<int> f = p.get_future();
    std::atomic<int> calls{0};
    {
      std::jthread other([&] { p.set_value(round); });
      f.then([&](outcome<int> o) {
        EXPECT_EQ(std::move(o).value(), round);
        ++calls;
      });
    }
    EXPECT_EQ(calls, 1);
  }
}

// --- to a thread ---

TEST(future, get_blocks_a_thread_until_there_is_a_value) {
  for (int round = 0; round < 100; ++round) {
    std::jthread other;
    promise<std::string> p;
    future<std::string> f = p.get_future();
    other = std::jthread([p = std::move(p), round]() mutable {
      // in some rounds so late that the other thread sleeps, as a rule
      for (int i = 0; i < round * 50; ++i) std::this_thread::yield();
      p.set_value("answer");
    });
    EXPECT_EQ(f.get(), "answer");
  }
}

TEST(future, get_throws_what_was_set_and_that_the_promise_went) {
  promise<int> thrown;
  thrown.set_exception(std::make_exception_ptr(1));
  EXPECT_THROW((void)thrown.get_future().get(), int);
  auto gone = std::make_unique<promise<int>>();
  future<int> f = gone->get_future();
  gone.reset();
  EXPECT_TRUE(f.ready());
  EXPECT_THROW((void)f.get(), std::system_error);
}

TEST(future, get_in_a_blocking_call_leaves_room_for_the_call_that_sets_the_promise) {
  if (test::on_sim()) GTEST_SKIP() << "there are no helper threads";
  runtime_options options = test::cores(1);
  options.offload_threads = 1;
  test::run_with(options, [](scope& s) -> task<> {
    promise<int> p;
    std::atomic<bool> waits{false};
    auto t = s.spawn([&]() -> task<> {
      auto get = [&, f = p.get_future()]() mutable {
        waits = true;
        return f.get();
      };
      const int got = co_await offload(std::move(get));
      EXPECT_EQ(got, 7);
    });
    while (!waits) co_await yield();
    co_await offload([&] { p.set_value(7); });
    (void)co_await t.join();
  });
}

TEST(future, get_on_a_core_aborts_with_advice) {
  EXPECT_DEATH(run([]() -> task<> {
                 promise<int> p;
                 future<int> f = p.get_future();
                 (void)f.get();
                 co_return;
               }),
               "get\\(\\) on a core's own thread(.|\n)*co_await the future");
}

// --- the promise ---

TEST(promise, whose_value_cannot_be_made_is_not_set) {
  struct picky {
    picky(int n) {
      if (n == 0) throw std::invalid_argument("zero");
    }
  };
  promise<picky> p;
  future<picky> f = p.get_future();
  EXPECT_THROW(p.set_value(0), std::invalid_argument);
  EXPECT_FALSE(f.ready());
  p.set_value(1);
  EXPECT_TRUE(f.ready());
}

template <typename T, typename From>
concept settable = requires(promise<T>& p, From from) { p.set_value(from); };

TEST(promise, is_not_set_through_an_explicit_constructor) {
  EXPECT_TRUE((settable<std::string, const char*>));
  EXPECT_FALSE((settable<std::vector<int>, int>)) << "no vector of that many";
  EXPECT_FALSE((settable<std::unique_ptr<int>, int*>));
}

TEST(promise, that_was_moved_still_has_its_future) {
  promise<int> p;
  promise<int> moved(std::move(p));
  promise<int> assigned;
  assigned = std::move(moved);
  future<int> f = assigned.get_future();
  assigned.set_value(6);
  EXPECT_EQ(f.get(), 6);
}

TEST(promise, set_twice_is_a_bug) {
  promise<int> p;
  p.set_value(1);
  EXPECT_DEATH(p.set_value(2), "a promise is set twice(.|\n)*a channel carries");
  EXPECT_DEATH(p.set_exception(nullptr), "a promise is set twice");
}

TEST(promise, a_future_taken_or_used_twice_is_a_bug) {
  promise<int> p;
  future<int> f = p.get_future();
  EXPECT_DEATH((void)p.get_future(), "used twice, or taken twice");
  p.set_value(1);
  EXPECT_EQ(f.get(), 1);
  EXPECT_FALSE(f.ready());
  EXPECT_DEATH((void)f.get(), "used twice(.|\n)*keep what it gives");
}

TEST(promise, gives_back_all_that_it_took_whoever_goes_first) {
  int alive = 0;
  const long before = test::blocks_in_use();
  {
    const promise<test::counted> never_used;
    promise<test::counted> nobody_asked;
    nobody_asked.set_value(test::counted(alive));
    promise<test::counted> nobody_waits;
    {
      const auto dropped = nobody_waits.get_future();
    }
    nobody_waits.set_value(test::counted(alive));
    EXPECT_EQ(alive, 1) << "one future is still to be had, the other one is gone";
  }
  EXPECT_EQ(alive, 0);
  EXPECT_EQ(test::blocks_in_use(), before);
}

}  // namespace
}  // namespace corespun
