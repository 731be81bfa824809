// handle_signals: SIGINT and SIGTERM end main in order, a second one ends the process, and what
// does not end is named. Each test runs in a process of its own.

#include <corespun/runtime/as_result.hpp>
#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/runtime.hpp>
#include <corespun/runtime/this_core.hpp>

#include <gtest/gtest.h>

#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <semaphore>
#include <string>
#include <thread>
#include <utility>

#include "tests/support/run.hpp"
#include "tests/support/stderr_watch.hpp"
#include "tests/support/tasks.hpp"

namespace corespun {
namespace {

using namespace std::chrono_literals;
using test::forever;
using test::stderr_watch;
using testing::ExitedWithCode;
using testing::KilledBySignal;

void signal_this_process(int number) { ::kill(::getpid(), number); }

runtime_options handling(unsigned n = 1) {
  runtime_options o = test::cores(n);
  o.handle_signals = true;
  return o;
}

/// Ends the process: 0 if main was stopped, 1 if it ended by itself.
template <typename Fn>
[[noreturn]] void exit_by(runtime_options options, Fn main) {
  std::_Exit(test::outcome_with(std::move(options), std::move(main)).stopped() ? 0 : 1);
}

// --- one function per process ---

void terminated_while_waiting(int number) {
  exit_by(handling(), [number]() -> task<> {
    signal_this_process(number);
    co_await forever();
  });
}

TEST(signals, sigterm_and_sigint_cancel_main_and_run_returns_stopped) {
  if (test::on_sim()) GTEST_SKIP() << "a simulation takes no signals";
  EXPECT_EXIT(terminated_while_waiting(SIGTERM), ExitedWithCode(0), "");
  EXPECT_EXIT(terminated_while_waiting(SIGINT), ExitedWithCode(0), "");
}

void terminated_with_tasks_on_all_cores() {
  exit_by(handling(3), [](scope& s) -> task<> {
    const auto never_waits = []() -> task<> {
      while (true) co_await yield();
    };
    for (unsigned core = 0; core < 3; ++core) {
      (void)s.spawn_on(core, forever);
      (void)s.spawn_on(core, never_waits);
    }
    signal_this_process(SIGTERM);
    co_await forever();
  });
}

TEST(signals, sigterm_reaches_the_tasks_of_all_cores) {
  if (test::on_sim()) GTEST_SKIP() << "a simulation takes no signals";
  EXPECT_EXIT(terminated_with_tasks_on_all_cores(), ExitedWithCode(0), "");
}

void ends_by_itself_after_the_signal() {
  exit_by(handling(), []() -> task<> {
    signal_this_process(SIGTERM);
    (void)co_await as_result(forever());  // says goodbye, and returns
  });
}

TEST(signals, a_main_that_returns_after_the_cancel_has_ended_by_itself) {
  if (test::on_sim()) GTEST_SKIP() << "a simulation takes no signals";
  EXPECT_EXIT(ends_by_itself_after_the_signal(), ExitedWithCode(1), "");
}

void does_not_end_and_is_signalled_again() {
  exit_by(handling(), []() -> task<> {
    signal_this_process(SIGTERM);
    (void)co_await as_result(forever());
    signal_this_process(SIGINT);
    (void)co_await shield(1h, forever());
  });
}

TEST(signals, a_second_one_ends_the_process_by_that_signal_and_names_the_tasks) {
  if (test::on_sim()) GTEST_SKIP() << "a simulation takes no signals";
  EXPECT_EXIT(does_not_end_and_is_signalled_again(), KilledBySignal(SIGINT),
              "second signal ends the process; tasks that still ran\n.*main waits: shield\n");
}

void outlives_the_notice() {
  event told;
  const stderr_watch watch("waits: event", [&] { told.open(); });
  runtime_options o = handling(2);
  o.drain_notice = 1ms;
  exit_by(o, [&](scope& s) -> task<> {
    auto slow = [&]() -> task<> { (void)co_await shield(1h, told.wait()); };
    (void)s.spawn(slow);
    (void)s.spawn_on(1, slow);
    co_await test::let_others_run();
    signal_this_process(SIGTERM);
    co_await forever();
  });
}

TEST(signals, tasks_that_survive_the_drain_notice_are_listed_and_awaited) {
  if (test::on_sim()) GTEST_SKIP() << "a simulation takes no signals";
  EXPECT_EXIT(outlives_the_notice(), ExitedWithCode(0),
              "tasks that still run although they were asked to stop(.|\n)*"
              "task spawned at .*signals_test.cpp:[0-9]+ waits: shield");
}

// The core is busy longer than the report waits for it; the part it still owes must not be written
// after main has gone.
void blocks_its_core_longer_than_the_report_waits() {
  std::binary_semaphore go{0};
  const stderr_watch watch("does not answer", [&] { go.release(); });
  runtime_options o = handling();
  o.drain_notice = 1ms;
  exit_by(o, [&]() -> task<> {
    signal_this_process(SIGTERM);
    go.acquire();
    co_return;
  });
}

TEST(signals, a_core_that_answers_the_report_too_late_harms_nothing) {
  if (test::on_sim()) GTEST_SKIP() << "a simulation takes no signals";
  EXPECT_EXIT(blocks_its_core_longer_than_the_report_waits(), ExitedWithCode(1),
              "core 0 does not answer: main blocks it");
}

using handler = void (*)(int);

handler handler_of(int number) {
  struct sigaction now{};
  ::sigaction(number, nullptr, &now);
  return now.sa_handler;
}

void started_with_sigint_ignored() {
  ::signal(SIGINT, SIG_IGN);
  runtime rt(handling());
  const bool during = rt.run([]() -> task<bool> {
                          signal_this_process(SIGINT);
                          co_return handler_of(SIGINT) == SIG_IGN;
                        }).value();
  std::_Exit(during && handler_of(SIGINT) == SIG_IGN ? 0 : 1);
}

TEST(signals, one_that_is_ignored_stays_ignored) {
  EXPECT_EXIT(started_with_sigint_ignored(), ExitedWithCode(0), "");
}

void hosts_handler(int) {}

void looks_at_the_handlers(bool handle) {
  ::signal(SIGTERM, hosts_handler);
  const auto is_the_hosts = [] { return handler_of(SIGTERM) == hosts_handler; };
  runtime_options o = handling();
  o.handle_signals = handle;
  runtime rt(o);
  const bool untouched_by_start = is_the_hosts();
  const bool ours = rt.run([&]() -> task<bool> { co_return !is_the_hosts(); }).value();
  std::_Exit(untouched_by_start && ours == handle && is_the_hosts() ? 0 : 1);
}

TEST(signals, handlers_are_installed_during_run_only_and_only_if_asked_for) {
  if (test::on_sim()) GTEST_SKIP() << "a simulation takes no signals";
  EXPECT_EXIT(looks_at_the_handlers(true), ExitedWithCode(0), "");
  EXPECT_EXIT(looks_at_the_handlers(false), ExitedWithCode(0), "");
}

void two_runtimes_both_want_them() {
  runtime outer(handling());
  runtime inner(handling());
  event inner_is_running;
  outcome<void> of_inner;
  std::thread other;
  const outcome<void> of_outer = outer.run([&]() -> task<> {
    other = std::thread([&] {
      of_inner = inner.run([&]() -> task<> {
        inner_is_running.open();
        co_await test::let_others_run(1000);
      });
    });
    co_await inner_is_running.wait();
    signal_this_process(SIGTERM);
    co_await forever();
  });
  other.join();
  std::_Exit(of_outer.stopped() && of_inner.has_value() ? 0 : 1);
}

TEST(signals, belong_to_the_first_of_two_runs_that_ask_for_them) {
  if (test::on_sim()) GTEST_SKIP() << "a simulation takes no signals";
  EXPECT_EXIT(two_runtimes_both_want_them(), ExitedWithCode(0), "");
}

}  // namespace
}  // namespace corespun
