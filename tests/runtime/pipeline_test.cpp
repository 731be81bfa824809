#include <corespun/runtime/pipeline.hpp>
#include <corespun/runtime/this_core.hpp>

#include <gtest/gtest.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/run.hpp"

namespace corespun {
namespace {

using namespace corespun::pipe;
using test::run;

generator<int> up_to(int last) {
  for (int i = 1; i <= last; ++i) co_yield i;
}

bool even(const int& i) { return i % 2 == 0; }
std::string text(int i) { return std::to_string(i); }

/// Keeps what comes; 'e' at the end, 'x' at an error that it lets through.
sink<std::string> keep(std::string& into) {
  try {
    while (true) into += co_yield {};
  } catch (const end_of_input&) {
    into += 'e';
  } catch (...) {
    into += 'x';
    throw;
  }
}

template <typename G>
auto all_of(G g) {
  std::vector<std::ranges::range_value_t<G>> all;
  for (auto&& e : g) all.push_back(std::move(e));
  return all;
}

TEST(pipeline, pulls_through_stages) {
  EXPECT_EQ(all_of(up_to(6) | filter(even) | map(text)), (std::vector<std::string>{"2", "4", "6"}));
}

TEST(pipeline, batches_and_gives_what_is_left_at_the_end) {
  EXPECT_EQ(all_of(up_to(5) | batch(2)), (std::vector<std::vector<int>>{{1, 2}, {3, 4}, {5}}));
  EXPECT_EQ(all_of(up_to(4) | batch(2)), (std::vector<std::vector<int>>{{1, 2}, {3, 4}}));
}

generator<int> counted(int& made) {
  while (true) co_yield ++made;
}

TEST(pipeline, takes_no_more_than_is_asked_for) {
  int made = 0;
  auto g = counted(made) | filter(even) | map(text);
  EXPECT_EQ(*g.next(), "2");
  EXPECT_EQ(made, 2);
}

TEST(pipeline, a_source_pushes_into_a_sink_and_tells_the_end) {
  std::string kept;
  up_to(3) | map(text) | keep(kept);
  EXPECT_EQ(kept, "123e");
}

TEST(pipeline, a_sink_is_pushed_into_by_hand) {
  std::string kept;
  auto to = filter(even) | map(text) | keep(kept);
  (void)to.next();
  for (int i = 1; i <= 4; ++i) EXPECT_TRUE(to.send(i));
  EXPECT_EQ(kept, "24");
  to.close();
  EXPECT_EQ(kept, "24");
}

std::string joined(std::vector<std::string> all) {
  std::string one = "[";
  for (const std::string& s : all) one += s;
  return one + "]";
}

TEST(pipeline, what_a_stage_still_holds_is_pushed_at_the_end) {
  std::string kept;
  up_to(3) | (map(text) | batch(2) | map(joined) | keep(kept));
  EXPECT_EQ(kept, "[12][3]e");
}

generator<int> fails_after(int last) {
  for (int i = 1; i <= last; ++i) co_yield i;
  throw std::runtime_error("source");
}

TEST(pipeline, an_error_of_the_source_reaches_the_sink_and_who_runs_it) {
  std::string kept;
  EXPECT_THROW(fails_after(2) | map(text) | keep(kept), std::runtime_error);
  EXPECT_EQ(kept, "12x");
}

int refuses_3(int i) {
  if (i == 3) throw std::runtime_error("stage");
  return i;
}

TEST(pipeline, an_error_of_a_stage_does_too) {
  std::string kept;
  EXPECT_THROW(up_to(5) | (map(refuses_3) | map(text) | keep(kept)), std::runtime_error);
  EXPECT_EQ(kept, "12x");
}

sink<std::string> takes_two(std::string& into) {
  into += co_yield {};
  into += co_yield {};
}

struct marks {
  std::string& log;
  explicit marks(std::string& l) : log(l) {}
  marks(const marks&) = delete;
  marks& operator=(const marks&) = delete;
  ~marks() { log += '.'; }
};
generator<int> for_ever(std::string& log) {
  const marks end(log);
  for (int i = 1;; ++i) co_yield i;
}

TEST(pipeline, a_sink_that_returns_ends_the_source) {
  std::string kept;
  for_ever(kept) | map(text) | takes_two(kept);
  EXPECT_EQ(kept, "12.");
  kept.clear();
  for_ever(kept) | (map(text) | takes_two(kept));
  EXPECT_EQ(kept, "12.");
}

sink<std::string> throws_at_once() {
  co_yield {};
  throw std::runtime_error("sink");
}

TEST(pipeline, what_a_sink_throws_ends_all_above_it) {
  std::string log;
  EXPECT_THROW(for_ever(log) | (map(text) | throws_at_once()), std::runtime_error);
  EXPECT_EQ(log, ".");
}

TEST(pipeline, tee_copies_aside_and_broadcast_to_all_that_still_take) {
  std::string aside;
  std::string kept;
  up_to(3) | map(text) | tee(takes_two(aside)) | keep(kept);
  EXPECT_EQ(aside, "12");
  EXPECT_EQ(kept, "123e");
  std::string one;
  std::string two;
  std::vector<sink<std::string>> to;
  to.push_back(takes_two(one));
  to.push_back(keep(two));
  up_to(3) | map(text) | pipe::broadcast(std::move(to));
  EXPECT_EQ(one, "12");
  EXPECT_EQ(two, "123e");
}

TEST(pipeline, a_sink_beside_is_told_the_end) {
  std::string aside;
  std::string kept;
  auto side = map(text) | batch(2) | map(joined) | keep(aside);
  up_to(3) | tee(std::move(side)) | map(text) | keep(kept);
  EXPECT_EQ(aside, "[12][3]e");
  EXPECT_EQ(kept, "123e");
}

TEST(pipeline, a_sink_beside_is_told_the_error_that_ends_all) {
  std::string aside;
  EXPECT_THROW(all_of(fails_after(1) | map(text) | tee(keep(aside))), std::runtime_error);
  EXPECT_EQ(aside, "1x");
  aside.clear();
  EXPECT_THROW(fails_after(1) | (map(text) | tee(keep(aside)) | throws_at_once()),
               std::runtime_error);
  EXPECT_EQ(aside, "1x");
}

sink<std::string> throws_at_the_second() {
  co_yield {};
  co_yield {};
  throw std::runtime_error("sink");
}

TEST(pipeline, broadcast_tells_all_whatever_one_does) {
  std::string one;
  std::string two;
  std::vector<sink<std::string>> to;
  to.push_back(keep(one));
  to.push_back(throws_at_the_second());
  to.push_back(keep(two));
  EXPECT_THROW(up_to(3) | map(text) | pipe::broadcast(std::move(to)), std::runtime_error);
  EXPECT_EQ(one, "12x");
  EXPECT_EQ(two, "1x");
}

sink<std::string> throws_before_it_takes() {
  throw std::runtime_error("begin");
  co_yield {};
}

TEST(pipeline, broadcast_tells_all_that_one_cannot_begin) {
  std::string one;
  std::vector<sink<std::string>> to;
  to.push_back(keep(one));
  to.push_back(throws_before_it_takes());
  EXPECT_THROW(up_to(3) | map(text) | pipe::broadcast(std::move(to)), std::runtime_error);
  EXPECT_EQ(one, "x");
}

/// Counts its copies.
struct copied {
  int& copies;
  explicit copied(int& n) noexcept : copies(n) {}
  copied(copied&& other) noexcept : copies(other.copies) {}
  copied& operator=(copied&&) noexcept { return *this; }
  copied(const copied& other) noexcept : copies(other.copies) { ++copies; }
  copied& operator=(const copied&) = delete;
};
generator<copied> items(int count, int& copies) {
  while (count-- > 0) co_yield copied(copies);
}
sink<copied> takes_items(int count) {
  while (count-- > 0) {
    const copied item = co_yield {};
    (void)item;
  }
}

TEST(pipeline, copies_only_for_those_that_still_take) {
  int copies = 0;
  items(10, copies) | tee(takes_items(2)) | takes_items(10);
  EXPECT_EQ(copies, 2);
  copies = 0;
  std::vector<sink<copied>> to;
  to.push_back(takes_items(3));
  to.push_back(takes_items(10));
  items(10, copies) | pipe::broadcast(std::move(to));
  EXPECT_EQ(copies, 3);
}

/// Throws at the end.
class fails_at_the_end : public stage {
 public:
  template <typename Out>
  using input = Out;
  std::optional<std::string> operator()(std::string s) { return s; }
  std::optional<std::string> end() { throw std::runtime_error("end"); }
};

TEST(pipeline, an_error_at_the_end_reaches_the_sink_pulled_or_pushed) {
  std::string pulled;
  EXPECT_THROW(up_to(2) | map(text) | fails_at_the_end() | keep(pulled), std::runtime_error);
  EXPECT_EQ(pulled, "12x");
  std::string pushed;
  EXPECT_THROW(up_to(2) | (map(text) | fails_at_the_end() | keep(pushed)), std::runtime_error);
  EXPECT_EQ(pushed, "12x");
}

TEST(pipeline, takes_a_sink_that_was_started) {
  std::string kept;
  up_to(3) | map(text) | started(keep(kept));
  EXPECT_EQ(kept, "123e");
}

sink<std::string> without_a_catch(std::string& into) {
  while (true) into += co_yield {};
}

TEST(pipeline, a_sink_need_not_catch_the_end) {
  std::string kept;
  up_to(2) | map(text) | without_a_catch(kept);
  up_to(2) | (map(text) | without_a_catch(kept));
  EXPECT_EQ(kept, "1212");
}

sink<std::string> takes_nothing() { co_return; }

TEST(pipeline, into_a_sink_that_takes_nothing_leaves_the_source_alone) {
  int made = 0;
  counted(made) | map(text) | takes_nothing();
  counted(made) | (map(text) | takes_nothing());
  auto closed = takes_nothing();
  closed.close();
  counted(made) | map(text) | std::move(closed);
  EXPECT_EQ(made, 0);
}

sink<std::vector<std::string>> takes_one_batch() { co_yield {}; }

TEST(pipeline, a_sink_that_returns_at_what_was_left_has_ended_like_any_other) {
  auto to = map(text) | batch(2) | takes_one_batch();
  (void)to.next();
  EXPECT_TRUE(to.send(1));
  EXPECT_FALSE(to.throw_in(end_of_input()));
}

sink<std::string> goes_on(std::string& into) {
  while (true) {
    try {
      into += co_yield {};
      continue;
    } catch (const std::runtime_error&) {
      into += 'x';
    }
  }
}

TEST(pipeline, a_sink_that_catches_an_error_takes_more_through_its_stages) {
  std::string kept;
  auto to = map(text) | goes_on(kept);
  (void)to.next();
  EXPECT_TRUE(to.send(1));
  EXPECT_TRUE(to.throw_in(std::runtime_error("told")));
  EXPECT_TRUE(to.send(2));
  EXPECT_EQ(kept, "1x2");
}

TEST(pipeline, tee_and_broadcast_take_sinks_that_were_started) {
  std::string aside;
  std::string kept;
  std::vector<sink<std::string>> to;
  to.push_back(started(keep(kept)));
  up_to(2) | map(text) | tee(started(keep(aside))) | pipe::broadcast(std::move(to));
  EXPECT_EQ(aside, "12e");
  EXPECT_EQ(kept, "12e");
}

TEST(pipeline, broadcast_returns_when_all_have_returned) {
  std::string one;
  std::string two;
  std::vector<sink<std::string>> to;
  to.push_back(takes_two(one));
  to.push_back(takes_two(two));
  int made = 0;
  counted(made) | map(text) | pipe::broadcast(std::move(to));
  EXPECT_EQ(made, 2);
}

sink<std::string> throws_when_told(const char* what) {
  try {
    while (true) co_yield {};
  } catch (...) {
  }
  throw std::runtime_error(what);
}

template <typename Fn>
std::string error_of(Fn fn) {
  try {
    fn();
  } catch (const std::runtime_error& e) {
    return e.what();
  }
  return "";
}

TEST(pipeline, broadcast_throws_what_the_first_one_throws_at_the_end) {
  std::vector<sink<std::string>> to;
  to.push_back(throws_when_told("one"));
  to.push_back(throws_when_told("two"));
  EXPECT_EQ(error_of([&] { up_to(2) | map(text) | pipe::broadcast(std::move(to)); }), "one");
}

TEST(pipeline, broadcast_throws_the_error_that_ends_it_before_those_that_follow) {
  std::vector<sink<std::string>> to;
  to.push_back(throws_when_told("one"));
  EXPECT_EQ(error_of([&] { fails_after(2) | map(text) | pipe::broadcast(std::move(to)); }),
            "source");
}

// --- with tasks ---

async_generator<int> awaited_up_to(int last) {
  for (int i = 1; i <= last; ++i) {
    co_await yield();
    co_yield i;
  }
}

TEST(pipeline, of_an_async_source_is_awaited) {
  run([](scope&) -> task<> {
    std::string kept;
    auto running = awaited_up_to(6) | filter(even) | map(text) | keep(kept);
    co_await std::move(running);
    EXPECT_EQ(kept, "246e");
  });
}

TEST(pipeline, of_an_async_source_gives_what_a_stage_still_holds_at_the_end) {
  run([](scope&) -> task<> {
    std::string kept;
    auto running = awaited_up_to(3) | map(text) | batch(2) | map(joined) | keep(kept);
    co_await std::move(running);
    EXPECT_EQ(kept, "[12][3]e");
  });
}

TEST(pipeline, of_an_async_source_tells_a_sink_beside_the_error_that_ends_all) {
  run([](scope&) -> task<> {
    std::string aside;
    std::string kept;
    auto fails = awaited_up_to(5) | map(refuses_3) | map(text) | tee(keep(aside)) | keep(kept);
    bool thrown = false;
    try {
      co_await std::move(fails);
    } catch (const std::runtime_error&) {
      thrown = true;
    }
    EXPECT_TRUE(thrown);
    EXPECT_EQ(aside, "12x");
  });
}

TEST(pipeline, of_an_async_source_takes_a_sink_that_was_started_and_need_not_catch_the_end) {
  run([](scope&) -> task<> {
    std::string kept;
    auto running = awaited_up_to(2) | map(text) | started(without_a_catch(kept));
    co_await std::move(running);
    EXPECT_EQ(kept, "12");
  });
}

async_generator<int> counted_awaited(int& made) {
  while (true) {
    co_await yield();
    co_yield ++made;
  }
}

TEST(pipeline, of_an_async_source_into_a_sink_that_takes_nothing_leaves_the_source_alone) {
  run([](scope&) -> task<> {
    int made = 0;
    auto running = counted_awaited(made) | map(text) | takes_nothing();
    co_await std::move(running);
    EXPECT_EQ(made, 0);
  });
}

sink<std::string> keeps_one(std::string& into) { into += co_yield {}; }

TEST(pipeline, of_an_async_source_tells_its_sink_an_error_and_ends_when_that_returns) {
  run([](scope&) -> task<> {
    std::string kept;
    auto fails = awaited_up_to(5) | map(refuses_3) | map(text) | keep(kept);
    bool thrown = false;
    try {
      co_await std::move(fails);
    } catch (const std::runtime_error&) {
      thrown = true;
    }
    EXPECT_TRUE(thrown);
    EXPECT_EQ(kept, "12x");
    kept.clear();
    int made = 0;
    auto ends = counted_awaited(made) | map(text) | keeps_one(kept);
    co_await std::move(ends);
    EXPECT_EQ(kept, "1");
    EXPECT_EQ(made, 1);
  });
}

/// As keep(), but waits at each item.
async_sink<std::string> keep_slowly(std::string& into) {
  try {
    while (true) {
      std::string item = co_yield {};
      co_await yield();
      into += item;
    }
  } catch (const end_of_input&) {
    into += 'e';
  } catch (...) {
    into += 'x';
    throw;
  }
}

TEST(pipeline, into_an_async_sink_is_awaited) {
  run([](scope&) -> task<> {
    std::string kept;
    auto pulled = up_to(5) | filter(even) | map(text) | keep_slowly(kept);
    EXPECT_EQ(kept, "");
    co_await std::move(pulled);
    EXPECT_EQ(kept, "24e");
    kept.clear();
    auto awaited = awaited_up_to(3) | map(text) | keep_slowly(kept);
    co_await std::move(awaited);
    EXPECT_EQ(kept, "123e");
  });
}

async_sink<std::string> refuses_items() {
  co_yield {};
  throw std::runtime_error("async sink");
}

TEST(pipeline, an_async_sink_is_told_an_error_and_may_throw_its_own) {
  run([](scope&) -> task<> {
    std::string kept;
    std::string what;
    auto fails = up_to(5) | map(refuses_3) | map(text) | keep_slowly(kept);
    try {
      co_await std::move(fails);
    } catch (const std::runtime_error& e) {
      what = e.what();
    }
    EXPECT_EQ(what, "stage");
    EXPECT_EQ(kept, "12x");
    auto refuses = up_to(5) | map(text) | refuses_items();
    try {
      co_await std::move(refuses);
    } catch (const std::runtime_error& e) {
      what = e.what();
    }
    EXPECT_EQ(what, "async sink");
  });
}

}  // namespace
}  // namespace corespun

namespace elsewhere {
namespace {

int twice(int i) noexcept { return 2 * i; }

TEST(pipeline, is_found_from_other_namespaces) {
  using namespace corespun::pipe;
  auto stages = map(twice) | batch(2);
  auto range = corespun::up_to(3) | std::move(stages);
  EXPECT_EQ(range.next()->size(), 2u);
}

}  // namespace
}  // namespace elsewhere
