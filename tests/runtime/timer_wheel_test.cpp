// timer_wheel: compared with a sorted map, which is slow and obviously right.

#include <corespun/runtime/detail/timer_wheel.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <utility>
#include <vector>

namespace corespun::detail {
namespace {

using namespace std::chrono_literals;

constexpr clock::time_point start{};
constexpr clock::duration tick = timer_wheel::tick_length;

/// A timer that notes itself in a list.
struct noting_timer : timer {
  explicit noting_timer(std::vector<noting_timer*>& l) : list(&l) {
    fire = [](timer& t) noexcept {
      auto& me = static_cast<noting_timer&>(t);
      me.list->push_back(&me);
      if (me.then) me.then(me.context);
    };
  }
  std::vector<noting_timer*>* list;
  clock::time_point due;
  void (*then)(void*) = nullptr;
  void* context = nullptr;
};

TEST(timer_wheel, fires_at_the_deadline_and_not_before) {
  timer_wheel wheel;
  std::vector<noting_timer*> fired;
  noting_timer t(fired);
  wheel.arm(t, start + 10 * tick);
  wheel.advance(start + 10 * tick - 1ns);
  EXPECT_TRUE(fired.empty());
  EXPECT_TRUE(t.armed());
  wheel.advance(start + 10 * tick);
  EXPECT_EQ(fired.size(), 1u);
  EXPECT_FALSE(t.armed());
}

TEST(timer_wheel, rounds_a_deadline_between_ticks_up) {
  timer_wheel wheel;
  std::vector<noting_timer*> fired;
  noting_timer t(fired);
  wheel.arm(t, start + 10 * tick + 1ns);
  wheel.advance(start + 10 * tick + 1ns);
  EXPECT_TRUE(fired.empty());
  wheel.advance(start + 11 * tick);
  EXPECT_EQ(fired.size(), 1u);
}

TEST(timer_wheel, fires_a_deadline_that_has_passed_at_the_next_tick) {
  timer_wheel wheel;
  std::vector<noting_timer*> fired;
  wheel.advance(start + 1h);
  noting_timer t(fired);
  noting_timer before_the_epoch(fired);
  wheel.arm(t, start + 1min);
  wheel.arm(before_the_epoch, clock::time_point::min());
  wheel.advance(start + 1h + tick);
  EXPECT_EQ(fired.size(), 2u);
}

TEST(timer_wheel, fires_in_the_order_of_deadlines_and_equal_ones_in_the_order_of_arming) {
  timer_wheel wheel;
  std::vector<noting_timer*> fired;
  noting_timer late(fired), early(fired), first(fired), second(fired);
  wheel.arm(late, start + 5h);
  wheel.arm(first, start + 1h);
  wheel.arm(early, start + 1s);
  wheel.arm(second, start + 1h);
  wheel.advance(start + 5h);
  EXPECT_EQ(fired, (std::vector<noting_timer*>{&early, &first, &second, &late}));
}

// One arms far ahead and lies on a high level; the other arms later for the same tick on a low one.
TEST(timer_wheel, keeps_the_order_of_arming_for_timers_that_come_from_different_levels) {
  timer_wheel wheel;
  std::vector<noting_timer*> fired;
  noting_timer first(fired), second(fired);
  const clock::time_point due = start + 5000 * tick;
  wheel.arm(first, due);
  wheel.advance(start + 4999 * tick);
  wheel.arm(second, due);
  wheel.advance(due);
  EXPECT_EQ(fired, (std::vector<noting_timer*>{&first, &second}));
}

TEST(timer_wheel, cancel_of_one_that_is_not_armed_does_nothing) {
  timer_wheel wheel;
  std::vector<noting_timer*> fired;
  noting_timer t(fired);
  wheel.cancel(t);
  wheel.arm(t, start + tick);
  wheel.cancel(t);
  wheel.cancel(t);
  EXPECT_EQ(wheel.next_deadline(), clock::time_point::max());
  wheel.advance(start + 1h);
  EXPECT_TRUE(fired.empty());
}

TEST(timer_wheel, one_timer_may_cancel_another_of_the_same_tick_while_it_fires) {
  struct both {
    timer_wheel wheel;
    std::vector<noting_timer*> fired;
    noting_timer first{fired}, second{fired};
  } w;
  w.first.context = &w;
  w.first.then = [](void* c) {
    static_cast<both*>(c)->wheel.cancel(static_cast<both*>(c)->second);
  };
  w.wheel.arm(w.first, start + tick);
  w.wheel.arm(w.second, start + tick);
  w.wheel.advance(start + tick);
  EXPECT_EQ(w.fired, std::vector<noting_timer*>{&w.first});
  EXPECT_FALSE(w.second.armed());
}

TEST(timer_wheel, a_timer_that_fires_may_arm_itself_again_and_fires_in_the_same_advance_if_due) {
  struct again {
    timer_wheel wheel;
    std::vector<noting_timer*> fired;
    noting_timer t{fired};
    int tick_number = 1;
  } w;
  w.t.context = &w;
  w.t.then = [](void* c) {
    auto& me = *static_cast<again*>(c);
    me.wheel.arm(me.t, start + ++me.tick_number * tick);
  };
  w.wheel.arm(w.t, start + tick);
  w.wheel.advance(start + 100 * tick);
  EXPECT_EQ(w.fired.size(), 100u);
  EXPECT_EQ(w.wheel.next_deadline(), start + 101 * tick);
}

TEST(timer_wheel, of_no_timers_has_no_deadline) {
  timer_wheel wheel;
  EXPECT_EQ(wheel.next_deadline(), clock::time_point::max());
  wheel.advance(start + 1h);
  EXPECT_EQ(wheel.next_deadline(), clock::time_point::max());
}

// Each step of the loop a core runs: sleep until next_deadline, advance. It must end at each
// deadline.
TEST(timer_wheel, next_deadline_leads_to_deadlines_of_every_distance_in_few_steps) {
  for (int exponent = 0; exponent < 63; ++exponent) {
    timer_wheel wheel;
    std::vector<noting_timer*> fired;
    noting_timer t(fired);
    const clock::time_point due = start + clock::duration(std::int64_t{1} << exponent);
    wheel.arm(t, due);
    clock::time_point now = start;
    int steps = 0;
    while (fired.empty()) {
      ASSERT_LE(++steps, 9) << "at most one step per level; exponent " << exponent;
      const clock::time_point next = wheel.next_deadline();
      ASSERT_GT(next, now) << "no progress; exponent " << exponent;
      now = next;
      wheel.advance(now);
    }
    EXPECT_GE(now, due);
    EXPECT_LT(now - due, tick);
  }
}

TEST(timer_wheel, holds_the_last_deadline_there_is) {
  timer_wheel wheel;
  std::vector<noting_timer*> fired;
  noting_timer t(fired);
  wheel.arm(t, clock::time_point::max());
  for (int steps = 0; fired.empty() && steps < 10; ++steps) wheel.advance(wheel.next_deadline());
  EXPECT_EQ(fired.size(), 1u);
}

// --- against a model ---

class model_test : public testing::TestWithParam<std::uint64_t> {};
INSTANTIATE_TEST_SUITE_P(timer_wheel, model_test, testing::Values(1, 2, 3, std::random_device()()));

TEST_P(model_test, agrees_with_a_sorted_map_over_250000_random_operations) {
  SCOPED_TRACE(testing::Message() << "seed " << GetParam());
  std::mt19937_64 chance(GetParam());
  const auto below = [&](std::uint64_t n) { return chance() % n; };

  timer_wheel wheel;
  std::vector<noting_timer*> fired;
  std::vector<std::unique_ptr<noting_timer>> timers;
  for (int i = 0; i < 500; ++i) timers.push_back(std::make_unique<noting_timer>(fired));
  // What is armed, by the tick at which it has to fire.
  std::multimap<std::int64_t, noting_timer*> model;
  const auto forget = [&](noting_timer* t) {
    std::erase_if(model, [&](const auto& entry) { return entry.second == t; });
  };
  const auto far = [&] {
    return clock::duration(static_cast<std::int64_t>(chance() >> (1 + below(62))));
  };

  clock::time_point now = start;
  for (int operation = 0; operation < 250'000; ++operation) {
    noting_timer& t = *timers[below(timers.size())];
    switch (below(4)) {
      case 0:
      case 1: {
        if (t.armed()) wheel.cancel(t), forget(&t);
        const clock::duration d = std::min(far(), clock::time_point::max() - tick - now);
        wheel.arm(t, now + d);
        const auto ticks = [](clock::time_point p) { return p.time_since_epoch() / tick; };
        model.emplace(std::max(ticks(now + d + tick - 1ns), ticks(now) + 1), &t);
        break;
      }
      case 2:
        wheel.cancel(t);
        forget(&t);
        break;
      default: {
        // Mostly small steps, so that all levels stay in use; sometimes exactly to the next
        // deadline.
        const clock::time_point next = wheel.next_deadline();
        const bool jump = below(4) == 0 && next < start + 24h * 365 * 200;
        now = jump ? next : now + clock::duration(static_cast<std::int64_t>(below(1'000'000)));
        fired.clear();
        wheel.advance(now);
        std::vector<noting_timer*> expected;
        while (!model.empty() && model.begin()->first * tick <= now.time_since_epoch()) {
          expected.push_back(model.begin()->second);
          model.erase(model.begin());
        }
        ASSERT_EQ(fired, expected) << "operation " << operation;
      }
    }
    const clock::time_point next = wheel.next_deadline();
    ASSERT_EQ(next == clock::time_point::max(), model.empty()) << "operation " << operation;
    if (!model.empty()) {
      ASSERT_LE(next.time_since_epoch(), model.begin()->first * tick)
          << "late; operation " << operation;
      ASSERT_GT(next, now) << "a core would spin; operation " << operation;
    }
  }
}

}  // namespace
}  // namespace corespun::detail
