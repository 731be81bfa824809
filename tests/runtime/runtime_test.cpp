// runtime: starts and ends cleanly, any number of times, and run() tells how main ended.

#include <corespun/runtime/affinity.hpp>
#include <corespun/runtime/event.hpp>
#include <corespun/runtime/latch.hpp>
#include <corespun/runtime/runtime.hpp>
#include <corespun/runtime/sleep.hpp>
#include <corespun/runtime/this_core.hpp>

#include <gtest/gtest.h>

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <latch>
#include <memory>
#include <semaphore>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "tests/support/run.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/support/tasks.hpp"
#include "tests/support/trace.hpp"

namespace corespun {
namespace {

using test::cores;
using test::forever;

std::ptrdiff_t threads_of_this_process() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {});
}

TEST(runtime, run_returns_what_main_returned) {
  runtime rt(cores(1));
  EXPECT_EQ(rt.run([]() -> task<int> { co_return 7; }).value(), 7);
  EXPECT_EQ(
      *rt.run([]() -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(8); }).value(),
      8);
  int target = 0;
  EXPECT_EQ(&rt.run([&]() -> task<int&> { co_return target; }).value(), &target);
  EXPECT_TRUE(rt.run([]() -> task<> { co_return; }).has_value());
}

TEST(runtime, run_with_arguments_does_not_mistake_a_scope_for_one) {
  runtime rt(cores(1));
  const auto main = [](auto&... all) -> task<std::size_t> { co_return sizeof...(all); };
  EXPECT_EQ(rt.run([&](auto... all) { return main(all...); }, 1, 2).value(), 2u);
}

TEST(runtime, run_passes_arguments_and_keeps_them_alive) {
  int alive = 0;
  runtime rt(cores(1));
  auto main = [&alive](const test::counted&, std::string text) -> task<std::string> {
    co_await yield();
    EXPECT_GE(alive, 1);
    co_return text + "!";
  };
  EXPECT_EQ(rt.run(main, test::counted(alive), std::string("hello")).value(), "hello!");
  EXPECT_EQ(alive, 0);
}

TEST(runtime, run_throws_what_main_threw_and_can_be_used_again) {
  runtime rt(cores(1));
  EXPECT_THROW((void)rt.run([]() -> task<int> {
    co_await yield();
    throw std::runtime_error("main");
  }),
               std::runtime_error);
  EXPECT_EQ(rt.run([]() -> task<int> { co_return 1; }).value(), 1);
}

TEST(runtime, run_with_a_scope_returns_after_all_that_main_spawned) {
  runtime rt(cores(2));
  std::atomic<int> ended{0};
  const outcome<int> o = rt.run([&](scope& s) -> task<int> {
    auto child = [&]() -> task<> {
      co_await test::let_others_run(20);
      ++ended;
    };
    for (unsigned i = 0; i < 10; ++i) (void)s.spawn_on(i % 2, child);
    co_return 3;
  });
  EXPECT_TRUE(o.has_value());
  EXPECT_EQ(ended, 10);
}

TEST(runtime, run_of_a_main_that_stopped_itself_is_stopped) {
  runtime rt(cores(1));
  const outcome<int> o = rt.run([](scope& s) -> task<int> {
    s.cancel();
    co_await yield();
    co_return 1;
  });
  EXPECT_TRUE(o.stopped());
}

