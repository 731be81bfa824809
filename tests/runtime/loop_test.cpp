// loop: calls and tasks in order, on the thread that runs it; what others post reaches it, also
// asleep.

#include <corespun/runtime/as_result.hpp>
#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/loop.hpp>
#include <corespun/runtime/offload.hpp>
#include <corespun/runtime/result.hpp>
#include <corespun/runtime/sleep.hpp>
#include <corespun/runtime/this_core.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/run.hpp"
#include "tests/support/tasks.hpp"
#include "tests/support/trace.hpp"
#include "tests/support/virtual_time.hpp"

namespace corespun {
namespace {

using namespace std::chrono_literals;
using test::loop_like;
using test::virtual_time;

/// Of this lane.
loop_options lane() { return loop_like(test::cores(1)); }

/// Runs all that is ready.
void drain(loop& l) {
  while (l.run_once(0s)) {
  }
}

// --- calls ---

TEST(loop, calls_what_was_posted_in_that_order) {
  loop l(lane());
  std::string log;
  for (const char c : {'a', 'b', 'c'}) l.post([&log, c] { log += c; });
  EXPECT_EQ(log, "") << "not before it runs";
  drain(l);
  EXPECT_EQ(log, "abc");
}

TEST(loop, calls_in_a_later_turn_what_a_call_posts) {
  loop l(lane());
  std::string log;
  l.post([&] {
    log += 'a';
    l.post([&] { log += 'c'; });
  });
  l.post([&] { log += 'b'; });
  EXPECT_TRUE(l.run_once(0s));
  EXPECT_EQ(log, "ab");
  EXPECT_TRUE(l.run_once(0s));
  EXPECT_EQ(log, "abc");
}

TEST(loop, calls_in_a_later_turn_what_the_call_of_a_timer_posts) {
  loop l(lane());
  std::string log;
  l.after(1ms, [&] {
    log += 'a';
    l.post([&] { log += 'b'; });
  });
  while (log.empty()) (void)l.run_once(1s);
  EXPECT_EQ(log, "a");
  EXPECT_TRUE(l.run_once(0s));
  EXPECT_EQ(log, "ab");
}

TEST(loop, a_timer_that_is_due_can_still_be_cancelled_by_a_call_before_it) {
  int alive = 0;
  loop l(lane());
  loop::handle second;
  bool cancelled = false;
  l.after(1ms, [&] { cancelled = second.cancel(); });
  second = l.after(1ms, [owned = test::counted(alive)] { FAIL(); });
  while (!cancelled) (void)l.run_once(1s);
  drain(l);
  EXPECT_EQ(alive, 0);
}

TEST(loop, keeps_the_order_of_each_thread_that_posts) {
  if (test::on_sim()) GTEST_SKIP() << "there no other thread may post";
  constexpr int each = 2000;
  loop l(lane());
  std::vector<int> last(3, -1);
  int left = 3 * each;
  std::vector<std::jthread> others;
  for (std::size_t t = 0; t < last.size(); ++t) {
    others.emplace_back([&, t] {
      for (int i = 0; i < each; ++i) {
        l.post([&, t, i] {
          EXPECT_EQ(std::exchange(last[t], i), i - 1);
          if (--left == 0) l.stop();
        });
      }
    });
  }
  l.run();
  EXPECT_EQ(left, 0);
}

TEST(loop, a_time_that_has_passed_is_as_good_as_post) {
  loop l(lane());
  std::string log;
  const auto note = [&](char c) { return [&log, c] { log += c; }; };
  l.post(note('a'));
  l.after(0s, note('b'));
  l.at(clock::time_point::min(), note('c'));
  l.after(-1h, note('d'));
  l.post(note('e'));
  drain(l);
  EXPECT_EQ(log, "abcde");
}

TEST(loop, timers_fire_at_their_time_in_order_and_equal_ones_in_the_order_of_arming) {
  virtual_time time;
  loop l(loop_like(time.options()));
  std::vector<int> fired;
  const int delays[] = {30, 10, 20, 10, 30, 20, 10};
  for (int i = 0; i < 7; ++i) {
    const auto d = std::chrono::milliseconds(delays[i]);
    l.after(d, [&, i, d] {
      EXPECT_EQ(time.elapsed(), d);
      fired.push_back(i);
      if (fired.size() == 7) l.stop();
    });
  }
  l.run();
  EXPECT_EQ(fired, (std::vector<int>{1, 3, 6, 2, 5, 0, 4}));
}

TEST(loop, a_timer_that_a_call_arms_fires_at_its_time) {
  virtual_time time;
  loop l(loop_like(time.options()));
  int left = 3;
  std::function<void()> again = [&] {
    if (--left == 0) {
      l.stop();
    } else {
      l.after(1h, again);
    }
  };
  l.after(1h, again);
  l.run();
  EXPECT_EQ(time.elapsed(), 3h);
}

// --- handles ---

TEST(loop, what_is_cancelled_is_not_called_and_goes_at_once) {
  loop l(lane());
  int alive = 0;
  int calls = 0;
  const auto call = [&calls, owned = test::counted(alive)] { ++calls; };
  const int own = alive;
  loop::handle posted = l.post(call);
  loop::handle armed = l.after(24h, call);
  loop::handle armed_before = l.after(24h, call);
  drain(l);
  EXPECT_EQ(calls, 1);
  EXPECT_FALSE(posted.cancel()) << "it was called";
  posted = l.post(call);
  for (loop::handle* h : {&posted, &armed, &armed_before}) {
    EXPECT_TRUE(h->cancel());
    EXPECT_FALSE(h->cancel()) << "it was cancelled before";
  }
  drain(l);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(alive, own) << "what it owned went, although the handle is there";
}

TEST(loop, a_call_cancels_others_that_were_ready_in_its_turn) {
  loop l(lane());
  bool called = false;
  loop::handle later;
  l.post([&] { EXPECT_TRUE(later.cancel()); });
  later = l.post([&] { called = true; });
  drain(l);
  EXPECT_FALSE(called);
}

TEST(loop, a_call_cannot_cancel_itself) {
  loop l(lane());
  auto mine = std::make_shared<loop::handle>();
  *mine = l.post([mine] { EXPECT_FALSE(mine->cancel()); });
  EXPECT_TRUE(l.run_once(0s));
  EXPECT_EQ(mine.use_count(), 1);
}

TEST(loop, a_handle_that_is_dropped_cancels_nothing) {
  loop l(lane());
  int calls = 0;
  {
    const loop::handle dropped = l.post([&] { ++calls; });
  }
  drain(l);
  EXPECT_EQ(calls, 1);
  EXPECT_FALSE(loop::handle().cancel());
}

TEST(loop, a_handle_may_outlive_it) {
  int alive = 0;
  loop::handle posted;
  loop::handle armed;
  loop::handle called;
  {
    loop l(lane());
    called = l.post([] {});
    drain(l);
    armed = l.after(1h, [owned = test::counted(alive)] { FAIL(); });
    drain(l);
    posted = l.post([owned = test::counted(alive)] { FAIL(); });
    EXPECT_EQ(alive, 2);
  }
  EXPECT_EQ(alive, 0) << "what was not called when it went";
  EXPECT_FALSE(posted.cancel());
  EXPECT_FALSE(armed.cancel());
  EXPECT_FALSE(called.cancel());
}

/// Posts when it goes.
class posts_late {
 public:
  posts_late(loop& l, loop::handle& posted, int& alive) noexcept
      : loop_(&l), posted_(posted), alive_(alive) {}
  posts_late(posts_late&& other) noexcept
      : loop_(std::exchange(other.loop_, nullptr)), posted_(other.posted_), alive_(other.alive_) {}
  posts_late& operator=(posts_late&&) = delete;
  ~posts_late() {
    if (loop_ != nullptr) posted_ = loop_->post([owned = test::counted(alive_)] { FAIL(); });
  }

