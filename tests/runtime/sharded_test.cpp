// A T of a sharded is touched by its core only; calls go there and come back.

#include <corespun/runtime/latch.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/sharded.hpp>
#include <corespun/runtime/sleep.hpp>

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "tests/support/run.hpp"
#include "tests/support/tasks.hpp"
#include "tests/support/trace.hpp"

namespace corespun {
namespace {

using namespace std::chrono_literals;

class counts_by_core {
 public:
  explicit counts_by_core(int start) : value_(start), core_(this_core::index()) { ++alive; }
  counts_by_core(const counts_by_core&) = delete;
  ~counts_by_core() {
    --alive;
    if (core_ != this_core::index()) ++ended_elsewhere;
  }
  int add(int n) {
    EXPECT_EQ(core_, this_core::index());
    return value_ += n;
  }
  static inline std::atomic<int> alive{0};
  static inline std::atomic<int> ended_elsewhere{0};

 private:
  int value_;
  unsigned core_;
};

TEST(sharded, has_one_on_each_core_that_lives_and_ends_there) {
  test::run_on(3, []() -> task<> {
    sharded<counts_by_core> counts;
    co_await counts.start(100);
    EXPECT_EQ(counts_by_core::alive, 3);
    for (unsigned core = 0; core < 3; ++core) {
      const auto add = [](counts_by_core& c, int n) { return c.add(n); };
      auto call = counts.on(core, add, 5);
      EXPECT_EQ(co_await std::move(call), 105);
    }
    EXPECT_EQ(counts.local().add(0), 105);
    const auto value = [](counts_by_core& c) { return c.add(0); };
    auto sum = counts.map_reduce(value, 1, std::plus<>());
    EXPECT_EQ(co_await std::move(sum), 1 + 3 * 105);
    auto all = counts.on_all([](counts_by_core& c) -> task<> {
      co_await yield();
      c.add(1);
    });
    co_await std::move(all);
    EXPECT_EQ(counts.local().add(0), 106);
    co_await counts.stop();
    EXPECT_EQ(counts_by_core::alive, 0);
    EXPECT_EQ(counts_by_core::ended_elsewhere, 0);
    co_await counts.start(1);  // again
    co_await counts.stop();
  });
}

TEST(sharded, keys_have_owners_that_share_the_load) {
  test::run_on(4, []() -> task<> {
    sharded<counts_by_core> counts;
    co_await counts.start(0);
    std::array<int, 4> owned{};
    for (int key = 0; key < 4000; ++key) {
      const auto where = [](counts_by_core& c) {
        c.add(1);
        return this_core::index();
      };
      auto call = counts.on_owner(key, where);
      const unsigned core = co_await std::move(call);
      EXPECT_EQ(core, counts.owner_of(key));
      ++owned[core];
    }
    for (const int n : owned) EXPECT_NEAR(n, 1000, 250);
    co_await counts.stop();
  });
}

struct fails_on_core_1 : counts_by_core {
  fails_on_core_1() : counts_by_core(0) {
    if (this_core::index() == 1) throw std::runtime_error("no room");
  }
};

TEST(sharded, a_constructor_that_throws_ends_those_that_there_are) {
  test::run_on(3, []() -> task<> {
    sharded<fails_on_core_1> s;
    bool caught = false;
    try {
      co_await s.start();
    } catch (const std::runtime_error&) {
      caught = true;
    }
    EXPECT_TRUE(caught);
    EXPECT_EQ(counts_by_core::alive, 0);
  });
}

struct has_a_stop {
  ~has_a_stop() { EXPECT_TRUE(stopped); }
  task<> stop() {
    co_await yield();
    stopped = true;
  }
  bool stopped = false;
};

TEST(sharded, stops_what_can_be_stopped_before_it_ends) {
  test::run_on(2, []() -> task<> {
    sharded<has_a_stop> s;
    co_await s.start();
    co_await s.stop();
  });
}

/// The task over there takes its arguments by reference, and uses them after a wait.
TEST(sharded, keeps_arguments_until_the_task_has_ended) {
  test::run_on(2, []() -> task<> {
    sharded<counts_by_core> counts;
    co_await counts.start(0);
    const auto size = [](counts_by_core&, const std::string& text) -> task<std::string> {
      co_await yield();
      co_return text + "!";
    };
    for (unsigned core = 0; core < 2; ++core) {
      auto call = counts.on(core, size, std::string(100, 'x'));
      EXPECT_EQ(co_await std::move(call), std::string(100, 'x') + "!");
    }
    const auto even = [](counts_by_core& c) { return c.add(0) % 2 == 0; };
    auto all_even = counts.map_reduce(even, true, std::logical_and<>());
    EXPECT_TRUE(co_await std::move(all_even));
    co_await counts.stop();
  });
}

/// stop() while calls are under way that make further calls: those are served to the end.
TEST(sharded, stop_waits_for_calls_and_what_they_call) {
  int served = 0;
  test::run_on(3, [&](scope& tasks) -> task<> {
    auto counts = std::make_shared<sharded<counts_by_core>>();
    co_await counts->start(0);
    for (int i = 0; i < 10; ++i) {
      auto calls = [&served, counts]() -> task<> {
        const auto outer = [counts](counts_by_core&) -> task<int> {
          co_await sleep_for(2ms);
          const auto inner = [](counts_by_core& c) { return c.add(1); };
          auto call = counts->on((this_core::index() + 1) % 3, inner);
          co_return co_await std::move(call);
        };
        auto call = counts->on(1, outer);
        (void)co_await std::move(call);
        ++served;
      };
      (void)tasks.spawn(calls);
    }
    co_await yield();
    co_await yield();
    co_await counts->stop();
    EXPECT_EQ(counts_by_core::alive, 0);
  });
  EXPECT_EQ(served, 10);
}

/// One that is on all cores at once, and then waits or, if it should, throws on core 1.
class on_three_cores {
 public:
  explicit on_three_cores(bool throws) : throws_(throws) {}
  task<> visit(counts_by_core&) {
    const test::counted inside(inside_);
    arrived_.count_down();
    co_await arrived_.wait();
    if (throws_ && this_core::index() == 1) throw std::runtime_error("core 1");
    co_await test::forever();
  }
  task<int> value(counts_by_core& c) {
    auto visiting = visit(c);
    co_await std::move(visiting);
    co_return 1;
  }
  [[nodiscard]] auto arrived() { return arrived_.wait(); }
  [[nodiscard]] int inside() const { return inside_; }