/// Bound and free tasks that never wait are ready on all cores, so each core has some at any time.
TEST(runtime, ends_what_is_ready_on_every_core_when_main_throws_or_is_stopped) {
  constexpr unsigned count = 3;
  constexpr std::size_t each = 50;
  for (const bool throws : {true, false}) {
    int alive = 0;
    latch bound_ones(count * each);
    latch free_ones(count * each);
    runtime_options options = cores(count);
    options.affinity = affinity::any;
    runtime rt(options);
    const auto spins = [](latch& begun, const test::counted&) -> task<> {
      begun.count_down();
      while (true) co_await yield();
    };
    const auto spawns_free_ones = [&](scope& s) -> task<> {
      co_await resume_anywhere();
      for (std::size_t i = 0; i < each; ++i)
        (void)s.spawn(spins, std::ref(free_ones), test::counted(alive));
    };
    const auto main = [&](scope& s) -> task<int> {
      for (std::size_t i = 0; i < count * each; ++i)
        (void)s.spawn_on(static_cast<unsigned>(i % count), spins, std::ref(bound_ones),
                         test::counted(alive));
      co_await bound_ones.wait();
      for (unsigned core = 0; core < count; ++core)
        (void)s.spawn_on(core, spawns_free_ones, std::ref(s));
      co_await free_ones.wait();
      for (const core_metrics& c : rt.metrics().cores) {
        EXPECT_GT(c.ready_bound, 0u);
        EXPECT_GT(c.ready_woken, 0u);
      }
      if (throws) throw std::runtime_error("main");
      s.cancel();
      co_await yield();
      co_return 0;
    };
    bool threw = false;
    try {
      EXPECT_TRUE(rt.run(main).stopped());
    } catch (const std::runtime_error&) {
      threw = true;
    }
    EXPECT_EQ(threw, throws);
    EXPECT_EQ(alive, 0);
  }
}

TEST(runtime, main_runs_on_core_0) {
  runtime rt(cores(3));
  EXPECT_EQ(rt.run([]() -> task<unsigned> { co_return this_core::index(); }).value(), 0u);
}

TEST(runtime, has_as_many_cores_as_asked_for_or_as_it_may_use) {
  EXPECT_EQ(runtime(cores(3)).cores(), 3u);
  cpu_set_t usable;
  sched_getaffinity(0, sizeof usable, &usable);
  EXPECT_EQ(runtime(cores(0)).cores(), static_cast<unsigned>(CPU_COUNT(&usable)));
}

TEST(runtime, pins_each_core_to_one_processor_unless_told_not_to) {
  if (test::on_sim()) GTEST_SKIP() << "one thread plays all cores";
  const auto processors = [](bool pin) {
    runtime_options o = cores(1);
    o.pin = pin;
    return runtime(o)
        .run([]() -> task<int> {
          cpu_set_t set;
          sched_getaffinity(0, sizeof set, &set);
          co_return CPU_COUNT(&set);
        })
        .value();
  };
  cpu_set_t usable;
  sched_getaffinity(0, sizeof usable, &usable);
  EXPECT_EQ(processors(true), 1);
  EXPECT_EQ(processors(false), CPU_COUNT(&usable));
}

TEST(runtime, names_its_threads_and_keeps_the_hosts_signals_from_them) {
  if (test::on_sim()) GTEST_SKIP() << "one thread plays all cores";
  runtime rt(cores(1));
  EXPECT_TRUE(rt.run([]() -> task<> {
                  char name[16] = {};
                  pthread_getname_np(pthread_self(), name, sizeof name);
                  EXPECT_STREQ(name, "corespun-0");
                  sigset_t blocked;
                  pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
                  for (const int s : {SIGINT, SIGTERM, SIGCHLD, SIGUSR1}) {
                    EXPECT_EQ(sigismember(&blocked, s), 1) << s;
                  }
                  co_return;
                }).has_value());
}

TEST(runtime, can_be_started_and_ended_again_and_again) {
  const std::ptrdiff_t before = threads_of_this_process();
  for (int i = 0; i < 100; ++i) {
    runtime rt(cores(2));
    if (i % 2 == 0) continue;  // one that never ran anything ends, too
    EXPECT_EQ(rt.run([&]() -> task<int> { co_return i; }).value(), i);
  }
  EXPECT_EQ(threads_of_this_process(), before);
}

TEST(runtime, two_at_once_do_not_know_each_other) {
  if (test::on_sim()) GTEST_SKIP() << "one thread plays all cores";
  runtime a(cores(1));
  runtime b(cores(2));
  std::jthread other([&] {
    EXPECT_EQ(b.run([]() -> task<unsigned> { co_return this_core::count(); }).value(), 2u);
  });
  EXPECT_EQ(a.run([]() -> task<unsigned> { co_return this_core::count(); }).value(), 1u);
}

