// Starting tasks and waiting for their end.

#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/when.hpp>

#include <utility>
#include <vector>

#include "micro.hpp"

namespace micro {
namespace {

constexpr int many = 1'000'000;

task<> spawn_and_join(corespun::scope& s, benchmark::State& state) {
  for (auto _ : state) {
    auto handle = s.spawn(child, 1);
    const corespun::outcome<int> one = co_await handle.join();
    benchmark::DoNotOptimize(one);
  }
}

}  // namespace

task<> spawn_join(benchmark::State& state) {
  auto all =
      corespun::with_scope([&state](corespun::scope& s) { return spawn_and_join(s, state); });
  co_await std::move(all);
}

/// One of a million that are started one after the other and joined together.
task<> spawn_many(benchmark::State& state) {
  while (state.KeepRunningBatch(many)) {
    auto round = corespun::with_scope([](corespun::scope& s) -> task<> {
      for (int i = 0; i < many; ++i) (void)s.spawn(child, i);
      co_return;
    });
    co_await std::move(round);
  }
}

task<> when_all_one(benchmark::State& state) {
  for (auto _ : state) {
    auto all = corespun::when_all(child(1));
    const auto [one] = co_await std::move(all);
    benchmark::DoNotOptimize(one);
  }
}

task<> when_all_two(benchmark::State& state) {
  for (auto _ : state) {
    auto all = corespun::when_all(child(1), child(2));
    const auto [one, two] = co_await std::move(all);
    benchmark::DoNotOptimize(one + two);
  }
}

/// One of a list of a million.
task<> when_all_many(benchmark::State& state) {
  while (state.KeepRunningBatch(many)) {
    std::vector<task<int>> children;
    children.reserve(many);
    for (int i = 0; i < many; ++i) children.push_back(child(i));
    auto all = corespun::when_all(std::move(children));
    const std::vector<int> numbers = co_await std::move(all);
    benchmark::DoNotOptimize(numbers.data());
  }
}

}  // namespace micro
