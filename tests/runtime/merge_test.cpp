// buffer() and merge(), the pipelines across tasks.
#include <corespun/runtime/event.hpp>
#include <corespun/runtime/merge.hpp>
#include <corespun/runtime/this_core.hpp>

#include <gtest/gtest.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "tests/support/run.hpp"
#include "tests/support/tasks.hpp"

namespace corespun {
namespace {

using namespace corespun::pipe;
using test::run;

async_generator<int> awaited_up_to(int last) {
  for (int i = 1; i <= last; ++i) {
    co_await yield();
    co_yield i;
  }
}

async_generator<int> counts(int& made) {
  while (true) co_yield ++made;
}

TEST(merge, buffer_reads_ahead_by_so_many_and_ends_when_nobody_asks) {
  run([](scope& s) -> task<> {
    int made = 0;
    const auto before = s.alive();
    {
      auto ahead = counts(made) | buffer(s, 3);
      for (int i = 1; i <= 5; ++i) {
        const int* const item = co_await ahead.next();
        EXPECT_EQ(*item, i);
      }
      co_await test::let_others_run();
      EXPECT_EQ(made, 5 + 3 + 1);
    }
    co_await test::let_others_run();
    EXPECT_EQ(s.alive(), before);
  });
}

async_generator<int> waits_after(int items, event& e) {
  for (int i = 1; i <= items; ++i) co_yield i;
  co_await e.wait();
}

TEST(merge, a_source_that_waits_ends_when_nobody_asks) {
  run([](scope& s) -> task<> {
    event never;
    const auto before = s.alive();
    {
      auto ahead = waits_after(1, never) | buffer(s, 3);
      (void)co_await ahead.next();
      co_await test::let_others_run();
    }
    co_await test::let_others_run();
    EXPECT_EQ(s.alive(), before);
  });
}

TEST(merge, a_buffer_that_nobody_asks_ends_with_it) {
  run([](scope& s) -> task<> {
    int made = 0;
    const auto before = s.alive();
    {
      auto never_asked = counts(made) | buffer(s, 3);
    }
    co_await test::let_others_run();
    EXPECT_EQ(s.alive(), before);
  });
}

TEST(merge, a_buffer_whose_scope_was_cancelled_before_does_not_look_like_the_end) {
  run([](scope&) -> task<> {
    int made = 0;
    std::optional<async_generator<int>> left;
    auto cancels = [&](scope& inner) -> task<> {
      inner.cancel();
      left.emplace(counts(made) | buffer(inner, 1));
      co_return;
    };
    co_await with_scope(cancels);
    bool cancelled = false;
    try {
      (void)co_await left->next();
    } catch (const std::system_error& e) {
      cancelled = e.code() == errc::cancelled;
    }
    EXPECT_TRUE(cancelled);
  });
}

async_generator<int> fails_awaited(int last) {
  for (int i = 1; i <= last; ++i) co_yield i;
  co_await yield();
  throw std::runtime_error("source");
}

task<int> sum_of(async_generator<int> all) {
  int sum = 0;
  while (true) {
    const int* const item = co_await all.next();
    if (item == nullptr) co_return sum;
    sum += *item;
  }
}

TEST(merge, an_error_crosses_a_buffer_after_what_came_before) {
  run([](scope& s) -> task<> {
    auto across = fails_awaited(3) | buffer(s, 10);
    int sum = 0;
    bool thrown = false;
    try {
      while (true) {
        const int* const item = co_await across.next();
        if (item == nullptr) break;
        sum += *item;
      }
    } catch (const std::runtime_error&) {
      thrown = true;
    }
    EXPECT_TRUE(thrown);
    EXPECT_EQ(sum, 6);
  });
}

TEST(merge, an_error_of_one_source_of_a_merge_ends_the_others) {
  run([](scope& s) -> task<> {
    event never;
    std::vector<async_generator<int>> sources;
    sources.push_back(waits_after(0, never));
    sources.push_back(fails_awaited(1));
    auto all = merge(s, 2, std::move(sources));
    const auto before = s.alive();
    bool thrown = false;
    try {
      while (co_await all.next() != nullptr) {
      }
    } catch (const std::runtime_error&) {
      thrown = true;
    }
    EXPECT_TRUE(thrown);
    co_await test::let_others_run();
    EXPECT_EQ(s.alive() + 2, before);
  });
}

TEST(merge, an_error_of_one_source_ends_another_one_that_never_waits) {
  run([](scope& s) -> task<> {
    int made = 0;
    std::vector<async_generator<int>> sources;
    sources.push_back(fails_awaited(0));
    sources.push_back(counts(made));
    const auto before = s.alive();
    auto all = merge(s, 1, std::move(sources));
    co_await test::let_others_run();
    EXPECT_EQ(s.alive(), before);
    bool thrown = false;
    try {
      while (co_await all.next() != nullptr) {
      }
    } catch (const std::runtime_error&) {
      thrown = true;
    }
    EXPECT_TRUE(thrown);
  });
}

async_generator<int> fails_with(const char* what) {
  co_await yield();
  throw std::runtime_error(what);
  co_yield 0;
}

TEST(merge, of_several_errors_the_first_is_thrown) {
  run([](scope& s) -> task<> {
    std::vector<async_generator<int>> sources;
    sources.push_back(fails_with("first"));
    sources.push_back(fails_with("second"));
    auto all = merge(s, 2, std::move(sources));
    co_await test::let_others_run();
    std::string what;
    try {
      (void)co_await all.next();
    } catch (const std::runtime_error& e) {
      what = e.what();
    }
    EXPECT_EQ(what, "first");
  });
}

TEST(merge, merge_gives_all_items_of_all_sources) {
  run([](scope& s) -> task<> {
    std::vector<async_generator<int>> sources;
    sources.push_back(awaited_up_to(10));
    sources.push_back(awaited_up_to(20));
    sources.push_back(awaited_up_to(0));
    auto sum = sum_of(merge(s, 2, std::move(sources)));
    EXPECT_EQ(co_await std::move(sum), 55 + 210);
    auto nothing = sum_of(merge(s, 2, std::vector<async_generator<int>>()));
    EXPECT_EQ(co_await std::move(nothing), 0);
  });
}

TEST(merge, a_buffer_whose_scope_was_cancelled_does_not_look_like_the_end) {
  run([](scope&) -> task<> {
    int made = 0;
    bool cancelled = false;
    std::optional<async_generator<int>> left;
    auto keeps = [&](scope& inner) -> task<> {
      left.emplace(counts(made) | buffer(inner, 1));
      co_await test::let_others_run();
      inner.cancel();
    };
    co_await with_scope(keeps);
    try {
      while (true) {
        const int* const item = co_await left->next();
        if (item == nullptr) break;
      }
    } catch (const std::system_error& e) {
      cancelled = e.code() == errc::cancelled;
    }
    EXPECT_TRUE(cancelled);
  });
}

}  // namespace
}  // namespace corespun
