#include <corespun/runtime/affinity.hpp>
#include <corespun/runtime/as_result.hpp>
#include <corespun/runtime/async_coroutine.hpp>
#include <corespun/runtime/channel.hpp>
#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/event.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/sleep.hpp>
#include <corespun/runtime/this_core.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/run.hpp"
#include "tests/support/tasks.hpp"

namespace corespun {
namespace {

using namespace std::chrono_literals;
using test::run;
using state = coroutine_state;

async_generator<int> yields_between(int count) {
  for (int i = 0; i < count; ++i) {
    co_await yield();
    co_yield i;
  }
}

/// Awaits a step that throws before anything runs.
template <typename E, typename Step>
bool throws_at_once(Step step) {
  try {
    (void)step.await_ready();
  } catch (const E&) {
    return true;
  }
  return false;
}

TEST(async_generator, gives_elements_between_which_it_awaits) {
  run([](scope&) -> task<> {
    auto g = yields_between(3);
    EXPECT_EQ(g.state(), state::created);
    std::vector<int> all;
    while (true) {
      const int* const e = co_await g.next();
      if (e == nullptr) break;
      all.push_back(*e);
    }
    EXPECT_EQ(all, (std::vector<int>{0, 1, 2}));
    EXPECT_EQ(g.state(), state::closed);
    EXPECT_EQ(co_await g.next(), nullptr);
  });
}

async_generator<std::unique_ptr<std::string>> boxes() {
  co_yield std::make_unique<std::string>("a");
  co_await yield();
  co_yield std::make_unique<std::string>("b");
}

TEST(async_generator, for_each_calls_and_awaits) {
  run([](scope&) -> task<> {
    std::string all;
    auto append = [&](std::unique_ptr<std::string>&& s) { all += *s; };
    auto appending = for_each(boxes(), append);
    co_await std::move(appending);
    auto append_later = [&](std::unique_ptr<std::string> s) -> task<> {
      co_await yield();
      all += *s;
    };
    auto later = for_each(boxes(), append_later);
    co_await std::move(later);
    EXPECT_EQ(all, "abab");
  });
}

struct marks {
  std::string& log;
  char mark;
  marks(std::string& l, char m) : log(l), mark(m) {}
  marks(const marks&) = delete;
  marks& operator=(const marks&) = delete;
  ~marks() { log += mark; }
};

async_generator<int> marked(std::string& log) {
  const marks here(log, 'g');
  for (int i = 0;; ++i) {
    co_await yield();
    co_yield i;
  }
}

TEST(async_generator, an_early_break_runs_its_destructors) {
  run([](scope&) -> task<> {
    std::string log;
    {
      auto g = marked(log);
      (void)co_await g.next();
      (void)co_await g.next();
      EXPECT_EQ(log, "");
    }
    EXPECT_EQ(log, "g");
    auto never_asked = marked(log);
    never_asked.close();
    EXPECT_EQ(log, "g");
  });
}

async_generator<int> waits(event& e, std::string& log) {
  const marks here(log, 'g');
  co_yield 1;
  co_await e.wait();
  co_yield 2;
}

task<> asks_for_all(async_generator<int>& g, std::string& log) {
  const marks here(log, 't');
  while (true) {
    const int* const element = co_await g.next();
    if (element == nullptr) co_return;
    log += '1';
  }
}

TEST(async_generator, a_cancel_destroys_it_before_the_task_that_asks) {
  run([](scope& s) -> task<> {
    event never;
    std::string log;
    auto g = waits(never, log);
    auto t = s.spawn(asks_for_all, std::ref(g), std::ref(log));
    co_await test::let_others_run();
    EXPECT_EQ(g.state(), state::running);
    t.cancel();
    (void)co_await t.join();
    EXPECT_EQ(log, "1gt");
    EXPECT_EQ(g.state(), state::closed);
    EXPECT_TRUE(throws_at_once<std::system_error>(g.next())) << "that was not the end";
    auto moved = std::move(g);
    EXPECT_TRUE(throws_at_once<std::system_error>(moved.next()));
    moved.close();
    EXPECT_EQ(co_await moved.next(), nullptr);
  });
}

TEST(async_generator, a_timeout_of_a_step_ends_it_and_the_task_goes_on) {
  run([](scope&) -> task<> {
    event never;
    std::string log;
    auto g = waits(never, log);
    EXPECT_EQ(*co_await g.next(), 1);
    auto limited = with_timeout(1ms, g.next());
    const auto step = co_await std::move(limited);
    EXPECT_FALSE(step.has_value());
    EXPECT_EQ(log, "g");
    EXPECT_TRUE(throws_at_once<std::system_error>(g.next())) << "that was not the end";
    auto other = yields_between(1);
    other = std::move(g);
    EXPECT_TRUE(throws_at_once<std::system_error>(other.next()));
  });
}

TEST(async_generator, assigned_to_ends_what_it_was_before) {
  run([](scope&) -> task<> {
    std::string log;
    auto g = marked(log);
    (void)co_await g.next();
    g = yields_between(1);
    EXPECT_EQ(log, "g");
    EXPECT_EQ(*co_await g.next(), 0);
  });
}

TEST(async_coroutine_death, destroyed_while_a_task_waits_for_it_says_so) {
  EXPECT_DEATH(run([](scope& s) -> task<> {
                 event never;
                 std::string log;
                 std::optional<async_generator<int>> g = waits(never, log);
                 (void)co_await g->next();
                 auto t = s.spawn(asks_for_all, std::ref(*g), std::ref(log));
                 co_await test::let_others_run();
                 g.reset();
               }),
               "destroyed while a task waits");
}

TEST(async_coroutine_death, moved_while_a_task_waits_for_it_says_so) {
  EXPECT_DEATH(run([](scope& s) -> task<> {
                 event never;
                 std::string log;
                 auto g = waits(never, log);
                 (void)co_await g.next();
                 auto t = s.spawn(asks_for_all, std::ref(g), std::ref(log));
                 co_await test::let_others_run();
                 auto moved = std::move(g);
               }),
               "moved while a task waits");
}

struct asks_at_its_end {
  async_generator<int>*& self;
  state& seen;
  asks_at_its_end(async_generator<int>*& s, state& at) : self(s), seen(at) {}
  asks_at_its_end(const asks_at_its_end&) = delete;
  asks_at_its_end& operator=(const asks_at_its_end&) = delete;
  ~asks_at_its_end() { seen = self->state(); }
};
async_generator<int> holds(async_generator<int>*& self, state& seen) {
  const asks_at_its_end held(self, seen);
  co_yield 1;
}

TEST(async_coroutine, runs_to_what_it_holds_while_it_is_closed) {
  run([](scope&) -> task<> {
    async_generator<int>* self = nullptr;
    state seen = state::closed;
    auto g = holds(self, seen);
    self = &g;
    (void)co_await g.next();
    g.close();
    EXPECT_EQ(seen, state::running);
  });
}

async_generator<int> throws_after(int elements) {
  for (int i = 0; i < elements; ++i) co_yield i;
  co_await yield();
  throw std::runtime_error("out of elements");
}

TEST(async_generator, what_it_throws_reaches_who_asks_once) {
  run([](scope&) -> task<> {
    auto g = throws_after(1);
    EXPECT_EQ(*co_await g.next(), 0);
    bool thrown = false;
    try {
      (void)co_await g.next();
    } catch (const std::runtime_error&) {
      thrown = true;
    }
    EXPECT_TRUE(thrown);
    EXPECT_EQ(co_await g.next(), nullptr);
    EXPECT_THROW(g.result(), std::logic_error);
  });
}

async_coroutine<int, int, std::string> sums() {
  int sum = 0;
  while (sum < 10) {
    const int more = co_yield sum;
    co_await yield();
    sum += more;
  }
  co_return std::to_string(sum);
}

TEST(async_coroutine, gives_and_takes_until_it_returns) {
  run([](scope&) -> task<> {
    auto c = sums();
    EXPECT_TRUE(throws_at_once<std::logic_error>(c.send(1)));
    EXPECT_EQ(*co_await c.next(), 0);
    EXPECT_TRUE(throws_at_once<std::logic_error>(c.next()));
    EXPECT_THROW((void)c.result(), std::logic_error);
    EXPECT_EQ(*co_await c.send(4), 4);
    EXPECT_EQ(co_await c.send(6), nullptr);
    EXPECT_EQ(c.result(), "10");
    EXPECT_EQ(co_await c.send(1), nullptr);
  });
}

TEST(async_coroutine, closed_after_it_has_returned_keeps_its_result) {
  run([](scope&) -> task<> {
    auto c = sums();
    (void)co_await c.next();
    (void)co_await c.send(10);
    c.close();
    EXPECT_EQ(c.result(), "10");
  });
}

TEST(async_coroutine, closed_half_way_has_no_result) {
  run([](scope&) -> task<> {
    auto c = sums();
    (void)co_await c.next();
    c.close();
    EXPECT_THROW((void)c.result(), std::logic_error);
  });
}

TEST(async_coroutine, to_throw_in_no_exception_is_an_error_and_changes_nothing) {
  run([](scope&) -> task<> {
    auto c = sums();
    (void)co_await c.next();
    EXPECT_TRUE(throws_at_once<std::logic_error>(c.throw_in(nullptr)));
    EXPECT_EQ(*co_await c.send(4), 4);
  });
}

async_coroutine<int, int> catches(std::string& caught) {
  while (true) {
    try {
      co_yield 1;
      continue;
    } catch (const std::runtime_error& e) {
      caught = e.what();
    }
    co_await yield();
    co_yield 2;
  }
}

TEST(async_coroutine, may_catch_what_is_thrown_in_and_go_on) {
  run([](scope&) -> task<> {
    std::string caught;
    auto c = catches(caught);
    EXPECT_EQ(*co_await c.next(), 1);
    EXPECT_EQ(*co_await c.throw_in(std::runtime_error("here")), 2);
    EXPECT_EQ(caught, "here");
    auto early = catches(caught);
    EXPECT_TRUE(throws_at_once<int>(early.throw_in(1)));
    EXPECT_EQ(early.state(), state::closed);
  });
}

task<> asks_once(async_generator<int>& g) { (void)co_await g.next(); }

TEST(async_coroutine, asked_while_another_task_waits_for_it_says_so) {
  run([](scope& s) -> task<> {
    event e;
    std::string log;
    auto g = waits(e, log);
    (void)co_await g.next();
    auto t = s.spawn(asks_once, std::ref(g));
    co_await test::let_others_run();
    EXPECT_TRUE(throws_at_once<std::logic_error>(g.next()));
    EXPECT_THROW(g.close(), std::logic_error);
    e.open();
    (void)co_await t.join();
    EXPECT_EQ(co_await g.next(), nullptr);
  });
}

TEST(async_coroutine, two_steps_at_once_are_an_error_of_the_second) {
  run([](scope& s) -> task<> {
    event e;
    std::string log;
    auto g = waits(e, log);
    (void)co_await g.next();
    auto first = g.next();
    auto second = g.next();
    auto asks_first = [&]() -> task<> { (void)co_await std::move(first); };
    auto t = s.spawn(asks_first);
    co_await test::let_others_run();
    bool refused = false;
    try {
      (void)co_await std::move(second);
    } catch (const std::logic_error&) {
      refused = true;
    }
    EXPECT_TRUE(refused);
    e.open();
    (void)co_await t.join();
  });
}

TEST(async_coroutine, what_was_to_be_thrown_in_goes_with_the_step_that_is_dropped) {
  run([](scope&) -> task<> {
    auto g = yields_between(2);
    (void)co_await g.next();
    {
      auto dropped = g.throw_in(5);
    }
    EXPECT_EQ(*co_await g.next(), 1);
  });
}

TEST(async_coroutine, a_thrown_one_has_no_result_wherever_it_is_moved) {
  run([](scope&) -> task<> {
    auto g = throws_after(0);
    bool thrown = false;
    try {
      (void)co_await g.next();
    } catch (const std::runtime_error&) {
      thrown = true;
    }
    EXPECT_TRUE(thrown);
    auto moved = std::move(g);
    EXPECT_THROW(moved.result(), std::logic_error);
  });
}

TEST(async_coroutine, its_result_stays_when_something_is_thrown_in_late) {
  run([](scope&) -> task<> {
    auto c = sums();
    (void)co_await c.next();
    (void)co_await c.send(10);
    EXPECT_TRUE(throws_at_once<int>(c.throw_in(1)));
    EXPECT_EQ(c.result(), "10");
  });
}

async_coroutine<int> passes_on(async_coroutine<int> to) { co_await delegate(std::move(to)); }

TEST(async_coroutine, delegates_to_one_that_has_begun_and_delegates_itself) {
  run([](scope&) -> task<> {
    auto three = yields_between(3);
    auto inner = passes_on(std::move(three));
    EXPECT_EQ(*co_await inner.next(), 0);
    auto outer = passes_on(std::move(inner));
    EXPECT_EQ(*co_await outer.next(), 1);
    EXPECT_EQ(*co_await outer.next(), 2);
    EXPECT_EQ(co_await outer.next(), nullptr);
    auto ended = passes_on(std::move(outer));
    EXPECT_EQ(co_await ended.next(), nullptr);
  });
}

async_coroutine<int, int, int> sum_of_two(std::string& log) {
  const marks end(log, 'i');
  const int a = co_yield 1;
  co_await yield();
  const int b = co_yield 2;
  co_return a + b;
}

async_coroutine<int, int, std::string> delegates(std::string& log) {
  const marks end(log, 'o');
  auto inner = sum_of_two(log);
  const int sum = co_await delegate(std::move(inner));
  log += 's';
  co_await yield();
  const int more = co_yield sum;
  co_return std::to_string(sum + more);
}

TEST(async_coroutine, delegate_passes_all_through_and_gives_the_result) {
  run([](scope&) -> task<> {
    std::string log;
    auto c = delegates(log);
    EXPECT_EQ(*co_await c.next(), 1);
    EXPECT_EQ(*co_await c.send(10), 2);
    EXPECT_EQ(*co_await c.send(20), 30);
    EXPECT_EQ(log, "is");
    EXPECT_EQ(co_await c.send(5), nullptr);
    EXPECT_EQ(c.result(), "35");
    log.clear();
    auto closed = delegates(log);
    (void)co_await closed.next();
    closed.close();
    EXPECT_EQ(log, "io");
  });
}

TEST(async_coroutine, what_an_inner_one_throws_is_thrown_by_delegate) {
  run([](scope&) -> task<> {
    auto c = passes_on(throws_after(1));
    EXPECT_EQ(*co_await c.next(), 0);
    std::string what;
    try {
      (void)co_await c.next();
    } catch (const std::runtime_error& e) {
      what = e.what();
    }
    EXPECT_EQ(what, "out of elements");
  });
}

async_coroutine<int, int, int> passes_result_on(async_coroutine<int, int, int> to) {
  const int result = co_await delegate(std::move(to));
  co_return result;
}

TEST(async_coroutine, delegate_to_one_that_has_ended_is_its_result_at_once) {
  run([](scope&) -> task<> {
    std::string log;
    auto ended = sum_of_two(log);
    (void)co_await ended.next();
    (void)co_await ended.send(1);
    (void)co_await ended.send(2);
    auto c = passes_result_on(std::move(ended));
    EXPECT_EQ(co_await c.next(), nullptr);
    EXPECT_EQ(c.result(), 3);
  });
}

/// What the first step throws.
template <typename C>
task<std::string> error_of_first_step(C c) {
  std::string what;
  try {
    (void)co_await c.next();
  } catch (const std::exception& e) {
    what = e.what();
  }
  co_return what;
}

TEST(async_coroutine, delegate_to_one_that_was_closed_waits_for_a_value_or_has_thrown_is_an_error) {
  run([](scope&) -> task<> {
    std::string log;
    auto closed = sum_of_two(log);
    closed.close();
    auto first = error_of_first_step(passes_result_on(std::move(closed)));
    const std::string of_closed = co_await std::move(first);
    EXPECT_NE(of_closed.find("was closed"), std::string::npos) << of_closed;
    auto begun = sum_of_two(log);
    (void)co_await begun.next();
    auto second = error_of_first_step(passes_result_on(std::move(begun)));
    const std::string of_begun = co_await std::move(second);
    EXPECT_NE(of_begun.find("has started"), std::string::npos) << of_begun;
    auto has_thrown = throws_after(0);
    try {
      (void)co_await has_thrown.next();
    } catch (const std::runtime_error&) {
      log += 't';
    }
    auto third = error_of_first_step(passes_on(std::move(has_thrown)));
    const std::string of_thrown = co_await std::move(third);
    EXPECT_NE(of_thrown.find("has returned nothing"), std::string::npos) << of_thrown;
  });
}

async_coroutine<int, int> outer_catches(std::string& log) {
  int caught = 0;
  try {
    auto inner = sum_of_two(log);
    (void)co_await delegate(std::move(inner));
  } catch (int n) {
    log += 'c';
    caught = n;
  }
  co_yield caught;
}

TEST(async_coroutine, what_is_thrown_in_reaches_the_innermost_first) {
  run([](scope&) -> task<> {
    std::string log;
    auto c = outer_catches(log);
    (void)co_await c.next();
    EXPECT_EQ(*co_await c.throw_in(7), 7);
    EXPECT_EQ(log, "ic");
  });
}

async_generator<int> two_after(async_generator<int> inner) {
  co_await delegate(std::move(inner));
  co_await yield();
  co_yield 10;
  co_yield 11;
}

TEST(async_coroutine, one_that_had_begun_and_delegated_goes_on_inside_of_another_one) {
  run([](scope&) -> task<> {
    auto begun = two_after(yields_between(2));
    (void)co_await begun.next();
    auto outer = passes_on(std::move(begun));
    EXPECT_EQ(*co_await outer.next(), 1);
    EXPECT_EQ(*co_await outer.next(), 10);
    EXPECT_EQ(*co_await outer.next(), 11);
    EXPECT_EQ(co_await outer.next(), nullptr);
  });
}

async_coroutine<int> waits_inside(event& e, std::string& log) {
  const marks end(log, 'o');
  auto inner = waits(e, log);
  co_await delegate(std::move(inner));
}

TEST(async_coroutine, a_cancel_inside_of_a_delegate_destroys_all_of_it) {
  run([](scope& s) -> task<> {
    event never;
    std::string log;
    auto c = waits_inside(never, log);
    EXPECT_EQ(*co_await c.next(), 1);
    auto t = s.spawn(asks_once, std::ref(c));
    co_await test::let_others_run();
    t.cancel();
    (void)co_await t.join();
    EXPECT_EQ(log, "go");
    EXPECT_EQ(c.state(), state::closed);
  });
}

async_coroutine<int, void, int> nested(int depth) {
  if (depth == 0) {
    co_yield 0;
    co_await yield();
    co_return 1;
  }
  auto inner = nested(depth - 1);
  const int result = co_await delegate(std::move(inner));
  co_return result + 1;
}

TEST(async_coroutine, delegates_deep) {
  run([](scope&) -> task<> {
    constexpr int depth = 100'000;
    auto c = nested(depth);
    EXPECT_EQ(*co_await c.next(), 0);
    EXPECT_EQ(co_await c.next(), nullptr);
    EXPECT_EQ(c.result(), depth + 1);
    auto closed = nested(depth);
    (void)co_await closed.next();
  });
}

/// Asked from tasks of different cores, one after the other, what it awaits belongs to who asks.
async_generator<unsigned> tells_its_core() {
  while (true) {
    co_await yield();
    co_yield this_core::index();
  }
}

async_generator<unsigned> tells_from_inside() { co_await delegate(tells_its_core()); }

task<> asks_here(async_generator<unsigned>& g, unsigned& core) {
  const unsigned* const told = co_await g.next();
  core = *told;
}

TEST(async_generator, runs_as_a_part_of_the_task_that_asks) {
  test::run_on(2, [](scope& s) -> task<> {
    auto g = tells_from_inside();
    for (unsigned i = 0; i < 6; ++i) {
      unsigned core = 7;
      auto t = s.spawn_on(i % 2, asks_here, std::ref(g), std::ref(core));
      (void)co_await t.join();
      EXPECT_EQ(core, i % 2);
    }
  });
}

async_generator<unsigned> one_element() { co_yield 0; }
/// Its elements but the first one tell the core.
async_generator<unsigned> tells_after_inside() {
  co_await delegate(one_element());
  co_await yield();
  co_yield this_core::index();
}
async_generator<unsigned> around_tells_after_inside() { co_await delegate(tells_after_inside()); }

TEST(async_generator, whatever_stands_around_is_a_part_of_the_task_that_asked_last) {
  test::run_on(2, [](scope& s) -> task<> {
    auto g = around_tells_after_inside();
    unsigned core = 7;
    auto first = s.spawn_on(0, asks_here, std::ref(g), std::ref(core));
    (void)co_await first.join();
    auto second = s.spawn_on(1, asks_here, std::ref(g), std::ref(core));
    (void)co_await second.join();
    EXPECT_EQ(core, 1u);
  });
}

async_coroutine<void, std::string> collects(std::vector<std::string>& into) {
  while (true) {
    std::string s = co_yield {};
    co_await yield();
    into.push_back(std::move(s));
  }
}

TEST(async_coroutine, that_only_takes_tells_whether_it_goes_on) {
  run([](scope&) -> task<> {
    std::vector<std::string> words;
    auto c = collects(words);
    EXPECT_TRUE(co_await c.next());
    EXPECT_TRUE(co_await c.send("one"));
    EXPECT_TRUE(co_await c.send("two"));
    c.close();
    EXPECT_FALSE(co_await c.send("three"));
    EXPECT_EQ(words, (std::vector<std::string>{"one", "two"}));
  });
}

}  // namespace
}  // namespace corespun
