// driver: the futex driver, and what a core promises to each driver.

#include <corespun/runtime/driver.hpp>
#include <corespun/runtime/event.hpp>
#include <corespun/runtime/runtime.hpp>
#include <corespun/runtime/sleep.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/run.hpp"
#include "tests/support/tasks.hpp"

namespace corespun {
namespace {

using namespace std::chrono_literals;
using test::run_on;

TEST(futex_driver, does_not_block_when_told_so) {
  const auto d = make_futex_driver(0);
  for (int i = 0; i < 1000; ++i) d->poll(clock::time_point::min());
  EXPECT_EQ(d->in_flight(), 0u);
}

TEST(futex_driver, blocks_until_the_deadline_and_not_less) {
  const auto d = make_futex_driver(0);
  const clock::time_point deadline = clock::now() + 2ms;
  d->poll(deadline);
  EXPECT_GE(clock::now(), deadline);
  d->poll(deadline);  // has passed: returns
}

TEST(futex_driver, a_wake_before_the_poll_ends_that_poll_and_counts_once) {
  const auto d = make_futex_driver(0);
  d->wake();
  d->wake();
  d->poll(clock::time_point::max());
  const clock::time_point deadline = clock::now() + 1ms;
  d->poll(deadline);
  EXPECT_GE(clock::now(), deadline) << "the second wake was not a second one";
}

TEST(futex_driver, a_wake_from_another_thread_ends_a_poll_that_blocks) {
  const auto d = make_futex_driver(0);
  std::atomic<int> polls{0};
  constexpr int rounds = 1000;
  std::jthread poller([&] {
    for (int i = 0; i < rounds; ++i) {
      d->poll(clock::time_point::max());
      ++polls;
    }
  });
  for (int i = 0; i < rounds; ++i) {
    d->wake();
    while (polls <= i) std::this_thread::yield();
  }
}

// Each message must wake the other core; one lost wake and this hangs (edge I1).
TEST(core, no_wake_is_lost_in_a_game_of_ping_pong) {
  constexpr int rounds = 5000;
  run_on(2, [](scope& s) -> task<> {
    std::vector<std::unique_ptr<event>> ping, pong;
    for (int i = 0; i < rounds; ++i) {
      ping.push_back(std::make_unique<event>());
      pong.push_back(std::make_unique<event>());
    }
    auto other = [&]() -> task<> {
      for (std::size_t i = 0; i < rounds; ++i) {
        co_await ping[i]->wait();
        pong[i]->open();
      }
    };
    auto t = s.spawn_on(1, other);
    for (std::size_t i = 0; i < rounds; ++i) {
      ping[i]->open();
      co_await pong[i]->wait();
    }
    (void)co_await t.join();
  });
}

// --- what a core promises to its driver ---

struct protocol {
  std::atomic<int> attached{0};
  std::atomic<int> polled_before_attach{0};
  std::atomic<int> foreign_threads{0};
  std::atomic<int> cancelled_all{0};
  std::atomic<int> owed{0};
  std::atomic<int> alive{0};
};

class recording_driver final : public driver {
 public:
  explicit recording_driver(protocol& p) : p_(p), inner_(make_futex_driver(0)) { ++p_.alive; }
  ~recording_driver() override { --p_.alive; }
  void attach(detail::core& c) override {
    ++p_.attached;
    thread_ = std::this_thread::get_id();
    inner_->attach(c);
  }
  void poll(clock::time_point deadline) override {
    if (p_.attached == 0) ++p_.polled_before_attach;
    if (std::this_thread::get_id() != thread_) ++p_.foreign_threads;
    if (p_.cancelled_all > 0 && p_.owed > 0) {  // completions trickle in after the cancel
      --p_.owed;
      return;
    }
    inner_->poll(deadline);
  }
  void wake() noexcept override { inner_->wake(); }
  std::size_t in_flight() const noexcept override {
    return static_cast<std::size_t>(p_.owed.load());
  }
  void cancel_all() override { ++p_.cancelled_all; }
  const char* name() const noexcept override { return "recording"; }

 private:
  protocol& p_;
  std::unique_ptr<driver> inner_;
  std::thread::id thread_;
};

runtime_options recorded(protocol& p) {
  runtime_options o = test::cores(1);
  o.driver = [&p](unsigned) { return std::make_unique<recording_driver>(p); };
  return o;
}

TEST(core, attaches_its_driver_once_and_polls_on_its_own_thread_only) {
  if (test::on_sim()) GTEST_SKIP() << "has a driver of its own";
  protocol p;
  test::run_with(recorded(p), []() -> task<> {
    for (int i = 0; i < 1000; ++i) co_await yield();
    co_await sleep_for(1us);
  });
  EXPECT_EQ(p.attached, 1);
  EXPECT_EQ(p.polled_before_attach, 0);
  EXPECT_EQ(p.foreign_threads, 0);
  EXPECT_EQ(p.alive, 0);
}

TEST(core, at_its_end_cancels_all_operations_and_stays_until_none_is_owed) {
  if (test::on_sim()) GTEST_SKIP() << "has a driver of its own";
  protocol p;
  {
    runtime rt(recorded(p));
    p.owed = 5;
    EXPECT_EQ(p.cancelled_all, 0);
  }
  EXPECT_EQ(p.cancelled_all, 1);
  EXPECT_EQ(p.owed, 0);
}

}  // namespace
}  // namespace corespun
