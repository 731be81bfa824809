// The list of waiting tasks, and the watchdog of these tests that prints it.

#include <corespun/runtime/detail/report.hpp>
#include <corespun/runtime/event.hpp>
#include <corespun/runtime/offload.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/sleep.hpp>
#include <corespun/runtime/when.hpp>

#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <regex>
#include <string>

#include "tests/support/run.hpp"
#include "tests/support/tasks.hpp"

namespace corespun {
namespace {

using namespace std::chrono_literals;
using test::forever;
using test::run_on;

/// What report_tasks writes about `main`; asked from another thread, as a signal would.
task<std::string> report(detail::root& main) {
  co_return co_await offload([&main] {
    testing::internal::CaptureStderr();
    detail::report_tasks(main, "title");
    return testing::internal::GetCapturedStderr();
  });
}

bool matches(const std::string& text, const std::string& pattern) {
  return std::regex_search(text, std::regex(pattern));
}

TEST(report, shows_the_tree_of_tasks_what_each_waits_for_and_where_it_was_spawned) {
  if (test::on_sim()) GTEST_SKIP() << "a simulation reports in its own way";
  run_on(2, []() -> task<> {
    detail::root& main = co_await test::this_root();
    co_await with_scope([&](scope& s) -> task<> {
      auto nested = []() -> task<> {
        co_await with_scope([](scope& inner) -> task<> {
          (void)inner.spawn([]() -> task<> { co_await sleep_for(1h); });
          co_await forever();
        });
      };
      event there;
      auto branches = [](event& begun) -> task<> {
        begun.open();
        (void)co_await when_all(forever(), forever());
      };
      (void)s.spawn(nested);
      (void)s.spawn_on(1, branches, std::ref(there));
      co_await there.wait();
      co_await test::let_others_run(10);
      const std::string text = co_await report(main);
      const std::string spawned = "task spawned at .*report_test\\.cpp:[0-9]+ ";
      EXPECT_TRUE(matches(text, "^corespun: title\n")) << text;
      EXPECT_TRUE(matches(text, "\n  core 0: main waits: scope\n")) << text;
      EXPECT_TRUE(matches(text, "\n    core 0: body waits: offload\n")) << text;
      EXPECT_TRUE(matches(text, "\n    core 0: " + spawned + "waits: scope\n")) << text;
      EXPECT_TRUE(matches(text, "\n      core 0: body waits: event\n")) << text;
      EXPECT_TRUE(matches(text, "\n      core 0: " + spawned + "waits: sleep\n")) << text;
      EXPECT_TRUE(matches(text, "core 1: " + spawned + "waits: group\n")) << text;
      EXPECT_TRUE(matches(text, "(      core 1: body waits: event\n){2}")) << text;
      s.cancel();
    });
  });
}

TEST(report, can_be_written_while_tasks_on_other_cores_begin_and_end) {
  if (test::on_sim()) GTEST_SKIP() << "a simulation reports in its own way";
  run_on(3, []() -> task<> {
    detail::root& main = co_await test::this_root();
    bool over = false;  // not in the body, whose variables end before the tasks of its scope
    co_await with_scope([&](scope& s) -> task<> {
      auto churn = [&]() -> task<> {
        while (!over) {
          auto t = s.spawn_on(1, test::yield_once);
          auto u = s.spawn_on(2, forever);
          u.cancel();
          (void)co_await t.join();
          (void)co_await u.join();
        }
      };
      (void)s.spawn(churn);
      for (int i = 0; i < 50; ++i) {
        const std::string text = co_await report(main);
        EXPECT_TRUE(matches(text, "main waits: scope")) << text;
        EXPECT_FALSE(matches(text, "does not answer")) << text;
      }
      over = true;
    });
  });
}

void hang() {
  test::run([](scope& s) -> task<> {
    (void)s.spawn(forever);
    co_return;
  });
}

TEST(watchdog, a_hang_is_a_failure_that_names_the_waiting_tasks) {
  if (test::on_sim()) GTEST_SKIP() << "a simulation reports in its own way";
  ::setenv("CORESPUN_TEST_LIMIT_S", "1", 1);  // for the process of the death test
  EXPECT_DEATH(hang(),
               "hangs(.|\n)*tasks that still wait(.|\n)*"
               "task spawned at .*report_test.cpp:[0-9]+ waits: event");
  ::unsetenv("CORESPUN_TEST_LIMIT_S");
}

}  // namespace
}  // namespace corespun
