// What a world finds: each test plants a mistake.

#include "tests/sim/support.hpp"

#include <corespun/runtime/event.hpp>
#include <corespun/runtime/offload.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <new>
#include <string>
#include <utility>

namespace corespun::test {
namespace {

using namespace std::chrono_literals;

/// What is said; empty if nothing is wrong.
std::string found(const std::function<void(sim::world&)>& test) {
  try {
    sim::run(3, test);
  } catch (const sim::failure& f) {
    return f.what();
  }
  return "";
}

task<> wait_for(event& e) { co_await e.wait(); }

TEST(finds, a_task_that_waits_for_ever_with_its_place_and_what_it_waits_for) {
  const std::string text = found([](sim::world& w) {
    (void)w.host("10.0.0.9", [](scope& s) -> task<> {
      event never;
      auto waiting = s.spawn(wait_for, std::ref(never));
      (void)co_await waiting.join();
    });
    w.run();
  });
  EXPECT_TRUE(text.starts_with("seed 3: nothing can run, and these tasks still wait:\n")) << text;
  EXPECT_NE(text.find("10.0.0.9"), text.npos) << text;
  EXPECT_NE(text.find("finds_test.cpp:"), text.npos) << text;
  EXPECT_NE(text.find("waits: event"), text.npos) << text;
}

TEST(finds, a_condition_that_does_not_come_true_in_time) {
  const std::string text = found([](sim::world& w) {
    (void)w.host("10.0.0.9", []() -> task<> { co_await sleep_for(1h); });
    w.run_until([] { return false; }, 1min);
  });
  EXPECT_NE(text.find("did not hold after 60"), text.npos) << text;
  EXPECT_NE(text.find("waits: sleep"), text.npos) << text;
}

TEST(finds, a_main_that_throws) {
  const std::string text = found([](sim::world& w) {
    (void)w.host("10.0.0.9", []() -> task<> {
      co_await sleep_for(1s);
      throw std::runtime_error("out of yarn");
    });
    w.run();
  });
  EXPECT_EQ(text, "seed 3: main of 10.0.0.9 threw: out of yarn");
}

TEST(finds, a_lease_that_is_never_given_back) {
  const std::string text = found([](sim::world& w) {
    (void)w.host("10.0.0.1", echo_server);
    auto client = w.host("10.0.0.2", []() -> task<> {
      co_await sleep_for(1s);
      auto connecting = connect(server_at());
      tcp_stream s = need(co_await std::move(connecting));
      need(co_await s.write_all(std::as_bytes(std::span("x", 1))));
      lease data = need(co_await s.recv());
      alignas(lease) static std::byte kept[sizeof(lease)];
      ::new (kept) lease(std::move(data));  // never destroyed
    });
    w.run_until([&] { return client.ended(); });
  });
  EXPECT_NE(text.find("still has 1 buffers"), text.npos) << text;
}

TEST(finds, what_depends_on_something_else_than_the_seed) {
  int calls = 0;
  const std::string text = found([&](sim::world& w) {
    (void)w.host("10.0.0.9", [&]() -> task<> {
      if (++calls % 2 == 0) co_await sleep_for(1s);
      co_await sleep_for(1s);
    });
    w.run();
  });
  EXPECT_NE(text.find("two runs differ"), text.npos) << text;
}

// --- every run there is ---

TEST(run_all, sees_each_order_of_two_tasks) {
  std::set<std::string> orders;
  const std::size_t runs = sim::run_all([&](sim::world& w) {
    std::string order;
    (void)w.host("10.0.0.1", [&](scope& s) -> task<> {
      const auto note = [&](char c) -> task<> {
        order += c;
        co_return;
      };
      (void)s.spawn(note, 'a');
      (void)s.spawn(note, 'b');
      co_return;
    });
    w.run();
    orders.insert(order);
  });
  EXPECT_EQ(orders, (std::set<std::string>{"ab", "ba"}));
  EXPECT_GE(runs, 2u);
}

TEST(run_all, tells_the_choices_that_lead_to_a_failure) {
  try {
    (void)sim::run_all([](sim::world& w) {
      if (w.choose(3) == 2 && w.choose(2) == 1) throw sim::failure("here");
    });
    FAIL() << "nothing was found";
  } catch (const sim::failure& f) {
    EXPECT_EQ(std::string(f.what()), "run 4, choices 2 1: here");
  }
}

// Mail between two cores, in every order of their steps: I1 (core.hpp).
TEST(run_all, no_order_of_the_steps_of_two_cores_loses_a_wake) {
  const std::size_t runs = sim::run_all([](sim::world& w) {
    bool ran = false;
    (void)w.host(
        "10.0.0.1",
        [&](scope& s) -> task<> {
          const auto there = [&]() -> task<> {
            ran = true;
            co_return;
          };
          auto t = s.spawn_on(1, there);
          (void)co_await t.join();
        },
        2);
    w.run();
    if (!ran) throw sim::failure("the task on the other core never ran");
  });
  EXPECT_LT(runs, 1'000'000u) << "there are more";
  EXPECT_GT(runs, 100u);
  RecordProperty("runs", static_cast<int>(runs));
}

// A cancel from another core against the end of the task: H2 (scope.cpp).
TEST(run_all, no_order_of_cancel_join_and_end_loses_an_outcome) {
  const std::size_t runs = sim::run_all(
      [](sim::world& w) {
        bool joined = false;
        (void)w.host(
            "10.0.0.1",
            [&](scope& s) -> task<> {
              const auto there = []() -> task<> { co_await yield(); };
              auto t = s.spawn_on(1, there);
              t.cancel();
              const outcome<void> o = co_await t.join();
              joined = true;
              (void)o;
            },
            2);
        w.run();
        if (!joined) throw sim::failure("join never ended");
      },
      200'000);
  EXPECT_GT(runs, 100u);
  RecordProperty("runs", static_cast<int>(runs));
}

}  // namespace
}  // namespace corespun::test
