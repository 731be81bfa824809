// Waiting for another task, or for time.

#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/event.hpp>
#include <corespun/runtime/offload.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/sleep.hpp>
#include <corespun/runtime/this_core.hpp>

#include <chrono>
#include <memory>

#include "micro.hpp"

using namespace std::chrono_literals;

namespace micro {

/// Opens a gate and passes it.
task<> event(benchmark::State& state) {
  for (auto _ : state) {
    corespun::event gate;
    gate.open();
    co_await gate.wait();
  }
}

namespace {

constexpr int gates = 1000;

struct gate_pair {
  corespun::event ping, pong;
};

task<> answer(gate_pair* pairs) {
  for (int i = 0; i < gates; ++i) {
    co_await pairs[i].ping.wait();
    pairs[i].pong.open();
  }
}

task<> ask(gate_pair* pairs) {
  for (int i = 0; i < gates; ++i) {
    pairs[i].ping.open();
    co_await pairs[i].pong.wait();
  }
}

}  // namespace

/// Two tasks open a gate for each other in turn.
task<> event_round_trip(benchmark::State& state) {
  while (state.KeepRunningBatch(gates)) {
    const auto pairs = std::make_unique<gate_pair[]>(gates);
    auto both = corespun::with_scope([&pairs](corespun::scope& s) -> task<> {
      (void)s.spawn(answer, pairs.get());
      auto asking = ask(pairs.get());
      co_await std::move(asking);
    });
    co_await std::move(both);
  }
}

/// A deadline around a child that ends at once: the timer is armed and cancelled.
task<> timer(benchmark::State& state) {
  for (auto _ : state) {
    auto limited = corespun::with_timeout(1h, child(1));
    const corespun::result<int> one = co_await std::move(limited);
    benchmark::DoNotOptimize(one);
  }
}

namespace {

task<> sleep_for_long() { co_await corespun::sleep_for(1h); }

task<> cancel_sleepers(corespun::scope& s, benchmark::State& state) {
  for (auto _ : state) {
    auto sleeper = s.spawn(sleep_for_long);
    co_await corespun::yield();
    sleeper.cancel();
    const corespun::outcome<void> stopped = co_await sleeper.join();
    benchmark::DoNotOptimize(stopped);
  }
}

}  // namespace

/// A task of its own that sleeps, is cancelled and joined.
task<> sleep_cancel(benchmark::State& state) {
  auto all =
      corespun::with_scope([&state](corespun::scope& s) { return cancel_sleepers(s, state); });
  co_await std::move(all);
}

namespace {

int nothing_to_do() { return 1; }

}  // namespace

/// To a helper thread and back; both sleep until the other one is done.
task<> offload(benchmark::State& state) {
  for (auto _ : state) {
    int one = co_await corespun::offload(nothing_to_do);
    benchmark::DoNotOptimize(one);
  }
}

}  // namespace micro
