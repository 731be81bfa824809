// One task alone, or among others that are ready.

#include <corespun/runtime/generator.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/this_core.hpp>

#include "micro.hpp"

namespace micro {
namespace {

[[gnu::noinline]] corespun::generator<int> endless() {
  for (int i = 0;; ++i) co_yield i;
}

}  // namespace

/// An element of a generator.
task<> generator(benchmark::State& state) {
  auto numbers = endless();
  auto next = numbers.begin();
  for (auto _ : state) {
    benchmark::DoNotOptimize(*next);
    ++next;
  }
  co_return;
}

/// The await of a lazy task: frame, call, return, end of the frame.
task<> await_child(benchmark::State& state) {
  for (auto _ : state) {
    auto called = child(1);
    const int one = co_await std::move(called);
    benchmark::DoNotOptimize(one);
  }
}

/// A task that is never awaited.
task<> frame(benchmark::State& state) {
  for (auto _ : state) {
    auto unused = child(1);
    benchmark::DoNotOptimize(unused);
  }
  co_return;
}

task<> yield(benchmark::State& state) {
  for (auto _ : state) co_await corespun::yield();
}

namespace {

task<> yields(int times) {
  for (int i = 0; i < times; ++i) co_await corespun::yield();
}

}  // namespace

/// One yield of one of 1000 tasks, which all do so.
task<> yield_1000(benchmark::State& state) {
  constexpr int tasks = 1000, times = 1000;
  while (state.KeepRunningBatch(tasks * times)) {
    auto round = corespun::with_scope([](corespun::scope& s) -> task<> {
      for (int i = 0; i < tasks; ++i) (void)s.spawn(yields, times);
      co_return;
    });
    co_await std::move(round);
  }
}

}  // namespace micro
