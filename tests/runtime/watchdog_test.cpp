// The watchdog for stalls: tells of a core that does not turn, once, and has the others take its
// work.

#include <corespun/runtime/detail/threads.hpp>
#include <corespun/runtime/detail/watchdog.hpp>
#include <corespun/runtime/on_core.hpp>
#include <corespun/runtime/runtime.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/sleep.hpp>
#include <corespun/runtime/this_core.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <semaphore>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/run.hpp"
#include "tests/support/stderr_watch.hpp"
#include "tests/support/tasks.hpp"
#include "tests/support/virtual_time.hpp"

namespace corespun {
namespace {

using namespace std::chrono_literals;
using testing::ExitedWithCode;

// --- when is a stall told ---

/// Looks at a core at times that a test chooses.
class looks {
 public:
  /// ms since some start.
  static clock::time_point at(int ms) {
    return clock::time_point(1h) + std::chrono::milliseconds(ms);
  }
  /// The core is in a turn that began at that time.
  bool told(int now_ms, int turn_began_ms) {
    return stall_.look(at(turn_began_ms), at(now_ms), running_since, waited, 25ms).is_news;
  }
  clock::duration lasts(int now_ms, int turn_began_ms) {
    return stall_.look(at(turn_began_ms), at(now_ms), running_since, waited, 25ms).lasts;
  }
  bool told_of_sleeper(int now_ms) {
    return stall_.look(detail::counters::no_turn, at(now_ms), running_since, waited, 25ms).is_news;
  }

  clock::time_point running_since{};
  clock::duration waited{};