 private:
  loop* loop_;
  loop::handle& posted_;
  int& alive_;
};

task<> sleeps_with(posts_late) { co_await sleep_for(1h); }

TEST(loop, what_destructors_post_while_it_goes_is_not_called_and_goes_too) {
  int alive = 0;
  loop::handle by_a_call;
  loop::handle by_a_task;
  {
    loop l(lane());
    l.after(1h, [late = posts_late(l, by_a_call, alive)] {});
    (void)l.submit(sleeps_with, posts_late(l, by_a_task, alive));
    drain(l);
  }
  EXPECT_EQ(alive, 0);
  EXPECT_FALSE(by_a_call.cancel());
  EXPECT_FALSE(by_a_task.cancel());
}

TEST(loop, each_call_is_made_or_cancelled_by_another_thread_never_both) {
  if (test::on_sim()) GTEST_SKIP() << "there no other thread may post";
  loop l(lane());
  int made = 0;
  for (int round = 0; round < 500; ++round) {
    made = 0;
    bool cancelled = false;
    {
      loop::handle h = round % 2 == 0 ? l.post([&] { ++made; }) : l.after(1us, [&] { ++made; });
      std::jthread other([&] {
        cancelled = h.cancel();
        l.stop();
      });
      l.run();
    }
    if (!cancelled && made == 0) l.run_once(1h);
    EXPECT_EQ(made, cancelled ? 0 : 1);
  }
}

TEST(loop, waits_in_its_end_for_a_cancel_that_is_on_its_way) {
  if (test::on_sim()) GTEST_SKIP() << "there no other thread may post";
  int alive = 0;
  for (int round = 0; round < 500; ++round) {
    std::optional<loop> l(std::in_place, lane());
    loop::handle h = l->after(1h, [owned = test::counted(alive)] { FAIL(); });
    std::atomic<bool> begun{false};
    std::jthread other([&] {
      begun = true;
      (void)h.cancel();
    });
    while (!begun) std::this_thread::yield();
    l.reset();
    EXPECT_EQ(alive, 0);
  }
}

// --- turns ---

TEST(loop, a_turn_waits_for_something_but_no_longer_than_it_may) {
  virtual_time time;
  loop l(loop_like(time.options()));
  int calls = 0;
  EXPECT_FALSE(l.run_once(0s));
  EXPECT_FALSE(l.run_once(-1h));
  EXPECT_EQ(time.elapsed(), 0s);
  EXPECT_FALSE(l.run_once(3s));
  EXPECT_EQ(time.elapsed(), 3s);
  l.after(2s, [&] { ++calls; });
  EXPECT_FALSE(l.run_once(1s));
  EXPECT_EQ(time.elapsed(), 4s);
  EXPECT_TRUE(l.run_once(1h));
  EXPECT_EQ(time.elapsed(), 5s);
  EXPECT_EQ(calls, 1);
  l.after(1h, [&] { ++calls; });
  l.post([&] { ++calls; });
  EXPECT_TRUE(l.run_once(1h));
  EXPECT_EQ(time.elapsed(), 5s) << "what is ready does not wait";
  EXPECT_EQ(calls, 2);
}

TEST(loop, stop_ends_the_run_with_its_turn_or_the_next_one) {
  loop l(lane());
  std::string log;
  l.post([&] {
    l.stop();
    log += 'a';
    l.post([&] { log += 'c'; });
  });
  l.post([&] { log += 'b'; });
  l.run();
  EXPECT_EQ(log, "ab");
  l.stop();
  l.run();
  EXPECT_EQ(log, "abc") << "that run, too, is one turn at least";
}

TEST(loop, a_stop_ends_one_run_only) {
  loop l(lane());
  std::string log;
  l.post([&] { l.stop(); });
  l.run();
  l.post([&] {
    log += 'a';
    l.post([&] {
      log += 'b';
      l.stop();
    });
  });
  l.run();
  EXPECT_EQ(log, "ab");
}

TEST(loop, a_stop_ends_no_run_but_the_one_that_an_exception_ends) {
  loop l(lane());
  l.post([&] {
    l.stop();
    throw std::runtime_error("call");
  });
  EXPECT_THROW(l.run(), std::runtime_error);
  EXPECT_TRUE(l.run([]() -> task<int> { co_return 7; }).has_value());
}

TEST(loop, that_has_nothing_to_do_ends_by_a_stop_from_before_be_it_once_or_twice) {
  loop l(lane());
  l.stop();
  l.run();
  l.stop();
  l.stop();
  l.run();
  EXPECT_FALSE(l.run_once(0s));
}

TEST(loop, stop_of_another_thread_wakes_it_for_good) {
  if (test::on_sim()) GTEST_SKIP() << "there no other thread may post";
  loop l(lane());
  for (int round = 0; round < 200; ++round) {
    std::jthread other([&] { l.stop(); });
    if (round % 2 == 0) {
      l.run();
    } else {
      EXPECT_FALSE(l.run_once(clock::duration::max()));
    }
  }
}

/// Counts how often the loop looks at it, and how often it hears that it is complete.
class counting_driver final : public driver {
 public:
  counting_driver(int& looks, int& complete) noexcept : looks_(looks), complete_(complete) {}
  void attach(detail::core& c) override { real_->attach(c); }
  void all_attached() override { ++complete_; }
  void poll(clock::time_point until) override {
    ++looks_;
    real_->poll(until);
  }
  void wake() noexcept override { real_->wake(); }
  [[nodiscard]] std::size_t in_flight() const noexcept override { return real_->in_flight(); }
  void cancel_all() override { real_->cancel_all(); }
  [[nodiscard]] const char* name() const noexcept override { return real_->name(); }

