// Free tasks: they move between cores, and nothing is lost, run twice or missed by a cancel.

#include <corespun/runtime/affinity.hpp>
#include <corespun/runtime/as_result.hpp>
#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/event.hpp>
#include <corespun/runtime/offload.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/select.hpp>
#include <corespun/runtime/sleep.hpp>
#include <corespun/runtime/this_core.hpp>
#include <corespun/runtime/when.hpp>

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/lane_stress.hpp"
#include "tests/support/run.hpp"
#include "tests/support/tasks.hpp"

namespace corespun {
namespace {

using namespace std::chrono_literals;

template <typename Fn>
void run_free_on(unsigned n, Fn fn) {
  test::run_with(test::eager(test::cores(n)), std::move(fn));
}

/// Computes until all cores have seen a part of it, so that the others must steal.
class all_cores {
 public:
  explicit all_cores(unsigned n) : missing_((1U << n) - 1) {}
  void seen() noexcept { missing_.fetch_and(~(1U << this_core::index())); }
  [[nodiscard]] bool reached() const noexcept { return missing_ == 0; }

 private:
  std::atomic<unsigned> missing_;
};

task<std::uint64_t> fib(unsigned n) {
  if (n < 2) co_return n;
  auto both = when_all(fib(n - 1), fib(n - 2));
  const auto [a, b] = co_await std::move(both);
  co_return a + b;
}

TEST(migration, a_tree_of_forks_has_the_right_sum_on_any_number_of_cores) {
  for (unsigned n = 1; n <= 4; ++n) {
    std::uint64_t sum = 0;
    run_free_on(n, [&]() -> task<> { sum = co_await fib(test::on_sim() ? 10 : 22); });
    EXPECT_EQ(sum, test::on_sim() ? 55u : 17711u) << n << " cores";
  }
}

task<> work_until_all_cores_help(scope& s, all_cores& cores) {
  cores.seen();
  if (cores.reached()) co_return;
  for (int i = 0; i < 2 && s.alive() < 1000; ++i)
    (void)s.spawn(work_until_all_cores_help, std::ref(s), std::ref(cores));
  co_await yield();
}

TEST(migration, idle_cores_steal_what_one_core_has_forked) {
  all_cores cores(3);
  run_free_on(3, [&]() -> task<> {
    while (!cores.reached()) {
      co_await with_scope(
          [&](scope& s) -> task<> { co_await work_until_all_cores_help(s, cores); });
    }
  });
}

TEST(migration, each_of_many_spawned_tasks_runs_once) {
  const int n = test::on_sim() ? 2000 : 100'000;  // more than the lanes hold
  std::vector<std::atomic<int>> ran(static_cast<std::size_t>(n));
  run_free_on(4, [&](scope& s) -> task<> {
    for (std::atomic<int>& r : ran) {
      auto once = [&r]() -> task<> {
        co_await yield();
        ++r;
      };
      (void)s.spawn(once);
    }
    co_return;
  });
  for (const std::atomic<int>& r : ran) ASSERT_EQ(r, 1);
}

/// Until so many were: each has run to its end, once, and nothing it wrote was lost on the way.
TEST(migration, tasks_that_are_stolen_again_and_again_end_once) {
  const std::uint64_t moves_to_make = test::on_sim() ? 100 : test::steals_to_make() / 100;
  std::atomic<std::uint64_t> moves{0};
  run_free_on(4, [&]() -> task<> {
    std::array<int, 500> steps{};
    while (moves < moves_to_make) {
      steps.fill(0);
      co_await with_scope([&](scope& s) -> task<> {
        for (int& mine : steps) {
          auto wanders = [&]() -> task<> {
            unsigned where = this_core::index();
            for (int i = 0; i < 10; ++i) {
              ++mine;
              if (i % 3 == 0) {
                co_await yield();
              } else {
                auto both = when_all(yield(), yield());
                (void)co_await std::move(both);
              }
              if (const unsigned before = std::exchange(where, this_core::index()); before != where)
                ++moves;
            }
          };
          (void)s.spawn(wanders);
        }
        co_return;
      });
      for (const int n : steps) EXPECT_EQ(n, 10);
    }
  });
  RecordProperty("moves", std::to_string(moves));
}

TEST(migration, an_exception_of_a_task_that_moved_cancels_the_siblings_and_reaches_the_scope) {
  int caught = 0;
  run_free_on(4, [&]() -> task<> {
    for (int i = 0; i < 20; ++i) {
      try {
        co_await with_scope([&](scope& s) -> task<> {
          for (int k = 0; k < 50; ++k) (void)s.spawn(test::forever);
          auto throws_elsewhere = [spawned_on = this_core::index()]() -> task<> {
            while (this_core::index() == spawned_on) co_await yield();
            throw std::runtime_error("moved");
          };
          for (int k = 0; k < 8; ++k) (void)s.spawn(throws_elsewhere);
          co_await test::forever();
        });
      } catch (const std::runtime_error&) {
        ++caught;
      }
    }
  });
  EXPECT_EQ(caught, 20);
}

TEST(migration, a_scope_that_is_cancelled_from_anywhere_ends_tasks_on_all_cores) {
  run_free_on(4, []() -> task<> {
    for (int i = 0; i < 200; ++i) {
      co_await with_scope([&](scope& s) -> task<> {
        for (int k = 0; k < 20; ++k) {
          auto waits = [k]() -> task<> {
            for (int y = 0; y < k; ++y) co_await yield();
            if (k % 2 == 0) co_await test::forever();
            co_await sleep_for(1h);
          };
          (void)s.spawn(waits);
        }
        auto cancels = [&]() -> task<> {
          co_await yield();
          s.cancel();
        };
        (void)s.spawn(cancels);
        co_await test::forever();
      });
    }
  });
}

TEST(migration, a_failing_branch_cancels_the_others_wherever_they_are) {
  int caught = 0;
  run_free_on(4, [&]() -> task<> {
    for (int i = 0; i < 300; ++i) {
      auto fails = [i]() -> task<> {
        for (int y = 0; y < i % 7; ++y) co_await yield();
        throw 1;
      };
      try {
        auto all = when_all(test::forever(), test::forever(), fails, sleep_for(1h));
        (void)co_await std::move(all);
      } catch (int) {
        ++caught;
      }
    }
  });
  EXPECT_EQ(caught, 300);
}

TEST(migration, an_event_that_opens_on_one_core_wakes_each_waiter_once) {
  std::atomic<int> woken{0};
  run_free_on(4, [&]() -> task<> {
    for (int i = 0; i < 200; ++i) {
      event gate;
      co_await with_scope([&](scope& s) -> task<> {
        for (int k = 0; k < 30; ++k) {
          auto waits = [&]() -> task<> {
            co_await yield();
            co_await gate.wait();
            ++woken;
          };
          (void)s.spawn(waits);
        }
        co_await yield();
        gate.open();
      });
    }
  });
  EXPECT_EQ(woken, 200 * 30);
}

/// Opens the gate and cancels the waiters at the same time: each ends once, in one of both ways.
TEST(migration, a_wake_that_races_with_a_cancel_ends_the_wait_once) {
  std::atomic<int> ended{0};
  run_free_on(4, [&]() -> task<> {
    for (int i = 0; i < 500; ++i) {
      event gate;
      co_await with_scope([&](scope& s) -> task<> {
        for (int k = 0; k < 10; ++k) {
          auto waits = [&]() -> task<> {
            const auto passed = co_await as_result(gate.wait());
            (void)passed;
            ++ended;
          };
          (void)s.spawn(waits);
        }
        auto cancels = [&]() -> task<> {
          co_await yield();
          s.cancel();
        };
        (void)s.spawn(cancels);
        co_await yield();
        gate.open();
      });
    }
  });
  EXPECT_EQ(ended, 5000);
}

/// A thread that is no core cancels some of the tasks and opens the gate for all of them.
TEST(migration, a_foreign_thread_cancels_and_wakes_tasks_wherever_they_are) {
  const int rounds = test::on_sim() ? 20 : 200;
  int ended = 0;
  run_free_on(4, [&]() -> task<> {
    for (int i = 0; i < rounds; ++i) {
      event gate;
      std::atomic<int> passed{0};
      co_await with_scope([&](scope& s) -> task<> {
        std::vector<task_handle<void>> some;
        std::vector<task_handle<void>> all;
        for (int k = 0; k < 20; ++k) {
          auto waits = [&gate, &passed, k]() -> task<> {
            for (int y = 0; y < k % 5; ++y) co_await yield();
            auto both = when_all(gate.wait(), gate.wait());
            (void)co_await std::move(both);
            ++passed;
          };
          (k % 3 == 0 ? some : all).push_back(s.spawn(waits));
        }
        auto foreign = [&] {
          for (task_handle<void>& h : some) h.cancel();
          gate.open();
          const std::vector<task_handle<void>> dropped_here = std::move(some);
        };
        co_await offload(foreign);
        for (task_handle<void>& h : all) {
          if ((co_await h.join()).has_value()) ++ended;
        }
      });
      EXPECT_GE(passed, 13);
    }
  });
  EXPECT_EQ(ended, rounds * 13);
}

/// The gate opens on one core while the time runs out on another.
TEST(migration, a_select_with_a_time_is_decided_once_on_any_core) {
  std::atomic<int> opened{0};
  std::atomic<int> late{0};
  run_free_on(4, [&]() -> task<> {
    for (int i = 0; i < 100; ++i) {
      event gate;
      co_await with_scope([&](scope& s) -> task<> {
        for (int k = 0; k < 20; ++k) {
          auto waits = [&, k]() -> task<> {
            for (int y = 0; y < k % 4; ++y) co_await yield();
            const auto first = co_await select(gate.wait(), sleep_for(k * 20us));
            ++(first.index() == 0 ? opened : late);
          };
          (void)s.spawn(waits);
        }
        co_await sleep_for(100us);
        gate.open();
      });
    }
  });
  EXPECT_EQ(opened + late, 2000);
  EXPECT_GT(late, 0);
}

/// Losers are cancelled on the cores where they are, and awaited; who won keeps its value.
TEST(migration, a_race_between_tasks_that_move_has_one_winner_and_no_survivors) {
  std::atomic<int> alive{0};
  run_free_on(4, [&]() -> task<> {
    for (int i = 0; i < 300; ++i) {
      std::vector<task<int>> runners;
      for (int k = 0; k < 8; ++k) {
        auto run = [](std::atomic<int>& in, int laps) -> task<int> {
          ++in;
          struct leaves {
            std::atomic<int>& in;
            ~leaves() { --in; }
          } const at_end{in};
          for (int lap = 0; lap < laps; ++lap) {
            auto both = when_all(yield(), yield());
            (void)co_await std::move(both);
          }
          if (laps % 2 == 0) co_await sleep_for(50us);
          co_return laps;
        };
        runners.push_back(run(alive, (i + k) % 8 + 1));
      }
      auto race = when_any(std::move(runners));
      const auto ended = co_await std::move(race);
      EXPECT_TRUE(ended.outcomes[ended.index].has_value());
      EXPECT_EQ(alive, 0);
    }
  });
}

TEST(migration, a_deadline_holds_for_what_moved_away) {
  run_free_on(4, []() -> task<> {
    for (int i = 0; i < 50; ++i) {
      auto moves = []() -> task<int> {
        for (int y = 0; y < 10; ++y) {
          auto both = when_all(yield(), yield(), yield(), yield());
          (void)co_await std::move(both);
        }
        co_return 7;
      };
      auto moving = with_timeout(1h, moves);
      const result<int> value = co_await std::move(moving);
      EXPECT_EQ(value, 7);

      auto waits = []() -> task<> {
        for (int y = 0; y < 5; ++y) co_await yield();
        co_await test::forever();
      };
      auto waiting = with_timeout(200us, waits);
      const result<> late = co_await std::move(waiting);
      EXPECT_FALSE(late);
    }
  });
}

TEST(resume_on, goes_on_there_and_stays) {
  run_free_on(3, []() -> task<> {
    for (unsigned c : {2U, 0U, 1U, 1U}) {
      co_await resume_on(c);
      EXPECT_EQ(this_core::index(), c);
      for (int i = 0; i < 100; ++i) {
        co_await yield();
        EXPECT_EQ(this_core::index(), c);
      }
    }
  });
}

TEST(resume_on, is_inherited_by_what_is_started_after) {
  run_free_on(3, []() -> task<> {
    co_await resume_on(2);
    const auto where = []() -> task<unsigned> {
      co_await yield();
      co_return this_core::index();
    };
    auto branches = when_all(where(), where());
    const auto [a, b] = co_await std::move(branches);
    EXPECT_EQ(a, 2u);
    EXPECT_EQ(b, 2u);
    co_await with_scope([&](scope& s) -> task<> {
      auto spawned = s.spawn(where);
      EXPECT_EQ((co_await spawned.join()).value(), 2u);
    });
  });
}

TEST(resume_on, in_a_cancelled_task_ends_as_stopped) {
  bool went_on = false;
  run_free_on(2, [&]() -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      s.cancel();
      co_await resume_on(1);
      went_on = true;
    });
  });
  EXPECT_FALSE(went_on);
}

TEST(resume_on, a_core_that_is_not_there_aborts_with_advice) {
  EXPECT_DEATH(run_free_on(2, []() -> task<> { co_await resume_on(2); }),
               "resume_on core 2 of 2(.|\n)*this_core::count");
}

TEST(resume_anywhere, in_a_cancelled_task_ends_as_stopped) {
  bool went_on = false;
  run_free_on(2, [&]() -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      s.cancel();
      co_await resume_anywhere();
      went_on = true;
    });
  });
  EXPECT_FALSE(went_on);
}

TEST(resume_anywhere, lets_other_cores_take_the_task_again) {
  run_free_on(2, []() -> task<> {
    co_await resume_on(0);
    co_await resume_anywhere();
    all_cores cores(2);
    while (!cores.reached()) {
      co_await with_scope(
          [&](scope& s) -> task<> { co_await work_until_all_cores_help(s, cores); });
    }
  });
}

}  // namespace
}  // namespace corespun
