#include <corespun/runtime/coroutine.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/sanitizers.hpp"

namespace corespun::test {
namespace {

using state = coroutine_state;

coroutine<double, double, int> average() {
  double sum = 0;
  int count = 0;
  for (double x = co_yield 0; x >= 0; x = co_yield sum / count) {
    sum += x;
    ++count;
  }
  co_return count;
}

TEST(coroutine, gives_and_takes_until_it_returns) {
  auto c = average();
  EXPECT_EQ(c.state(), state::created);
  EXPECT_EQ(*c.next(), 0);
  EXPECT_EQ(c.state(), state::suspended);
  EXPECT_EQ(*c.send(4), 4);
  EXPECT_EQ(*c.send(8), 6);
  EXPECT_EQ(c.send(-1), nullptr);
  EXPECT_EQ(c.state(), state::closed);
  EXPECT_EQ(c.result(), 2);
}

coroutine<void, std::string> collect(std::vector<std::string>& into) {
  while (true) into.push_back(co_yield {});
}

TEST(coroutine, that_only_takes_tells_whether_it_goes_on) {
  std::vector<std::string> words;
  auto c = collect(words);
  EXPECT_TRUE(c.next());
  EXPECT_TRUE(c.send("one"));
  EXPECT_TRUE(c.send("two"));
  c.close();
  EXPECT_FALSE(c.send("three"));
  EXPECT_EQ(words, (std::vector<std::string>{"one", "two"}));
}

TEST(coroutine, started_waits_for_its_first_value) {
  auto c = started(average());
  EXPECT_STREQ(name_of(c.state()), "suspended");
  EXPECT_EQ(*c.send(4), 4);
}

coroutine<void, const std::string&> lengths(std::vector<std::size_t>& into) {
  while (true) {
    const std::string& s = co_yield {};
    into.push_back(s.size());
  }
}

TEST(coroutine, takes_references_without_copies) {
  std::vector<std::size_t> all;
  const std::string s = "seven s";
  auto c = started(lengths(all));
  EXPECT_TRUE(c.send(s));
  EXPECT_TRUE(c.send("three"));
  EXPECT_EQ(all, (std::vector<std::size_t>{7, 5}));
}

template <typename Fn>
std::string logic_error_of(Fn fn) {
  try {
    fn();
  } catch (const std::logic_error& e) {
    return e.what();
  }
  return "nothing thrown";
}

TEST(coroutine, a_value_for_one_that_has_not_started_is_an_error_that_says_so) {
  auto c = average();
  EXPECT_NE(logic_error_of([&] { (void)c.send(1); }).find("has not started"), std::string::npos);
  EXPECT_EQ(c.state(), state::created);
  EXPECT_EQ(*c.next(), 0);
  EXPECT_EQ(*c.send(1), 1);
}

TEST(coroutine, next_of_one_that_waits_for_a_value_is_an_error_that_says_so) {
  auto c = average();
  (void)c.next();
  EXPECT_NE(logic_error_of([&] { (void)c.next(); }).find("waits for a value"), std::string::npos);
  EXPECT_EQ(*c.send(1), 1);
}

coroutine<int> asks_itself(coroutine<int>*& self, std::string& error, state& seen) {
  seen = self->state();
  error = logic_error_of([&] { (void)self->next(); });
  co_yield 1;
}

TEST(coroutine, one_that_asks_itself_is_told_so) {
  coroutine<int>* self = nullptr;
  std::string error;
  state seen = state::closed;
  auto c = asks_itself(self, error, seen);
  self = &c;
  EXPECT_EQ(*c.next(), 1);
  EXPECT_EQ(seen, state::running);
  EXPECT_NE(error.find("that runs"), std::string::npos);
}

TEST(coroutine, that_has_ended_stays_so) {
  auto c = average();
  (void)c.next();
  EXPECT_EQ(c.send(-1), nullptr);
  EXPECT_EQ(c.next(), nullptr);
  EXPECT_EQ(c.send(1), nullptr);
  EXPECT_THROW((void)c.throw_in(std::runtime_error("late")), std::runtime_error);
  EXPECT_EQ(c.state(), state::closed);
}

TEST(coroutine, closed_after_it_has_returned_keeps_its_result) {
  auto c = average();
  (void)c.next();
  (void)c.send(-1);
  c.close();
  EXPECT_EQ(c.result(), 0);
}

TEST(coroutine, has_no_result_before_it_returns_nor_when_it_is_closed) {
  auto c = average();
  EXPECT_THROW((void)c.result(), std::logic_error);
  (void)c.next();
  EXPECT_THROW((void)c.result(), std::logic_error);
  c.close();
  EXPECT_THROW((void)c.result(), std::logic_error);
}

TEST(coroutine, to_throw_in_no_exception_is_an_error_and_changes_nothing) {
  auto c = average();
  (void)c.next();
  EXPECT_NE(logic_error_of([&] { (void)c.throw_in(nullptr); }).find("no exception"),
            std::string::npos);
  EXPECT_EQ(*c.send(4), 4);
}

coroutine<int> closes_itself(coroutine<int>*& self, std::string& error) {
  error = logic_error_of([&] { self->close(); });
  co_yield 1;
}

TEST(coroutine, cannot_close_itself) {
  coroutine<int>* self = nullptr;
  std::string error;
  auto c = closes_itself(self, error);
  self = &c;
  EXPECT_EQ(*c.next(), 1);
  EXPECT_NE(error.find("that runs"), std::string::npos);
}

coroutine<int> destroys_itself(std::unique_ptr<coroutine<int>>& self) {
  self.reset();
  co_yield 1;
}

TEST(coroutine_death, destroyed_by_what_it_runs_says_so) {
  std::unique_ptr<coroutine<int>> self;
  self = std::make_unique<coroutine<int>>(destroys_itself(self));
  EXPECT_DEATH((void)self->next(), "destroyed by what it runs itself");
}

coroutine<int, int> catches(std::string& caught) {
  while (true) {
    try {
      co_yield 1;
      continue;
    } catch (const std::runtime_error& e) {
      caught = e.what();
    }
    co_yield 2;
  }
}

TEST(coroutine, may_catch_what_is_thrown_in_and_go_on) {
  std::string caught;
  auto c = catches(caught);
  EXPECT_EQ(*c.next(), 1);
  EXPECT_EQ(*c.throw_in(std::runtime_error("here")), 2);
  EXPECT_EQ(caught, "here");
  EXPECT_EQ(*c.send(0), 1);
  EXPECT_THROW((void)c.throw_in(std::make_exception_ptr(3)), int);
  EXPECT_EQ(c.state(), state::closed);
  EXPECT_NE(logic_error_of([&] { c.result(); }).find("has thrown"), std::string::npos);
}

TEST(coroutine, thrown_into_before_it_has_started_ends) {
  std::string caught;
  auto c = catches(caught);
  EXPECT_THROW((void)c.throw_in(std::runtime_error("early")), std::runtime_error);
  EXPECT_EQ(c.state(), state::closed);
  EXPECT_EQ(caught, "");
}

struct marks {
  std::string& log;
  char mark;
  marks(std::string& l, char m) : log(l), mark(m) {}
  marks(const marks&) = delete;
  marks& operator=(const marks&) = delete;
  ~marks() { log += mark; }
};

coroutine<int, int> closes(std::string& log) {
  const marks before(log, 'b');
  const auto guard = co_await on_close([&] { log += 'c'; });
  const marks after(log, 'a');
  co_yield 1;
  log += 'r';
}

TEST(coroutine, closed_half_way_destroys_what_it_holds_and_calls_on_close) {
  std::string log;
  {
    auto c = closes(log);
    (void)c.next();
    c.close();
    EXPECT_EQ(log, "acb");
    c.close();
  }
  EXPECT_EQ(log, "acb");
  log.clear();
  {
    auto c = closes(log);
    (void)c.next();
  }
  EXPECT_EQ(log, "acb") << "destroyed";
}

TEST(coroutine, on_close_is_not_called_when_it_returns_or_throws) {
  std::string log;
  auto c = closes(log);
  (void)c.next();
  EXPECT_EQ(c.send(0), nullptr);
  EXPECT_EQ(log, "rab");
  log.clear();
  auto d = closes(log);
  (void)d.next();
  EXPECT_THROW((void)d.throw_in(1), int);
  EXPECT_EQ(log, "ab");
}

coroutine<int, int> never_returns(std::string& log) {
  const marks local(log, 'x');
  while (true) co_yield 1;
}

TEST(coroutine, that_never_returns_and_throws_destroys_its_locals_once) {
  std::string log;
  {
    auto c = never_returns(log);
    (void)c.next();
    EXPECT_THROW((void)c.throw_in(1), int);
    EXPECT_EQ(log, "x");
  }
  EXPECT_EQ(log, "x");
}

coroutine<int> cannot_yield_while_closed(coroutine<int>*& self, std::string& error, state& seen) {
  const auto guard = co_await on_close([&] {
    seen = self->state();
    error = logic_error_of([&] { (void)self->next(); });
  });
  while (true) co_yield 1;
}

TEST(coroutine, cannot_be_made_to_yield_while_it_is_closed) {
  coroutine<int>* self = nullptr;
  std::string error;
  state seen = state::closed;
  auto c = cannot_yield_while_closed(self, error, seen);
  self = &c;
  (void)c.next();
  c.close();
  EXPECT_EQ(seen, state::running);
  EXPECT_NE(error.find("that runs"), std::string::npos);
  EXPECT_EQ(c.state(), state::closed);
}

coroutine<int, int, int> sum_of_two(std::string& log) {
  const marks end(log, 'i');
  const int a = co_yield 1;
  const int b = co_yield 2;
  co_return a + b;
}

coroutine<int, int, std::string> delegates(std::string& log) {
  const marks end(log, 'o');
  auto inner = sum_of_two(log);
  const int sum = co_await delegate(std::move(inner));
  log += 's';
  const int more = co_yield sum;
  co_return std::to_string(sum + more);
}

TEST(coroutine, delegate_passes_all_through_and_gives_the_result) {
  std::string log;
  auto c = delegates(log);
  EXPECT_EQ(*c.next(), 1);
  EXPECT_EQ(*c.send(10), 2);
  EXPECT_EQ(*c.send(20), 30);
  EXPECT_EQ(log, "is");
  EXPECT_EQ(c.send(5), nullptr);
  EXPECT_EQ(c.result(), "35");
}

TEST(coroutine, closed_while_it_delegates_ends_from_the_innermost_outwards) {
  std::string log;
  auto c = delegates(log);
  (void)c.next();
  c.close();
  EXPECT_EQ(log, "io");
}

coroutine<int, int> outer_catches(std::string& log) {
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

TEST(coroutine, what_is_thrown_in_reaches_the_innermost_first) {
  std::string log;
  auto c = outer_catches(log);
  (void)c.next();
  EXPECT_EQ(*c.throw_in(7), 7);
  EXPECT_EQ(log, "ic");
  EXPECT_EQ(c.send(0), nullptr);
}

coroutine<int, int, int> nested(int depth) {
  if (depth == 0) co_return co_yield 0;
  auto inner = nested(depth - 1);
  const int result = co_await delegate(std::move(inner));
  co_return result + 1;
}

TEST(coroutine, delegates_a_million_deep) {
  constexpr int depth = 1'000'000;
  auto c = nested(depth);
  EXPECT_EQ(*c.next(), 0);
  EXPECT_EQ(c.send(1), nullptr);
  EXPECT_EQ(c.result(), depth + 1);
  auto thrown = nested(sanitized ? 1000 : 100'000);  // an exception takes its time at each
  (void)thrown.next();
  EXPECT_THROW((void)thrown.throw_in(1), int);
  auto closed = nested(depth);
  (void)closed.next();
}

TEST(coroutine, delegate_to_one_that_was_closed_or_waits_for_a_value_is_an_error) {
  std::string log;
  auto to = [](coroutine<int, int, int> inner) -> coroutine<int, int> {
    (void)co_await delegate(std::move(inner));
  };
  auto started = sum_of_two(log);
  (void)started.next();
  auto one = to(std::move(started));
  EXPECT_NE(logic_error_of([&] { (void)one.next(); }).find("has started"), std::string::npos);
  auto closed = sum_of_two(log);
  closed.close();
  auto two = to(std::move(closed));
  EXPECT_NE(logic_error_of([&] { (void)two.next(); }).find("was closed"), std::string::npos);
}

TEST(coroutine, delegate_to_one_that_has_ended_is_its_result_at_once) {
  std::string log;
  auto to = [](coroutine<int, int, int> inner) -> coroutine<int, int, int> {
    co_return co_await delegate(std::move(inner));
  };
  auto ended = sum_of_two(log);
  (void)ended.next();
  (void)ended.send(1);
  (void)ended.send(2);
  auto c = to(std::move(ended));
  EXPECT_EQ(c.next(), nullptr);
  EXPECT_EQ(c.result(), 3);
}

coroutine<int> delegates_to_itself(coroutine<int>*& self) { co_await delegate(std::move(*self)); }

TEST(coroutine_death, delegate_to_itself_says_so) {
  coroutine<int>* self = nullptr;
  auto c = delegates_to_itself(self);
  self = &c;
  EXPECT_DEATH((void)c.next(), "delegate.. to a coroutine that runs");
}

coroutine<std::unique_ptr<int>, std::unique_ptr<int>> doubles() {
  auto n = std::make_unique<int>(0);
  while (true) {
    n = co_yield std::move(n);
    *n *= 2;
  }
}

TEST(coroutine, values_may_be_move_only) {
  auto c = doubles();
  (void)c.next();
  const std::unique_ptr<int> four = std::move(*c.send(std::make_unique<int>(2)));
  EXPECT_EQ(*four, 4);
}

coroutine<const std::string&> by_reference(const std::string& s) { co_yield s; }

TEST(coroutine, references_are_not_copied) {
  const std::string s = "here";
  auto c = by_reference(s);
  EXPECT_EQ(c.next(), &s);
}

coroutine<std::string> yields_its_own() {
  const std::string kept = "a text that is too long to lie in the string";
  co_yield kept;
  std::string changed = kept;
  co_yield changed;
  changed += "!";
  co_yield std::move(changed);
}

TEST(coroutine, what_is_taken_from_a_yielded_variable_leaves_it_as_it_was) {
  auto c = yields_its_own();
  const std::string first = std::move(*c.next());
  EXPECT_EQ(std::move(*c.next()), first);
  EXPECT_EQ(*c.next(), first + "!");
  EXPECT_EQ(c.next(), nullptr);
}

TEST(coroutine, may_be_moved_while_it_stands) {
  auto c = average();
  (void)c.next();
  auto d = std::move(c);
  EXPECT_EQ(c.state(), state::closed);  // NOLINT: moved from
  EXPECT_EQ(*d.send(2), 2);
  c = std::move(d);
  EXPECT_EQ(*c.send(4), 3);
}

// --- transfer_to ---

struct pair_of {
  coroutine<>* producer = nullptr;
  coroutine<>* consumer = nullptr;
  std::vector<int> queue;
  std::string log;
};

coroutine<> produce(pair_of& p) {
  for (int i = 0; i < 4; ++i) {
    p.queue.push_back(i);
    p.log += 'p';
    if (p.queue.size() == 2) co_await transfer_to(*p.consumer);
  }
}

coroutine<> consume(pair_of& p) {
  while (true) {
    for (; !p.queue.empty(); p.queue.pop_back()) p.log += 'c';
    co_await transfer_to(*p.producer);
  }
}

TEST(coroutine, two_transfer_to_each_other_until_one_ends) {
  pair_of p;
  auto producer = produce(p);
  auto consumer = consume(p);
  p.producer = &producer;
  p.consumer = &consumer;
  EXPECT_FALSE(producer.next());
  EXPECT_EQ(p.log, "ppccppcc");
  EXPECT_EQ(producer.state(), state::closed);
  EXPECT_EQ(consumer.state(), state::suspended);
  EXPECT_NE(logic_error_of([&] { (void)consumer.next(); }).find("has ended"), std::string::npos);
}

coroutine<> bounces(coroutine<>*& other, long& left) {
  while (left-- > 0) co_await transfer_to(*other);
}

TEST(coroutine, transfers_a_million_times_without_a_stack) {
  long left = 1'000'000;
  coroutine<>* to_b = nullptr;
  coroutine<>* to_a = nullptr;
  auto a = bounces(to_b, left);
  auto b = bounces(to_a, left);
  to_b = &b;
  to_a = &a;
  (void)a.next();
  EXPECT_LT(left, 0);
}

coroutine<> throws_after(coroutine<>*& to) { co_await transfer_to(*to); }
coroutine<> throws_it() {
  throw std::runtime_error("there");
  co_return;
}

TEST(coroutine, what_one_throws_that_was_transferred_to_reaches_who_asked) {
  coroutine<>* to = nullptr;
  auto a = throws_after(to);
  auto b = throws_it();
  to = &b;
  EXPECT_THROW((void)a.next(), std::runtime_error);
  EXPECT_EQ(a.state(), state::suspended);
  EXPECT_EQ(b.state(), state::closed);
}

TEST(coroutine, transfer_to_one_that_runs_or_has_ended_is_an_error) {
  coroutine<>* self = nullptr;
  auto a = throws_after(self);
  self = &a;
  EXPECT_NE(logic_error_of([&] { (void)a.next(); }).find("that runs"), std::string::npos);
}

coroutine<> inner_part(std::string& log) {
  log += '1';
  co_yield {};
  log += '2';
}
coroutine<> delegates_later(std::string& log) {
  auto inner = inner_part(log);
  co_await delegate(std::move(inner));
  log += '3';
}

TEST(coroutine, one_that_was_transferred_to_may_delegate) {
  std::string log;
  coroutine<>* to = nullptr;
  auto a = throws_after(to);
  auto b = delegates_later(log);
  to = &b;
  EXPECT_TRUE(a.next());
  EXPECT_EQ(log, "1");
  EXPECT_FALSE(b.next());
  EXPECT_EQ(log, "123");
}

TEST(coroutine, transfer_to_one_that_was_closed_is_an_error) {
  std::string log;
  coroutine<>* to = nullptr;
  auto a = throws_after(to);
  auto b = inner_part(log);
  to = &b;
  b.close();
  EXPECT_NE(logic_error_of([&] { (void)a.next(); }).find("has ended"), std::string::npos);
}

TEST(coroutine, transfer_to_one_that_delegates_is_an_error) {
  std::string log;
  coroutine<>* to = nullptr;
  auto a = throws_after(to);
  auto b = delegates_later(log);
  to = &b;
  (void)b.next();
  EXPECT_NE(logic_error_of([&] { (void)a.next(); }).find("that delegate"), std::string::npos);
  EXPECT_FALSE(b.next());
  EXPECT_EQ(log, "123");
}

coroutine<> delegates_a_transfer(coroutine<>*& to) {
  auto inner = throws_after(to);
  co_await delegate(std::move(inner));
}

TEST(coroutine, transfer_from_one_that_is_inside_is_an_error) {
  std::string log;
  coroutine<>* to = nullptr;
  auto a = delegates_a_transfer(to);
  auto b = inner_part(log);
  to = &b;
  EXPECT_NE(logic_error_of([&] { (void)a.next(); }).find("that delegate"), std::string::npos);
  EXPECT_EQ(log, "");
}

TEST(coroutine, what_is_thrown_in_is_thrown_at_the_transfer_where_it_stands) {
  std::string log;
  coroutine<>* to = nullptr;
  auto a = throws_after(to);
  auto b = inner_part(log);
  to = &b;
  EXPECT_TRUE(a.next());
  EXPECT_THROW((void)a.throw_in(1), int);
  EXPECT_EQ(a.state(), state::closed);
}

coroutine<> tells_its_state(coroutine<>*& self, state& seen, std::string& error) {
  seen = self->state();
  error = logic_error_of([&] { (void)self->next(); });
  co_yield {};
}

TEST(coroutine, one_that_was_transferred_to_runs) {
  state seen = state::closed;
  std::string error;
  coroutine<>* to = nullptr;
  auto a = throws_after(to);
  auto b = tells_its_state(to, seen, error);
  to = &b;
  EXPECT_TRUE(a.next());
  EXPECT_EQ(seen, state::running);
  EXPECT_EQ(error.find("next() of a coroutine that runs"), 0u) << error;
}

coroutine<> stops_and_transfers(coroutine<>*& to) {
  co_yield {};
  co_await transfer_to(*to);
}
coroutine<> stops_and_delegates(std::string& log) {
  co_yield {};
  auto inner = inner_part(log);
  co_await delegate(std::move(inner));
}
coroutine<> asks(coroutine<>& other) {
  (void)other.next();
  co_yield {};
}

TEST(coroutine, who_asks_may_change_from_one_step_to_the_next) {
  std::string log;
  coroutine<>* to = nullptr;
  auto a = stops_and_transfers(to);
  auto b = stops_and_delegates(log);
  to = &b;
  for (coroutine<>* const each : {&a, &b}) {
    auto first = asks(*each);
    EXPECT_TRUE(first.next());
  }
  EXPECT_TRUE(a.next());
  EXPECT_EQ(log, "1") << "who has asked this time goes on with what b delegates to";
}

coroutine<> closes_who_came_from(coroutine<>*& other, std::string& error) {
  error = logic_error_of([&] { other->close(); });
  error += logic_error_of([&] { (void)other->next(); });
  co_yield {};
}

TEST(coroutine, one_that_is_asked_cannot_be_closed_by_whom_it_transferred_to) {
  std::string error;
  coroutine<>* to = nullptr;
  coroutine<>* from = nullptr;
  auto a = throws_after(to);
  auto b = closes_who_came_from(from, error);
  to = &b;
  from = &a;
  EXPECT_TRUE(a.next());
  EXPECT_EQ(error.find("close() of a coroutine that runs"), 0u) << error;
  EXPECT_NE(error.find("next() of a coroutine that runs"), std::string::npos) << error;
  a.close();
}

coroutine<> takes_over(coroutine<>*& from) { co_await delegate(std::move(*from)); }

TEST(coroutine_death, one_that_is_asked_cannot_be_taken_over_by_whom_it_transferred_to) {
  coroutine<>* to = nullptr;
  coroutine<>* from = nullptr;
  auto a = throws_after(to);
  auto b = takes_over(from);
  to = &b;
  from = &a;
  EXPECT_DEATH((void)a.next(), "delegate.. to a coroutine that runs");
}

coroutine<int, void, std::string> throws_a_result() {
  co_yield 1;
  throw std::runtime_error("no result");
}

TEST(coroutine, delegate_to_one_that_has_thrown_is_an_error) {
  auto inner = throws_a_result();
  (void)inner.next();
  EXPECT_THROW((void)inner.next(), std::runtime_error);
  auto to = [](coroutine<int, void, std::string> c) -> coroutine<int> {
    const std::string s = co_await delegate(std::move(c));
    co_yield static_cast<int>(s.size());
  };
  auto outer = to(std::move(inner));
  EXPECT_NE(logic_error_of([&] { (void)outer.next(); }).find("has returned nothing"),
            std::string::npos);
}

coroutine<int> says_so_when_closed(std::string& log, char name, int depth) {
  const auto guard = co_await on_close([&log, name] { log += name; });
  if (depth > 0) {
    auto inner = says_so_when_closed(log, static_cast<char>(name + 1), depth - 1);
    co_await delegate(std::move(inner));
  }
  co_yield depth;
  co_yield depth;
}
coroutine<int> delegates_to(std::string& log, coroutine<int> to) {
  const auto guard = co_await on_close([&log] { log += '0'; });
  co_await delegate(std::move(to));
}

TEST(coroutine, on_close_is_called_at_each_depth_also_of_what_had_begun_before) {
  std::string log;
  auto begun = says_so_when_closed(log, 'a', 1);
  (void)begun.next();
  auto outer = delegates_to(log, std::move(begun));
  (void)outer.next();
  outer.close();
  EXPECT_EQ(log, "ba0");
}

}  // namespace
}  // namespace corespun::test