TEST(runtime, tasks_of_two_runtimes_may_wait_for_each_other) {
  if (test::on_sim()) GTEST_SKIP() << "one thread plays all cores";
  event ping;
  event pong;
  runtime a(cores(1));
  runtime b(cores(1));
  std::jthread other([&] {
    EXPECT_TRUE(b.run([&]() -> task<> {
                   co_await ping.wait();
                   pong.open();
                 }).has_value());
  });
  EXPECT_TRUE(a.run([&]() -> task<> {
                 ping.open();
                 co_await pong.wait();
               }).has_value());
}

TEST(runtime, run_may_be_called_by_several_threads_at_once) {
  if (test::on_sim()) GTEST_SKIP() << "one thread plays all cores";
  runtime rt(cores(2));
  std::atomic<int> sum{0};
  {
    std::vector<std::jthread> callers;
    for (int t = 0; t < 6; ++t) {
      callers.emplace_back([&] {
        for (int i = 0; i < 100; ++i) {
          sum += rt.run([]() -> task<int> {
                     co_await yield();
                     co_return 1;
                   }).value();
        }
      });
    }
  }
  EXPECT_EQ(sum, 600);
}

TEST(runtime, run_inside_a_task_aborts_with_advice) {
  EXPECT_DEATH(test::run([]() -> task<> {
                 runtime inner(cores(1));
                 (void)inner.run([]() -> task<> { co_return; });
                 co_return;
               }),
               "run called inside a task(.|\n)*co_await the task instead");
}

// --- what cannot be started ---

class counted_driver {
 public:
  static inline std::atomic<int> alive{0};
  static std::unique_ptr<driver> make(unsigned index) {
    struct counting final : driver {
      explicit counting(unsigned i) : inner(make_futex_driver(i)) { ++alive; }
      ~counting() override { --alive; }
      void attach(detail::core& c) override { inner->attach(c); }
      void poll(clock::time_point t) override { inner->poll(t); }
      void wake() noexcept override { inner->wake(); }
      std::size_t in_flight() const noexcept override { return 0; }
      void cancel_all() override {}
      const char* name() const noexcept override { return "counting"; }
      std::unique_ptr<driver> inner;
    };
    return std::make_unique<counting>(index);
  }
};

TEST(runtime, a_driver_that_cannot_be_made_fails_the_constructor_and_leaves_nothing_behind) {
  const std::ptrdiff_t before = threads_of_this_process();
  for (unsigned failing = 0; failing < 3; ++failing) {
    runtime_options o = cores(3);
    o.driver = [failing](unsigned i) {
      if (i == failing) throw std::runtime_error("no driver for " + std::to_string(i));
      return counted_driver::make(i);
    };
    try {
      const runtime rt(o);
      ADD_FAILURE() << "started without a driver";
    } catch (const std::runtime_error& e) {
      EXPECT_EQ(e.what(), "no driver for " + std::to_string(failing));
    }
    EXPECT_EQ(counted_driver::alive, 0);
    EXPECT_EQ(threads_of_this_process(), before);
  }
}

TEST(runtime, of_several_drivers_that_cannot_be_made_reports_the_first) {
  runtime_options o = cores(3);
  o.driver = [](unsigned i) -> std::unique_ptr<driver> { throw static_cast<int>(i); };
  int caught = -1;
  try {
    const runtime rt(o);
  } catch (int core) {
    caught = core;
  }
  EXPECT_EQ(caught, 0);
}

std::size_t address_space_bytes() {
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * 4096;
}

[[noreturn]] void start_where_only_a_few_threads_fit() {
  pthread_attr_t large_stacks;
  pthread_attr_init(&large_stacks);
  pthread_attr_setstacksize(&large_stacks, 256 << 20);
  pthread_setattr_default_np(&large_stacks);
  const rlimit room{address_space_bytes() + (700 << 20), RLIM_INFINITY};
  setrlimit(RLIMIT_AS, &room);
  try {
    const runtime rt(cores(16));
  } catch (const std::system_error& e) {
    std::fprintf(stderr, "refused: %s\n", e.what());
    std::_Exit(threads_of_this_process() <= 2 ? 0 : 1);  // this one and the watchdog
  }
  std::_Exit(2);
}

