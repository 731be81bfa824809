// Scopes, deadlines, other cores and helper threads, cancelled at each step. Beside sockets, since
// it is on the drivers of the lanes that cores sleep and wake.

#include <corespun/net/stream.hpp>
#include <corespun/runtime/as_result.hpp>
#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/event.hpp>
#include <corespun/runtime/offload.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/sleep.hpp>
#include <corespun/runtime/when.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <semaphore>
#include <string>

#include "tests/support/everywhere.hpp"
#include "tests/support/io_sockets.hpp"
#include "tests/support/tasks.hpp"

namespace corespun::test {
namespace {

using namespace std::chrono_literals;

constexpr auto tick = detail::timer_wheel::tick_length;

class clean_up final : public scenario {
 public:
  explicit clean_up(int& alive) : scenario(alive) {}

  task<> run(scope&) override {
    auto body = [this](scope& s) -> task<> {
      const counted here = in_frame();
      s.on_exit(&clean_up::leave, this);
      ++registered_;
      for (int i = 0; i < 2; ++i) (void)s.spawn(&clean_up::nap, this);
      co_await nap();
      s.on_exit(&clean_up::leave, this);
      ++registered_;
      co_await limits();
    };
    co_await with_scope(std::move(body));
    done = true;
  }

  task<> after() override {
    EXPECT_EQ(left_, registered_) << "on_exit handlers";
    EXPECT_EQ(protected_ended_, protected_begun_) << "shielded tasks";
    co_return;
  }

 private:
  task<> nap() {
    const counted here = in_frame();
    co_await sleep_for(tick);
  }
  task<> leave() {
    const counted here = in_frame();
    co_await sleep_for(tick);
    ++left_;
  }
  task<> keep() {
    const counted here = in_frame();
    ++protected_begun_;
    co_await sleep_for(tick);
    ++protected_ended_;
  }
  task<> limits() {
    const counted here = in_frame();
    auto in_time = with_timeout(1min, nap());
    EXPECT_TRUE((co_await std::move(in_time)).has_value());
    auto too_late = with_timeout(tick, forever());
    EXPECT_EQ(error_in(co_await std::move(too_late)), errc::timed_out);
    auto first = when_any(nap(), forever());
    EXPECT_EQ((co_await std::move(first)).index, 0u);
    auto all = when_all(nap(), shield(1min, keep()));
    (void)co_await std::move(all);
    auto seen = as_result(nap());
    const result<> napped = co_await std::move(seen);
    auto last = shield(1min, keep());  // in a cancelled task, too
    (void)co_await std::move(last);
    EXPECT_TRUE(napped || napped.error() == errc::cancelled);
  }

  int registered_ = 0;
  int left_ = 0;
  int protected_begun_ = 0;
  int protected_ended_ = 0;
};

TEST(cancel_everywhere, each_registered_exit_and_each_begun_shield_runs_to_its_end) {
  cancel_everywhere<clean_up>(io_cores(1, few_buffers()), 0);
}

// A lease, a stream and an event are used on core 0 and end on core 1.
class two_cores final : public scenario {
 public:
  explicit two_cores(int& alive) : scenario(alive) { send_now(ends_.two, "bytes"); }

  task<> run(scope& s) override {
    auto far = s.spawn_on(1, [this]() -> task<int> {
      const counted here = in_frame();
      auto inner = [this](scope& there) -> task<int> {
        auto back = there.spawn_on(0, &two_cores::nap, this);
        auto beside = there.spawn(&two_cores::nap, this);
        (void)co_await back.join();
        (void)co_await beside.join();
        co_return 1;
      };
      co_return co_await with_scope(std::move(inner));
    });
    result<lease> data = co_await stream_.recv();
    auto lease_there = s.spawn_on(1, &two_cores::hold, this, need(std::move(data)));
    auto waits = s.spawn_on(1, [this]() -> task<> { co_await opened_.wait(); });
    auto never = s.spawn_on(1, forever);
    co_await yield();
    opened_.open();
    never.cancel();
    EXPECT_TRUE((co_await never.join()).stopped());
    outcome<int> one = co_await far.join();
    const outcome<void> waited = co_await waits.join();
    const outcome<void> held = co_await lease_there.join();
    auto closes = s.spawn_on(1, [](tcp_stream) -> task<> { co_return; }, std::move(stream_));
    (void)co_await closes.join();
    done = one.has_value() && waited.has_value() && held.has_value();
  }

 private:
  task<> nap() {
    const counted here = in_frame();
    co_await sleep_for(tick);
  }
  task<> hold(lease data) {
    const counted here = in_frame();
    EXPECT_EQ(data.text(), "bytes");
    co_await yield();
  }

  raw_pair ends_ = socket_pair();
  tcp_stream stream_ = stream_on(std::move(ends_.one));
  event opened_;
};

TEST(cancel_everywhere, what_runs_on_another_core_ends_there_and_comes_home) {
  cancel_everywhere<two_cores>(io_cores(2, few_buffers()), 0);
}
TEST(cancel_everywhere, a_scope_may_be_cancelled_from_another_core_at_any_time) {
  if (on_sim()) GTEST_SKIP() << "core 0 may run inside the cancel, and would wait for its end";
  cancel_everywhere<two_cores>(io_cores(2, few_buffers()), 1);
}

class blocking_calls final : public scenario {
 public:
  explicit blocking_calls(int& alive) : scenario(alive) {}

  task<> run(scope& s) override {
    for (int i = 0; i < calls; ++i) (void)s.spawn(&blocking_calls::call, this);
    co_await wait_at_the_gate();
    co_await call();
    done = true;
  }

  task<> after() override {
    EXPECT_EQ(ended_.load(), begun_.load()) << "a call was left behind";
    co_return;
  }

 private:
  static constexpr int calls = 3;

  /// The helper thread is held up meanwhile, by the call that it has begun.
  task<> wait_at_the_gate() {
    struct opener {
      explicit opener(std::counting_semaphore<>& g) noexcept : gate(g) {}
      ~opener() { gate.release(calls + 1); }
      std::counting_semaphore<>& gate;
    } const opens_at_the_end(gate_);
    co_await let_others_run();
  }
  task<> call() {
    const counted here = in_frame();
    auto text = std::make_unique<std::string>("moved into the call");
    auto call = offload(
        [this](std::unique_ptr<std::string> owned) {
          const counted there = in_frame();
          ++begun_;
          gate_.acquire();
          ++ended_;
          return owned->size();
        },
        std::move(text));
    EXPECT_EQ(co_await std::move(call), 19u);
  }

  std::counting_semaphore<> gate_{0};
  std::atomic<int> begun_{0};
  std::atomic<int> ended_{0};
};

TEST(cancel_everywhere, a_blocking_call_is_awaited_or_never_made) {
  if (on_sim()) GTEST_SKIP() << "there are no helper threads";
  runtime_options options = io_cores(1, few_buffers());
  options.offload_threads = 1;  // so that some wait in the queue
  cancel_everywhere<blocking_calls>(options, 0);
}

}  // namespace
}  // namespace corespun::test
