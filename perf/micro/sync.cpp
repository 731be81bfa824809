// What tasks share: a mutex, channels; and calls from core to core.

#include <corespun/runtime/channel.hpp>
#include <corespun/runtime/mutex.hpp>
#include <corespun/runtime/on_core.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/this_core.hpp>

#include <cstddef>
#include <functional>
#include <utility>

#include "micro.hpp"

namespace micro {

/// Locks and unlocks a mutex that nobody else wants.
task<> mutex(benchmark::State& state) {
  corespun::mutex m;
  for (auto _ : state) {
    const corespun::mutex::guard held = co_await m.lock();
    benchmark::DoNotOptimize(held);
  }
}

namespace {

constexpr int items = 100'000;
constexpr std::size_t capacity = 128;

task<> send_all(corespun::channel<int>& to) {
  for (int i = 0; i < items; ++i) {
    const corespun::result<> sent = co_await to.send(i);
    if (!sent) co_return;
  }
}

task<> receive_all(corespun::channel<int>& from) {
  for (int i = 0; i < items; ++i) {
    const corespun::result<int> item = co_await from.recv();
    benchmark::DoNotOptimize(item);
  }
}

}  // namespace

/// One item of many that a task sends to another, with room for 128.
task<> channel(benchmark::State& state) {
  corespun::channel<int> c(capacity);
  while (state.KeepRunningBatch(items)) {
    auto both = corespun::with_scope([&c](corespun::scope& s) -> task<> {
      (void)s.spawn(send_all, std::ref(c));
      auto receiving = receive_all(c);
      co_await std::move(receiving);
    });
    co_await std::move(both);
  }
}

namespace {

task<> answer(corespun::channel<int>& ping, corespun::channel<int>& pong) {
  while (true) {
    const corespun::result<int> item = co_await ping.recv();
    if (!item) co_return;
    const corespun::result<> sent = co_await pong.send(*item);
    if (!sent) co_return;
  }
}

}  // namespace

/// Two tasks with a channel each way, with room for one: there and back.
task<> ping_pong(benchmark::State& state) {
  corespun::channel<int> ping(1), pong(1);
  auto both = corespun::with_scope([&](corespun::scope& s) -> task<> {
    (void)s.spawn(answer, std::ref(ping), std::ref(pong));
    for (auto _ : state) {
      const corespun::result<> sent = co_await ping.send(1);
      const corespun::result<int> item = co_await pong.recv();
      benchmark::DoNotOptimize(item);
      if (!sent) co_return;
    }
    ping.close();
  });
  co_await std::move(both);
}

/// A function that is called on the last core, and its answer. If that is another core, each sleeps
/// until it hears from the other one; perf/mailbox has more of that.
task<> on_core(benchmark::State& state) {
  const unsigned last = corespun::this_core::count() - 1;
  for (auto _ : state) {
    const unsigned there = co_await corespun::on_core(last, corespun::this_core::index);
    benchmark::DoNotOptimize(there);
  }
}

}  // namespace micro
