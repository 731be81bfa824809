// Coroutines in the forms that docs/compilers.md calls safe. g++ 12 translates other forms wrongly
// and says nothing, so the broken ones stand here too, for the compilers that get them right: the
// day a compiler breaks one more form, its line here fails.

#include <corespun/runtime/runtime.hpp>
#include <corespun/runtime/task.hpp>

#include <gtest/gtest.h>

#include <utility>

namespace corespun {
namespace {

int live = 0;  // how many owners there are; a double destruction makes it negative

struct owner {
  owner() { ++live; }
  owner(const owner&) { ++live; }
  owner(owner&&) noexcept { ++live; }
  owner& operator=(const owner&) = default;
  ~owner() { --live; }
};

struct aggregate {
  owner mine;
  int value = 0;
};

struct constructed {
  constructed(int v = 0) : value(v) {}
  owner mine;
  int value;
};

task<int> number(int n) { co_return n; }
task<int> value_of(aggregate a = {}) { co_return a.value; }
task<int> value_of_constructed(constructed c = {}) { co_return c.value; }

template <typename Fn>
task<int> invoke(Fn fn) {
  co_return fn();
}

template <typename Fn>
int result_of(Fn fn) {
  live = 0;
  runtime_options options;
  options.cores = 1;
  return runtime(options).run(std::move(fn)).value();
}

TEST(compilers, a_declaration_keeps_the_frame_whole_when_a_condition_awaits) {
  struct body {
    static task<int> sum(int a, int b, int c) {
      const int go = co_await number(1);
      if (go) co_return a + b + c;
      co_return -1;
    }
  };
  EXPECT_EQ(result_of([] { return body::sum(1, 2, 3); }), 6);
}

TEST(compilers, an_aggregate_passed_in_its_own_statement_is_destroyed_once) {
  struct body {
    static task<int> send() {
      auto sending = value_of({owner(), 7});
      co_return co_await std::move(sending);
    }
  };
  EXPECT_EQ(result_of(body::send), 7);
  EXPECT_EQ(live, 0);
}

TEST(compilers, a_type_with_a_constructor_may_be_a_temporary_beside_an_await) {
  struct body {
    static task<int> send() {
      const int given = co_await value_of_constructed(constructed(7));
      const int defaulted = co_await value_of_constructed();
      co_return given + defaulted;
    }
  };
  EXPECT_EQ(result_of(body::send), 7);
  EXPECT_EQ(live, 0);
}

TEST(compilers, a_named_closure_is_destroyed_once) {
  struct body {
    static task<int> call() {
      owner mine;
      auto fn = [mine] { return 7; };
      co_return co_await invoke(std::move(fn));
    }
  };
  EXPECT_EQ(result_of(body::call), 7);
  EXPECT_EQ(live, 0);
}

#if defined(__clang__) || __GNUC__ >= 13

task<int> sum_in_condition(int a, int b, int c) {
  if (co_await number(1)) co_return a + b + c;
  co_return -1;
}

TEST(compilers, a_condition_may_await_in_a_body_without_declarations) {
  EXPECT_EQ(result_of([] { return sum_in_condition(1, 2, 3); }), 6);
}

TEST(compilers, owning_temporaries_beside_an_await_are_destroyed_once) {
  struct body {
    static task<int> all() {
      owner mine;
      int sum = co_await value_of({owner(), 1});
      sum += co_await value_of();
      sum += co_await invoke([mine] { return 2; });
      const constructed chosen = sum ? constructed(co_await number(4)) : constructed(0);
      co_return sum + chosen.value;
    }
  };
  EXPECT_EQ(result_of(body::all), 7);
  EXPECT_EQ(live, 0);
}

#endif

}  // namespace
}  // namespace corespun