 private:
  const bool throws_;
  int inside_ = 0;
  latch arrived_{3};
};

task<> call_all(sharded<counts_by_core>& counts, on_three_cores& calls) {
  auto all = counts.on_all([&calls](counts_by_core& c) { return calls.visit(c); });
  co_await std::move(all);
}
task<> sum_of_all(sharded<counts_by_core>& counts, on_three_cores& calls) {
  const auto value = [&calls](counts_by_core& c) { return calls.value(c); };
  auto sum = counts.map_reduce(value, 0, std::plus<>());
  (void)co_await std::move(sum);
}

constexpr std::array calls_on_all_cores{&call_all, &sum_of_all};

TEST(sharded, the_first_exception_of_a_call_on_all_cores_cancels_the_others) {
  for (auto* const call : calls_on_all_cores) {
    std::string caught;
    test::run_on(3, [&]() -> task<> {
      sharded<counts_by_core> counts;
      co_await counts.start(0);
      on_three_cores calls(true);
      try {
        auto calling = call(counts, calls);
        co_await std::move(calling);
      } catch (const std::runtime_error& e) {
        caught = e.what();
      }
      EXPECT_EQ(calls.inside(), 0);
      co_await counts.stop();
    });
    EXPECT_EQ(caught, "core 1");
  }
}

TEST(sharded, a_cancel_of_a_call_on_all_cores_reaches_each_and_waits_for_it) {
  for (auto* const call : calls_on_all_cores) {
    test::run_on(3, [call](scope& s) -> task<> {
      sharded<counts_by_core> counts;
      co_await counts.start(0);
      on_three_cores calls(false);
      auto calling = s.spawn(call, std::ref(counts), std::ref(calls));
      co_await calls.arrived();
      calling.cancel();
      const outcome<void> ended = co_await calling.join();
      EXPECT_TRUE(ended.stopped());
      EXPECT_EQ(calls.inside(), 0);
      co_await counts.stop();
    });
  }
}

struct fails_to_stop : counts_by_core {
  fails_to_stop() : counts_by_core(0) {}
  task<> stop() {
    co_await yield();
    if (this_core::index() == 1) throw std::runtime_error("cannot stop");
    co_await sleep_for(1ms);
  }
};

TEST(sharded, stop_throws_what_a_member_threw_when_all_have_ended) {
  test::run_on(3, []() -> task<> {
    sharded<fails_to_stop> s;
    for (int round = 0; round < 2; ++round) {  // it can be started again
      co_await s.start();
      std::string caught;
      try {
        co_await s.stop();
      } catch (const std::runtime_error& e) {
        caught = e.what();
      }
      EXPECT_EQ(caught, "cannot stop");
      EXPECT_EQ(counts_by_core::alive, 0);
      EXPECT_EQ(counts_by_core::ended_elsewhere, 0);
    }
  });
}

task<> start_twice() {
  sharded<counts_by_core> s;
  co_await s.start(0);
  co_await s.start(0);
}

task<> call_a_core_that_is_not_there() {
  sharded<counts_by_core> s;
  co_await s.start(0);
  auto call = s.on(2, [](counts_by_core&) {});
  co_await std::move(call);
}

task<> call_after_stop() {
  sharded<counts_by_core> s;
  co_await s.start(0);
  co_await s.stop();
  auto call = s.on(0, [](counts_by_core&) {});
  co_await std::move(call);
}

struct calls_while_it_stops {
  explicit calls_while_it_stops(sharded<calls_while_it_stops>& all) : all_(all) {}
  task<> stop() {
    auto call = all_.on(this_core::index(), [](calls_while_it_stops&) {});
    co_await std::move(call);
  }
  sharded<calls_while_it_stops>& all_;
};

task<> call_one_that_stops() {
  sharded<calls_while_it_stops> s;
  co_await s.start(std::ref(s));
  co_await s.stop();
}

TEST(sharded_death, says_what_is_wrong) {
  EXPECT_DEATH(test::run_on(2, start_twice), "started twice(.|\n)*stop it before");
  EXPECT_DEATH(test::run_on(2, call_a_core_that_is_not_there), "sharded: core 2 of 2");
  EXPECT_DEATH(test::run_on(2, call_after_stop), "a call after stop");
  EXPECT_DEATH(test::run_on(1, call_one_that_stops), "a call after stop");
  EXPECT_DEATH(test::run_on(1,
                            []() -> task<> {
                              sharded<counts_by_core> never_stopped;
                              co_await never_stopped.start(0);
                            }),
               "destroyed that was not stopped");
  EXPECT_DEATH(test::run_on(1,
                            []() -> task<> {
                              sharded<counts_by_core> s;
                              auto all = s.on_all([](counts_by_core&) {});
                              co_await std::move(all);
                            }),
               "core 0 of 0");
  EXPECT_DEATH(test::run_on(1,
                            []() -> task<> {
                              sharded<counts_by_core> s;
                              auto call = s.on(0, [](counts_by_core&) {});
                              co_await std::move(call);
                            }),
               "core 0 of 0");
  EXPECT_DEATH(test::run_on(1,
                            []() -> task<> {
                              sharded<counts_by_core> s;
                              co_await s.start(0);
                              auto late = s.on(0, [](counts_by_core&) {});
                              co_await s.stop();
                              co_await std::move(late);
                            }),
               "a call after stop(.|\n)*stop it after");
}

}  // namespace
}  // namespace corespun