 private:
  detail::stall stall_;
};

TEST(stall, is_told_when_it_has_lasted_for_the_notice_and_not_before) {
  looks l;
  EXPECT_FALSE(l.told(100, 100));
  EXPECT_FALSE(l.told(124, 100));
  EXPECT_TRUE(l.told(125, 100));
}

TEST(stall, is_told_once) {
  looks l;
  EXPECT_TRUE(l.told(130, 100));
  for (int t = 140; t < 10'000; t += 12) EXPECT_FALSE(l.told(t, 100)) << t;
}

TEST(stall, of_the_same_core_is_told_at_most_once_a_second) {
  looks l;
  int told = 0;
  for (int began = 0; began < 10'000; began += 50) told += l.told(began + 40, began);
  EXPECT_EQ(told, 10);
}

TEST(stall, that_lasts_beyond_the_pause_of_another_is_told_then) {
  looks l;
  EXPECT_TRUE(l.told(30, 0));
  EXPECT_FALSE(l.told(130, 100));
  EXPECT_FALSE(l.told(1029, 100));
  EXPECT_TRUE(l.told(1030, 100));
}

TEST(stall, is_none_while_the_core_sleeps) {
  looks l;
  for (int t = 0; t < 10'000; t += 12) EXPECT_FALSE(l.told_of_sleeper(t));
}

TEST(stall, is_none_of_a_core_that_turns) {
  looks l;
  for (int t = 0; t < 10'000; t += 12) EXPECT_FALSE(l.told(t + 12, t));
}

// As in a debugger: turns that began long ago, but nobody has run since.
TEST(stall, does_not_count_the_time_in_which_the_process_stood_still) {
  looks l;
  EXPECT_FALSE(l.told(10, 0));
  l.running_since = looks::at(60'000);
  EXPECT_FALSE(l.told(60'000, 0));
  EXPECT_EQ(l.lasts(60'020, 0), 20ms);
  EXPECT_FALSE(l.told(60'020, 15)) << "a turn that the watchdog had not seen yet";
  EXPECT_TRUE(l.told(60'025, 0));
}

TEST(stall, is_not_told_for_the_time_in_which_others_had_the_processor) {
  looks l;
  l.waited = 20ms;
  EXPECT_FALSE(l.told(30, 5)) << "it had the processor for 5 ms";
  EXPECT_EQ(l.lasts(30, 5), 25ms) << "what waits there waits all the same";
  EXPECT_TRUE(l.told(50, 5));
}

TEST(processor_wait, is_never_longer_than_it_was_counted) {
  const auto now = [] { return std::chrono::steady_clock::now().time_since_epoch(); };
  std::atomic<int> number{0};
  std::binary_semaphore end{0};
  std::jthread thread([&] {
    number = detail::this_thread();
    number.notify_one();
    end.acquire();
  });
  number.wait(0);
  detail::processor_wait wait(number);
  const auto before = now();
  wait.begin(before);
  for (int look = 0; look < 10; ++look) {
    const auto until = now();
    EXPECT_GE(wait.until(until), 0ns);
    EXPECT_LE(wait.until(until), until - before);
    std::this_thread::yield();
  }
  end.release();
}

TEST(processor_wait, is_0_if_nobody_knows_the_thread) {
  detail::processor_wait none(0);
  none.begin(1h);
  EXPECT_EQ(none.until(2h), 0ns);
}

// --- the thread ---

runtime_options watched(unsigned n, std::chrono::milliseconds notice = 2ms) {
  runtime_options o = test::cores(n);
  o.stall_notice = notice;
  return o;
}

/// Ends the process: 0 if main ended by itself.
template <typename Fn>
[[noreturn]] void exit_by(runtime_options options, Fn main) {
  std::_Exit(test::outcome_with(std::move(options), std::move(main)).stopped() ? 1 : 0);
}

constexpr const char* last_words = "offload() the blocking call\n";

void a_task_blocks_core_1() {
  std::binary_semaphore go{0};
  const test::stderr_watch watch("core 1 has not turned", [&] { go.release(); });
  exit_by(watched(2), [&](scope& s) -> task<> {
    auto blocks = [&]() -> task<> {
      go.acquire();
      co_return;
    };
    (void)s.spawn_on(1, blocks);
    co_return;
  });
}

TEST(stall_watchdog, names_the_core_the_task_that_blocks_it_and_what_to_do) {
  if (test::on_sim()) GTEST_SKIP() << "no thread plays watchdog there";
  EXPECT_EXIT(a_task_blocks_core_1(), ExitedWithCode(0),
              "corespun: core 1 has not turned for [0-9]+ ms\n"
              "  why: the task spawned at .*watchdog_test\\.cpp:[0-9]+ computes or blocks without "
              "an await\n"
              "  now: co_await yield\\(\\) in its loop, or offload\\(\\) the blocking call\n");
}

void main_blocks() {
  std::binary_semaphore go{0};
  const test::stderr_watch watch(last_words, [&] { go.release(); });
  exit_by(watched(1), [&]() -> task<> {
    go.acquire();
    co_return;
  });
}

TEST(stall_watchdog, names_main_by_that_name) {
  if (test::on_sim()) GTEST_SKIP() << "no thread plays watchdog there";
  EXPECT_EXIT(main_blocks(), ExitedWithCode(0), "core 0 has not(.|\n)*why: main computes");
}

void a_function_blocks_core_1() {
  std::binary_semaphore go{0};
  const test::stderr_watch watch(last_words, [&] { go.release(); });
  exit_by(watched(2), [&](scope& s) -> task<> {
    auto nothing = []() -> task<> { co_return; };
    auto before = s.spawn_on(1, nothing);  // whom nobody blames
    (void)co_await before.join();
    co_await on_core(1, [&] { go.acquire(); });
  });
}

TEST(stall_watchdog, does_not_blame_the_last_task_for_a_function) {
  if (test::on_sim()) GTEST_SKIP() << "no thread plays watchdog there";
  EXPECT_EXIT(a_function_blocks_core_1(), ExitedWithCode(0),
              "core 1 has not(.|\n)*why: a function that was sent there(.|\n)*send a task instead");
}

void core_0_blocks_and_the_watchdog_looks_again_and_again() {
  std::atomic<bool> told{false};
  const test::stderr_watch watch(last_words, [&] { told = true; });
  runtime rt(watched(3, 25ms));
  (void)rt.run([&]() -> task<> {
    const detail::watchdog& dog = rt.inner().watch;
    while (!told) std::this_thread::yield();
    for (const auto enough = dog.looks() + 20; dog.looks() < enough;) std::this_thread::yield();
    co_return;
  });
  std::_Exit(0);
}

TEST(stall_watchdog, speaks_once_of_a_stall_and_never_of_cores_that_sleep) {
  if (test::on_sim()) GTEST_SKIP() << "no thread plays watchdog there";
  EXPECT_EXIT(core_0_blocks_and_the_watchdog_looks_again_and_again(), ExitedWithCode(0),
              "^corespun: core 0 has[^\n]*\n[^\n]*\n[^\n]*blocking call\n$");
}

void all_cores_sleep_before_one_blocks() {
  runtime rt(watched(2));
  for (int round = 0; round < 3; ++round) {
    while (!rt.inner().watch.dozing()) std::this_thread::yield();
    const auto looks = rt.inner().watch.looks();
    (void)rt.run([&]() -> task<> {
      while (rt.inner().watch.looks() == looks) std::this_thread::yield();  // only if it was rung
      co_return;
    });
  }
  std::_Exit(0);
}

TEST(stall_watchdog, sleeps_while_all_cores_do_and_is_rung_by_the_first_that_wakes) {
  if (test::on_sim()) GTEST_SKIP() << "no thread plays watchdog there";
  EXPECT_EXIT(all_cores_sleep_before_one_blocks(), ExitedWithCode(0), "");
}

// The cores wake and sleep, and the watchdog with them; one lost ring and this hangs (edge W1).
TEST(stall_watchdog, misses_no_wake_however_often_it_sleeps) {
  if (test::on_sim()) GTEST_SKIP() << "no thread plays watchdog there";
  testing::internal::CaptureStderr();
  {
    runtime rt(watched(2, 1ms));
    for (int round = 0; round < 200; ++round) {
      while (!rt.inner().watch.dozing()) std::this_thread::yield();
      const auto looks = rt.inner().watch.looks();
      (void)rt.run([&]() -> task<> {
        while (rt.inner().watch.looks() == looks) std::this_thread::yield();
        co_return;
      });
    }
  }
  (void)testing::internal::GetCapturedStderr();  // on a busy machine there may be news
}

TEST(stall_watchdog, has_the_tasks_behind_one_that_never_yields_taken_by_a_core_that_sleeps) {
  if (test::on_sim()) GTEST_SKIP() << "no thread plays watchdog there";
  constexpr int tasks = 20;
  testing::internal::CaptureStderr();
  {
    runtime_options options = watched(2);
    options.affinity = affinity::any;
    const auto call_nobody = [](detail::core& c) { c.worth_a_wake = 1h; };
    runtime rt(test::tuned(std::move(options), call_nobody));
    std::atomic<int> ended{0};
    (void)rt.run([&]() -> task<> {
      co_await with_scope([&](scope& s) -> task<> {
        auto sibling = [&]() -> task<> {
          ++ended;
          co_return;
        };
        for (int i = 0; i < tasks; ++i) (void)s.spawn(sibling);
        while (ended < tasks) std::this_thread::yield();  // they end while this one runs
        co_return;
      });
    });
    EXPECT_EQ(ended, tasks);
  }
  (void)testing::internal::GetCapturedStderr();
}

/// The threads of this process with that name.
std::vector<std::filesystem::path> threads_named(const std::string& name) {
  std::vector<std::filesystem::path> found;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string comm;
    std::getline(std::ifstream(thread.path() / "comm") >> std::ws, comm);
    if (comm == name) found.push_back(thread.path());
  }
  return found;
}

/// The signals that this thread does not take, a bit each (proc(5)).
unsigned long long blocked_by(const std::filesystem::path& thread) {
  std::ifstream status(thread / "status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("SigBlk:")) return std::stoull(line.substr(7), nullptr, 16);
  }
  return 0;
}

TEST(stall_watchdog, is_a_thread_that_takes_no_signals_and_ends_with_the_runtime) {
  if (test::on_sim()) GTEST_SKIP() << "no thread plays watchdog there";
  {
    runtime rt(watched(1));
    const detail::watchdog& dog = rt.inner().watch;
    while (dog.looks() == 0 && !dog.dozing()) std::this_thread::yield();  // it has its name
    const auto dogs = threads_named("corespun-watch");
    ASSERT_EQ(dogs.size(), 1u);
    const auto signals = blocked_by(dogs[0]);
    for (const int n : {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGUSR1, SIGPROF})
      EXPECT_TRUE(signals >> (n - 1) & 1) << "signal " << n;
  }
  EXPECT_TRUE(threads_named("corespun-watch").empty());
}

TEST(stall_watchdog, is_not_there_if_the_notice_is_0_nor_in_a_simulation) {
  {
    runtime rt(watched(1, 0ms));
    EXPECT_FALSE(rt.inner().watch.is_on());
  }
  test::virtual_time time;
  runtime_options simulated = time.options();
  simulated.stall_notice = 1ms;
  runtime rt(simulated);
  EXPECT_FALSE(rt.inner().watch.is_on());
}

TEST(stall_watchdog, is_on_unless_told_otherwise) {
  if (test::on_sim()) GTEST_SKIP() << "no thread plays watchdog there";
  runtime_options options;
  options.cores = 1;
  runtime rt(options);
  EXPECT_TRUE(rt.inner().watch.is_on());
  EXPECT_EQ(options.stall_notice, 25ms);
}

}  // namespace
}  // namespace corespun
