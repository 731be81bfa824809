// In which order a core runs what is ready: nobody starves, and trees are walked depth first.

#include <corespun/runtime/detail/core.hpp>
#include <corespun/runtime/latch.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/sleep.hpp>
#include <corespun/runtime/this_core.hpp>
#include <corespun/runtime/when.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

#include "tests/support/run.hpp"
#include "tests/support/sim_machine.hpp"
#include "tests/support/virtual_time.hpp"

namespace corespun {
namespace {

using namespace std::chrono_literals;

template <typename Fn>
void run_free(Fn fn) {
  runtime_options options = test::cores(1);
  options.affinity = affinity::any;
  test::run_with(std::move(options), std::move(fn));
}

TEST(order, bound_and_free_tasks_that_go_on_stand_in_one_line) {
  if (test::on_sim()) GTEST_SKIP() << "there any order may come";
  std::vector<int> ran;
  latch all_there(6);
  run_free([&](scope& s) -> task<> {
    auto runs = [&](int who) -> task<> {
      all_there.count_down();
      co_await all_there.wait();  // no fork is left
      for (int i = 0; i < 20; ++i) {
        co_await yield();
        ran.push_back(who);
      }
    };
    for (int who = 0; who < 5; ++who) (void)s.spawn(runs, who);
    (void)s.spawn_on(0, runs, 5);
    co_return;
  });
  ASSERT_EQ(ran.size(), 6u * 20);
  for (std::size_t i = 6; i < ran.size(); ++i) ASSERT_EQ(ran[i], ran[i - 6]) << i;
}

struct traveller : detail::mail {
  int left = 100;
  test::virtual_time* time = nullptr;
  clock::duration takes{};

  void set_out() {
    deliver = [](mail& m) noexcept {
      auto& self = static_cast<traveller&>(m);
      self.time->pass(self.takes);
      if (--self.left > 0) self.set_out();
    };
    detail::core& here = *detail::core::current();
    here.send(here, *this);
  }
};

/// How often a task that yields runs while so many travel a hundred times.
int steps_beside(std::size_t travellers, clock::duration takes = {}) {
  std::vector<traveller> all(travellers);
  const auto travels = [](const traveller& t) { return t.left > 0; };
  int steps = 0;
  test::virtual_time time;  // so a task takes no time
  time.run([&]() -> task<> {
    for (traveller& t : all) {
      t.time = &time;
      t.takes = takes;
      t.set_out();
    }
    for (; std::ranges::any_of(all, travels); ++steps) co_await yield();
  });
  return steps;
}

TEST(order, a_core_that_has_tasks_soon_looks_for_the_message_after_the_last_one) {
  EXPECT_LT(steps_beside(1), 4 * 100);
}

TEST(order, a_flood_of_messages_leaves_tasks_their_turn) {
  EXPECT_GT(steps_beside(20), 20 * 100 / 2);
  EXPECT_GT(steps_beside(20, 10us), 20 * 100 / 2);
}

TEST(order, branches_that_compute_do_not_keep_a_timer_waiting) {
  test::virtual_time time(1);  // else forks would go first
  runtime_options options = time.options();
  options.affinity = affinity::any;
  int wakes = 0;
  test::run_with(options, [&](scope& s) -> task<> {
    auto wakes_up = [&]() -> task<> {
      for (;; ++wakes) co_await sleep_for(1ms);
    };
    auto computes = [&]() -> task<> {
      time.pass(100us);
      co_return;
    };
    (void)s.spawn(wakes_up);
    co_await sleep_for(10ms);
    std::vector<task<>> branches;
    while (branches.size() < 1000) branches.push_back(computes());
    wakes = 0;
    co_await when_all(std::move(branches));
    s.cancel();
  });
  EXPECT_GT(wakes, 20);
}

task<> compute(scope& s, int& forks) {
  for (const clock::time_point end = clock::now() + 50us; clock::now() < end;) {
  }
  if (++forks < 100) (void)s.spawn(compute, std::ref(s), std::ref(forks));
  co_return;
}

TEST(order, forks_that_take_long_leave_those_that_go_on_their_share) {
  if (test::on_sim()) GTEST_SKIP() << "there any order may come";
  int forks = 0;
  int steps = 0;
  run_free([&](scope& s) -> task<> {
    auto goes_on = [&]() -> task<> {
      while (forks < 100) {
        ++steps;
        co_await yield();
      }
    };
    (void)s.spawn(compute, std::ref(s), std::ref(forks));
    for (int i = 0; i < 3; ++i) (void)s.spawn(goes_on);
    co_return;
  });
  EXPECT_GT(steps, 3 * forks) << "a step takes a small part of the time of a fork";
}

TEST(order, more_tasks_than_a_lane_holds_advance_together) {
  std::vector<unsigned> steps(1000);
  const unsigned most = test::on_sim() ? 20 : 200;
  bool enough = false;
  latch all_have_begun(1000);
  run_free([&](scope& s) -> task<> {
    auto advances = [&](unsigned& mine) -> task<> {
      all_have_begun.count_down();
      co_await all_have_begun.wait();
      while (!enough) {
        enough = ++mine == most;
        co_await yield();
      }
    };
    for (unsigned& mine : steps) (void)s.spawn(advances, std::ref(mine));
    co_return;
  });
  EXPECT_GE(*std::ranges::min_element(steps) * 8, most);
}

task<> fork_another(scope& s, const bool& came, int& forks) {
  if (!came && ++forks < 100'000'000)
    (void)s.spawn(fork_another, std::ref(s), std::cref(came), std::ref(forks));
  co_return;
}

TEST(order, the_oldest_fork_comes_some_time_though_there_are_always_newer_ones) {
  if (test::on_sim()) GTEST_SKIP() << "there any order may come";
  bool came = false;
  int forks = 0;
  run_free([&](scope& s) -> task<> {
    auto oldest = [&]() -> task<> {
      came = true;
      co_return;
    };
    (void)s.spawn(oldest);
    (void)s.spawn(fork_another, std::ref(s), std::cref(came), std::ref(forks));
    co_return;
  });
  EXPECT_TRUE(came);
  EXPECT_LT(forks, 100'000'000);
}

/// A node of a tree that knows how many there are.
struct node {
  explicit node(std::array<std::size_t, 2>& now_and_most) : count(now_and_most) {
    count[1] = std::max(count[1], ++count[0]);
  }
  node(const node&) = delete;
  node& operator=(const node&) = delete;
  ~node() { --count[0]; }
  std::array<std::size_t, 2>& count;
};

task<> tree(std::array<std::size_t, 2>& count, std::size_t width, unsigned depth) {
  const node here(count);
  if (depth == 0) co_return;
  std::vector<task<>> below;
  for (std::size_t i = 0; i < width; ++i) below.push_back(tree(count, width, depth - 1));
  auto all = when_all(std::move(below));
  co_await std::move(all);
}

TEST(order, a_tree_that_is_wider_than_a_lane_is_walked_depth_first) {
  std::array<std::size_t, 2> begun{};
  const unsigned width = test::on_sim() ? 20 : 400;
  run_free([&]() -> task<> { co_await tree(begun, width, 2); });
  if (!test::on_sim()) {
    EXPECT_LT(begun[1], 10u) << "of " << width * width << " nodes";
  }
  EXPECT_EQ(begun[0], 0u);
}

}  // namespace
}  // namespace corespun
