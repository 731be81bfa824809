// scope::on_exit: clean-up that may itself wait. It runs last, in reverse, come what may, but not
// for ever.

#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/sleep.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>

#include "tests/support/tasks.hpp"
#include "tests/support/trace.hpp"
#include "tests/support/virtual_time.hpp"

namespace corespun {
namespace {

using namespace std::chrono_literals;
using test::counted;
using test::forever;
using test::noted;
using test::run;
using test::virtual_time;
using test::yield_once;

/// A handler that waits a little before it notes that it ran.
task<> note(std::string& log, std::string name) {
  co_await yield();
  log += name + ' ';
}

TEST(on_exit, handlers_run_in_reverse_order_after_all_tasks) {
  std::string log;
  run([&]() -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      s.on_exit(note, std::ref(log), "first");
      s.on_exit(note, std::ref(log), "second");
      (void)s.spawn(note, std::ref(log), "task");
      log += "body ";
      co_return;
    });
    log += "after";
  });
  EXPECT_EQ(log, "body task second first after");
}

TEST(on_exit, handlers_can_wait_after_a_cancel) {
  std::string log;
  run([&]() -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      s.on_exit(note, std::ref(log), "handler");
      s.cancel();
      co_await yield();
    });
  });
  EXPECT_EQ(log, "handler ");
}

TEST(on_exit, handlers_can_wait_when_the_task_that_opened_the_scope_is_cancelled) {
  std::string log;
  run([&](scope& s) -> task<> {
    auto inner = [&]() -> task<> {
      co_await with_scope([&](scope& mine) -> task<> {
        mine.on_exit(note, std::ref(log), "handler");
        co_await forever();
      });
    };
    auto t = s.spawn(inner);
    co_await yield();
    t.cancel();
    const outcome<void> ended = co_await t.join();
    EXPECT_TRUE(ended.stopped());
    EXPECT_EQ(log, "handler ");
  });
}

TEST(on_exit, handlers_run_after_an_exception_which_is_then_rethrown) {
  std::string log;
  run([&]() -> task<> {
    try {
      co_await with_scope([&](scope& s) -> task<> {
        s.on_exit(note, std::ref(log), "handler");
        co_await yield();
        throw std::runtime_error("body");
      });
    } catch (const std::runtime_error& e) {
      log += e.what();
    }
  });
  EXPECT_EQ(log, "handler body");
}

TEST(on_exit, an_exception_of_a_handler_comes_out_after_the_others_ran) {
  std::string log;
  auto fail = [](const char* what) -> task<> {
    co_await yield();
    throw std::runtime_error(what);
  };
  run([&]() -> task<> {
    try {
      co_await with_scope([&](scope& s) -> task<> {
        s.on_exit(note, std::ref(log), "last");
        s.on_exit(fail, "second failure");
        s.on_exit(fail, "first failure");
        co_return;
      });
    } catch (const std::runtime_error& e) {
      log += e.what();
    }
  });
  EXPECT_EQ(log, "last first failure");
}

TEST(on_exit, the_exception_of_a_task_wins_over_that_of_a_handler) {
  run([]() -> task<> {
    int caught = 0;
    try {
      co_await with_scope([](scope& s) -> task<> {
        s.on_exit([]() -> task<> {
          co_await yield();
          throw 2;
        });
        co_await yield();
        throw 1;
      });
    } catch (int x) {
      caught = x;
    }
    EXPECT_EQ(caught, 1);
  });
}

TEST(on_exit, a_handler_that_is_no_coroutine_may_throw_too) {
  std::string log;
  run([&]() -> task<> {
    auto refuse = []() -> task<> { throw 4; };
    int caught = 0;
    try {
      co_await with_scope([&](scope& s) -> task<> {
        s.on_exit(note, std::ref(log), "other");
        s.on_exit(refuse);
        co_return;
      });
    } catch (int x) {
      caught = x;
    }
    EXPECT_EQ(caught, 4);
    EXPECT_EQ(log, "other ");
  });
}

TEST(on_exit, a_value_of_the_body_comes_out_after_the_handlers) {
  std::string log;
  run([&]() -> task<> {
    const int one = co_await with_scope([&](scope& s) -> task<int> {
      s.on_exit(note, std::ref(log), "handler");
      co_return 1;
    });
    EXPECT_EQ(one, 1);
    EXPECT_EQ(log, "handler ");
  });
}

TEST(on_exit, all_handlers_together_have_the_exit_limit) {
  virtual_time time;
  std::string log;
  auto sleeps = [&](clock::duration d) -> task<> {
    const noted ended(log, "ended");
    co_await sleep_for(d);
    log += "slept ";
  };
  testing::internal::CaptureStderr();
  time.run([&]() -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      s.on_exit(sleeps, clock::duration(1s));  // its time is used up
      s.on_exit(sleeps, clock::duration(1h));
      s.on_exit(sleeps, clock::duration(4s));
      co_return;
    });
    EXPECT_EQ(time.elapsed(), scope::exit_limit);
  });
  EXPECT_EQ(log, "slept ended ended ended ");
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("on_exit handler did not end in time"), std::string::npos) << said;
}

TEST(on_exit, keeps_the_handler_and_its_arguments_until_it_has_run_and_no_longer) {
  int alive = 0;
  run([&]() -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      {
        auto handler = [kept = counted(alive)](const counted&, std::unique_ptr<int> p) -> task<> {
          co_await yield();
          EXPECT_EQ(*p, 3);
        };
        s.on_exit(std::move(handler), counted(alive), std::make_unique<int>(3));
      }
      EXPECT_EQ(alive, 2);
      co_return;
    });
    EXPECT_EQ(alive, 0);
  });
}

TEST(on_exit, a_handler_may_spawn_and_the_scope_waits_for_that) {
  std::string log;
  run([&]() -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      s.on_exit([&]() -> task<> {
        (void)s.spawn(note, std::ref(log), "spawned");
        co_return;
      });
      co_return;
    });
    log += "after";
  });
  EXPECT_EQ(log, "spawned after");
}

TEST(on_exit, a_handler_may_register_another) {
  std::string log;
  run([&]() -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      s.on_exit([&]() -> task<> {
        s.on_exit(note, std::ref(log), "inner");
        co_return;
      });
      co_return;
    });
  });
  EXPECT_EQ(log, "inner ");
}

}  // namespace
}  // namespace corespun