 private:
  int& looks_;
  int& complete_;
  std::unique_ptr<driver> real_ = make_futex_driver(0);
};

TEST(loop, without_timers_neither_spins_nor_freezes) {
  if (test::on_sim()) GTEST_SKIP() << "there no other thread may post";
  int looks = 0;
  int complete = 0;
  loop_options o;
  o.driver = [&](unsigned) { return std::make_unique<counting_driver>(looks, complete); };
  loop l(o);
  EXPECT_EQ(complete, 1);
  constexpr int posts = 200;
  std::jthread other([&] {
    for (int i = 0; i < posts; ++i) {  // each when it has come to rest after the one before
      promise<> called;
      future<> f = called.get_future();
      l.post([&] { called.set_value(); });
      f.get();
    }
    l.stop();
  });
  l.run();
  EXPECT_GE(looks, posts);
  EXPECT_LE(looks, 2 * posts + 2);
}

// --- what calls throw ---

TEST(loop, what_a_call_throws_leaves_the_run_and_the_others_are_called) {
  loop l(lane());
  std::string log;
  l.post([] { throw std::runtime_error("first"); });
  l.post([&] { log += 'a'; });
  l.post([] { throw std::runtime_error("second"); });
  l.post([&] { l.stop(); });
  for (const char* const text : {"first", "second"}) {
    try {
      l.run();
      ADD_FAILURE() << "nothing was thrown";
    } catch (const std::runtime_error& e) {
      EXPECT_STREQ(e.what(), text);
    }
    EXPECT_EQ(log, "a");
  }
  l.post([&] {
    log += 'b';
    l.stop();
  });
  l.run();
  EXPECT_EQ(log, "ab");
  l.post([] { throw 1; });
  EXPECT_THROW((void)l.run_once(0s), int);
}

TEST(loop, what_was_thrown_before_leaves_a_single_turn_before_it_does_anything) {
  loop l(lane());
  bool called = false;
  l.post([] { throw 1; });
  l.post([] { throw 2; });
  EXPECT_THROW((void)l.run_once(0s), int);
  l.post([&] { called = true; });
  EXPECT_THROW((void)l.run_once(0s), int);
  EXPECT_FALSE(called);
  EXPECT_TRUE(l.run_once(0s));
  EXPECT_TRUE(called);
}

TEST(loop, what_a_call_throws_leaves_the_timers_as_they_were) {
  loop l(lane());
  loop::handle armed = l.after(1h, [] { FAIL(); });
  drain(l);
  l.post([] { throw 1; });
  EXPECT_THROW((void)l.run_once(0s), int);
  EXPECT_FALSE(l.run_once(0s));
  EXPECT_TRUE(armed.cancel());
}

TEST(loop, nobody_hears_of_what_was_thrown_when_it_goes) {
  int alive = 0;
  struct error {
    test::counted owned;
  };
  {
    loop l(lane());
    for (int i = 0; i < 3; ++i) {
      l.post([&] { throw error(test::counted(alive)); });
    }
    EXPECT_THROW((void)l.run_once(0s), error);
    EXPECT_EQ(alive, 2);
  }
  EXPECT_EQ(alive, 0);
}

// --- tasks ---

TEST(loop, runs_a_task_and_returns_what_it_returned_or_threw) {
  loop l(lane());
  EXPECT_EQ(l.run([]() -> task<int> { co_return 7; }).value(), 7);
  const auto add = [](int a, int b) -> task<int> {
    co_await yield();
    co_return a + b;
  };
  EXPECT_EQ(l.run(add, 1, 2).value(), 3);
  EXPECT_EQ(l.run(add(3, 4)).value(), 7);
  EXPECT_EQ(
      *l.run([]() -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(8); }).value(),
      8);
  const auto fail = []() -> task<> {
    co_await yield();
    throw std::runtime_error("main");
  };
  EXPECT_THROW((void)l.run(fail), std::runtime_error);
  EXPECT_TRUE(l.run(test::yield_once).has_value());
}

TEST(loop, its_tasks_run_on_its_thread_between_its_calls) {
  loop l(lane());
  const auto here = std::this_thread::get_id();
  std::string log;
  EXPECT_TRUE(l.run([&](scope& s) -> task<> {
                 auto child = [&](char c) -> task<> {
                   EXPECT_EQ(std::this_thread::get_id(), here);
                   log += c;
                   co_return;
                 };
                 (void)s.spawn(child, 'a');
                 (void)s.spawn(child, 'b');
                 co_await sleep_for(0s);
                 log += 'c';
                 bool called = false;
                 l.post([&] { called = true; });
                 while (!called) co_await yield();
                 EXPECT_EQ(this_core::count(), 1u);
               }).has_value());
  EXPECT_EQ(log, "abc") << "sleeping for no time goes to the back of the queue";
}

TEST(loop, sleeps_of_its_tasks_take_their_time) {
  virtual_time time;
  loop l(loop_like(time.options()));
  EXPECT_TRUE(l.run([]() -> task<> { co_await sleep_for(5h); }).has_value());
  EXPECT_EQ(time.elapsed(), 5h);
}

TEST(loop, its_tasks_make_blocking_calls) {
  loop l(lane());
  const auto ask = []() -> task<int> {
    const int n = co_await offload([] { return 5; });
    co_return n;
  };
  EXPECT_EQ(l.run(ask).value(), 5);
}

TEST(loop, has_one_thread_for_blocking_calls_at_least) {
  loop_options o = lane();
  o.offload_threads = 0;
  loop l(o);
  const auto ask = []() -> task<int> {
    const int n = co_await offload([] { return 5; });
    co_return n;
  };
  EXPECT_EQ(l.run(ask).value(), 5);
}

TEST(loop, stop_cancels_the_task_that_is_run) {
  loop l(lane());
  l.post([&] { l.stop(); });
  std::string log;
  const outcome<void> o = l.run([&]() -> task<> {
    const test::noted end(log, "ended");
    co_await test::forever();
  });
  EXPECT_TRUE(o.stopped());
  EXPECT_EQ(log, "ended ");
  EXPECT_TRUE(l.run(test::yield_once).has_value()) << "the stop was for that one";
  l.stop();
  EXPECT_FALSE(l.run_once(0s));
  EXPECT_TRUE(l.run(test::yield_once).has_value()) << "the stop was for that one";
}

TEST(loop, what_a_call_throws_cancels_the_task_that_is_run) {
  loop l(lane());
  std::string log;
  const auto main = [&]() -> task<> {
    const test::noted end(log, "ended");
    co_await test::forever();
  };
  l.post([] { throw std::runtime_error("call"); });
  l.post([] { throw std::runtime_error("another"); });
  EXPECT_THROW((void)l.run(main), std::runtime_error);
  EXPECT_EQ(log, "ended ");
  EXPECT_THROW((void)l.run(main), std::runtime_error);
  EXPECT_EQ(log, "ended ") << "it was not begun";
  EXPECT_TRUE(l.run(test::yield_once).has_value());
}

TEST(loop, what_a_call_throws_beside_the_end_of_the_task_leaves_the_next_run) {
  loop l(lane());
  const auto main = [&]() -> task<int> {
    l.post([] { throw std::runtime_error("call"); });
    co_await yield();  // in its turn the call is made
    co_return 7;
  };
  EXPECT_EQ(l.run(main).value(), 7);
  EXPECT_THROW((void)l.run_once(0s), std::runtime_error);
  EXPECT_FALSE(l.run_once(0s));
}

TEST(loop, runs_until_a_future_has_its_value) {
  loop l(lane());
  promise<int> p;
  future<int> f = p.get_future();
  l.after(1ms, [&] { p.set_value(7); });
  EXPECT_EQ(l.run_until(std::move(f)), 7);
  promise<> thrown;
  future<> g = thrown.get_future();
  l.post([&] { thrown.set_exception(std::make_exception_ptr(1)); });
  EXPECT_THROW(l.run_until(std::move(g)), int);
}

TEST(loop, runs_until_another_thread_sets_the_promise) {
  if (test::on_sim()) GTEST_SKIP() << "there no other thread may post";
  loop l(lane());
  for (int round = 0; round < 200; ++round) {
    std::jthread other;
    promise<int> p;
    future<int> f = p.get_future();
    other = std::jthread([p = std::move(p), round]() mutable { p.set_value(round); });
    EXPECT_EQ(l.run_until(std::move(f)), round);
  }
}

TEST(loop, stop_ends_a_wait_for_a_future_as_cancelled) {
  loop l(lane());
  promise<int> never;
  l.stop();
  try {
    (void)l.run_until(never.get_future());
    ADD_FAILURE() << "a value that nobody set";
  } catch (const std::system_error& e) {
    EXPECT_EQ(e.code(), errc::cancelled);
  }
}

// --- tasks of its own ---

TEST(loop, a_task_that_was_submitted_goes_on_whenever_it_is_run) {
  virtual_time time;
  loop l(loop_like(time.options()));
  std::string log;
  const auto main = [&](std::string name) -> task<std::string> {
    log += 'a';
    co_await yield();
    log += 'b';
    co_await sleep_for(1h);
    log += 'c';
    co_return name + "!";
  };
  future<std::string> f = l.submit(main, std::string("hello"));
  EXPECT_EQ(log, "") << "not before it runs";
  drain(l);
  EXPECT_EQ(log, "ab");
  EXPECT_FALSE(f.ready());
  EXPECT_TRUE(l.run_once(2h));
  EXPECT_EQ(time.elapsed(), 1h);
  EXPECT_EQ(log, "abc");
  EXPECT_EQ(f.take(), "hello!");
}

TEST(loop, a_submitted_task_is_gone_when_others_hear_of_its_end) {
  loop l(lane());
  int alive = 0;
  int alive_then = -1;
  const auto main = [](test::counted) -> task<> { co_return; };
  l.submit(main, test::counted(alive)).then([&](outcome<void>) { alive_then = alive; });
  EXPECT_EQ(alive, 1);
  drain(l);
  EXPECT_EQ(alive_then, 0);
}

TEST(loop, a_call_may_submit_a_task_and_a_task_another_one) {
  loop l(lane());
  promise<int> p;
  future<int> f = p.get_future();
  l.post([&] {
    const auto outer = [&](scope&) -> task<> {
      const auto inner = []() -> task<int> { co_return 5; };
      future<int> five = l.submit(inner);
      p.set_value(co_await std::move(five));
    };
    (void)l.submit(outer);
  });
  EXPECT_EQ(l.run_until(std::move(f)), 5);
}

TEST(loop, tells_the_future_what_a_submitted_task_throws_and_nobody_else) {
  loop l(lane());
  future<> f = l.submit([]() -> task<> {
    co_await yield();
    throw std::runtime_error("task");
  });
  drain(l);
  EXPECT_THROW(f.take(), std::runtime_error);
}

TEST(loop, another_thread_submits_a_task_and_waits_for_it) {
  if (test::on_sim()) GTEST_SKIP() << "there no other thread may post";
  loop l(lane());
  const auto here = std::this_thread::get_id();
  const auto where = [here]() -> task<bool> {
    co_await yield();
    co_return std::this_thread::get_id() == here;
  };
  std::jthread other([&] {
    for (int i = 0; i < 200; ++i) EXPECT_TRUE(l.submit(where).get());
    l.stop();
  });
  l.run();
}

TEST(loop, cancels_and_awaits_its_tasks_when_it_goes) {
  std::string log;
  std::optional<future<>> waiting;
  std::optional<future<>> not_begun;
  const auto error_of = [](future<>& f) {
    try {
      f.take();
    } catch (const std::system_error& e) {
      return e.code();
    }
    return std::error_code();
  };
  {
    loop l(lane());
    const auto main = [&]() -> task<> {
      const test::noted end(log, "ended");
      (void)co_await as_result(test::forever());
      auto clean_up = shield(1h, sleep_for(1ms));
      (void)co_await std::move(clean_up);
      log += "clean ";
    };
    waiting = l.submit(main);
    drain(l);
    not_begun = l.submit(main);
  }
  EXPECT_EQ(log, "clean ended ");
  EXPECT_EQ(error_of(*waiting), std::error_code());
  EXPECT_EQ(error_of(*not_begun), errc::broken_promise);
  {
    loop l(lane());
    waiting = l.submit(test::forever);
    drain(l);
  }
  EXPECT_EQ(error_of(*waiting), errc::cancelled);
}

TEST(loop, cancels_all_its_tasks_when_it_goes) {
  std::string log;
  {
    loop l(lane());
    for (int i = 0; i < 3; ++i) {
      (void)l.submit([&]() -> task<> {
        const test::noted end(log, "ended");
        co_await test::forever();
      });
    }
    drain(l);
    EXPECT_EQ(log, "");
  }
  EXPECT_EQ(log, "ended ended ended ");
}

// --- what it cannot do ---

TEST(loop, that_nothing_can_wake_is_a_failure_of_the_simulation) {
  virtual_time time;
  loop l(loop_like(time.options()));
  std::string log;
  EXPECT_THROW(l.run(), sim::failure);
  EXPECT_THROW((void)l.run([&]() -> task<> {
    const test::noted end(log, "ended");
    co_await test::forever();
  }),
               sim::failure);
  EXPECT_EQ(log, "ended ");
}

TEST(loop, that_is_run_inside_itself_or_in_a_task_aborts_with_advice) {
  EXPECT_DEATH(
      {
        loop l(lane());
        l.post([&] { (void)l.run_once(0s); });
        l.run();
      },
      "run, or made, inside a task or a call(.|\n)*co_await the task");
  EXPECT_DEATH(test::run([]() -> task<> {
                 const loop l(lane());
                 co_return;
               }),
               "run, or made, inside a task");
}

TEST(loop, that_is_run_on_another_thread_aborts_with_advice) {
  EXPECT_DEATH(
      {
        loop l(lane());
        std::jthread([&] { l.run(); }).join();
      },
      "on another thread than the one that made it(.|\n)*others may post");
}

TEST(loop, whose_driver_cannot_be_made_throws_and_leaves_the_thread_as_it_was) {
  loop_options o;
  o.driver = [](unsigned) -> std::unique_ptr<driver> { throw std::runtime_error("no driver"); };
  EXPECT_THROW(const loop l(o), std::runtime_error);
  loop l(lane());
  EXPECT_FALSE(l.run_once(0s));
}

}  // namespace
}  // namespace corespun