TEST(runtime, a_thread_that_cannot_be_made_fails_the_constructor_and_ends_those_that_were) {
  if (test::on_sim()) GTEST_SKIP() << "one thread plays all cores";
  if (test::sanitized) GTEST_SKIP() << "sanitizers need the address space that this test takes";
  EXPECT_EXIT(start_where_only_a_few_threads_fit(), testing::ExitedWithCode(0), "refused: ");
}

// --- post_to ---

TEST(post_to, calls_on_that_core_in_the_order_of_the_thread) {
  if (test::on_sim()) GTEST_SKIP() << "there no other thread may post";
  runtime r(test::cores(2));
  std::vector<int> called;
  std::binary_semaphore last{0};
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(r.post_to(1, [&called, i] {
      EXPECT_EQ(this_core::index(), 1u);
      called.push_back(i);
    }));
  }
  ASSERT_TRUE(r.post_to(1, [&last] { last.release(); }));
  last.acquire();
  ASSERT_EQ(called.size(), 1000u);
  EXPECT_TRUE(std::ranges::is_sorted(called));
}

/// Whatever was accepted is called, whatever is refused is not, also while the runtime ends.
TEST(post_to, is_refused_when_the_runtime_ends_and_loses_nothing) {
  if (test::on_sim()) GTEST_SKIP() << "there no other thread may post";
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> called{0};
    std::atomic<int> accepted{0};
    std::atomic<bool> refused{false};
    std::function<void(unsigned)> again;
    {
      runtime r(test::cores(2));
      // Posts itself again and again from both cores, until it is refused.
      again = [&](unsigned core) {
        ++called;
        const result<> posted = r.post_to(1 - core, [&again, core] { again(1 - core); });
        if (posted) {
          ++accepted;
        } else {
          EXPECT_EQ(posted.error(), make_error_code(errc::closed));
          refused = true;
        }
      };
      ASSERT_TRUE(r.post_to(0, [&again] { again(0); }));
      ++accepted;
      std::jthread other([&] {
        for (int i = 0; i < 200; ++i) {
          const result<> posted = r.post_to(0, [&called] { ++called; });
          EXPECT_TRUE(posted);
          ++accepted;
        }
      });
    }
    EXPECT_TRUE(refused);
    EXPECT_EQ(called, accepted);
  }
}

/// They post until they are refused. Until then a core that is held up keeps the runtime.
TEST(post_to, of_threads_that_are_no_cores_is_called_or_refused_while_the_runtime_ends) {
  if (test::on_sim()) GTEST_SKIP() << "there no other thread may post";
  constexpr int posters = 3;
  for (int round = 0; round < 30; ++round) {
    std::atomic<int> called{0};
    std::atomic<int> accepted{0};
    std::latch all_refused(posters);
    std::vector<std::jthread> threads;
    {
      runtime r(cores(2));
      ASSERT_TRUE(r.post_to(1, [&all_refused] { all_refused.wait(); }));
      for (unsigned i = 0; i < posters; ++i) {
        threads.emplace_back([&, core = i % 2] {
          result<> posted;
          while ((posted = r.post_to(core, [&called] { ++called; }))) ++accepted;
          EXPECT_EQ(posted.error(), make_error_code(errc::closed));
          all_refused.count_down();
        });
      }
      while (accepted < round) std::this_thread::yield();
    }
    threads.clear();  // joins
    EXPECT_EQ(called, accepted);
  }
}

TEST(post_to, a_core_that_is_not_there_aborts_with_advice) {
  EXPECT_DEATH(
      {
        runtime r(cores(2));
        (void)r.post_to(2, [] {});
      },
      "post_to core 2 of 2(.|\n)*cores\\(\\)");
}

}  // namespace
}  // namespace corespun
