// What a step of a coroutine that yields costs, beside what one would write by hand. Each benchmark
// counts elements, nodes or steps; perf/bench/yields runs them in turns.

#include <benchmark/benchmark.h>

#include <corespun/runtime/async_coroutine.hpp>
#include <corespun/runtime/runtime.hpp>

#include <coroutine>
#include <cstdio>
#include <exception>
#include <iterator>
#include <utility>

#include "elsewhere.hpp"

namespace yields {
namespace {

constexpr int range_length = 10'000'000;

// --- a range of integers ---

corespun::generator<int> range(int first, int last) {
  for (int i = first; i < last; ++i) co_yield i;
}

class range_by_hand {
 public:
  class iterator {
   public:
    iterator(int at, int last) noexcept : at_(at), last_(last) {}
    int operator*() const noexcept { return at_; }
    iterator& operator++() noexcept {
      ++at_;
      return *this;
    }
    bool operator==(std::default_sentinel_t) const noexcept { return at_ == last_; }

   private:
    int at_;
    int last_;
  };

  range_by_hand(int first, int last) noexcept : first_(first), last_(last) {}
  [[nodiscard]] iterator begin() const noexcept { return iterator(first_, last_); }
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }

 private:
  int first_;
  int last_;
};

/// Each element is looked at, so that no loop becomes a formula.
template <auto Make>
[[gnu::noinline]] void take_all(int count) {
  for (int i : Make(0, count)) benchmark::DoNotOptimize(i);
}
template <auto Make>
void elements(benchmark::State& state) {
  while (state.KeepRunningBatch(range_length)) take_all<Make>(range_length);
}

range_by_hand by_hand(int first, int last) { return {first, last}; }
range_by_hand_elsewhere by_hand_elsewhere(int first, int last) { return {first, last}; }

corespun::async_generator<int> range_awaited(int last) {
  for (int i = 0; i < last; ++i) co_yield i;
}

corespun::task<> await_all(benchmark::State& state) {
  while (state.KeepRunningBatch(range_length)) {
    auto all = range_awaited(range_length);
    while (true) {
      int* const i = co_await all.next();
      if (i == nullptr) break;
      benchmark::DoNotOptimize(*i);
    }
  }
}

void elements_awaited(benchmark::State& state) {
  corespun::runtime_options options;
  options.cores = 1;
  options.stall_notice = {};  // it never waits
  corespun::runtime machine(options);
  (void)machine.run(await_all, std::ref(state));
}

// --- a balanced tree; the bounds are its nodes, so that no memory is measured ---

corespun::generator<int> in_order(int first, int last) {
  if (first > last) co_return;
  const int middle = first + (last - first) / 2;
  co_yield corespun::elements_of(in_order(first, middle - 1));
  co_yield middle;
  co_yield corespun::elements_of(in_order(middle + 1, last));
}

void nodes(benchmark::State& state) {
  const int count = static_cast<int>(state.range(0));
  while (state.KeepRunningBatch(count)) {
    for (int i : in_order(1, count)) benchmark::DoNotOptimize(i);
  }
}

// --- two ways ---

/// A coroutine and its handle, and nothing else.
struct plain {
  struct promise_type {
    plain get_return_object() noexcept {
      return plain{std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    std::suspend_always final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() const noexcept { std::terminate(); }
  };
  std::coroutine_handle<promise_type> frame;
};

[[gnu::noinline]] plain suspends_for_ever() {
  while (true) co_await std::suspend_always();
}

void resume(benchmark::State& state) {
  const plain p = suspends_for_ever();
  for (auto _ : state) {
    benchmark::DoNotOptimize(p.frame.address());
    p.frame.resume();
  }
  p.frame.destroy();
}

[[gnu::noinline]] corespun::coroutine<int, int> doubles() {
  unsigned x = 0;
  while (true) x = static_cast<unsigned>(co_yield static_cast<int>(2 * x));
}

void send(benchmark::State& state) {
  auto c = doubles();
  (void)c.next();
  int x = 0;
  for (auto _ : state) {
    int twice = *c.send(++x);
    benchmark::DoNotOptimize(twice);
  }
}

[[gnu::noinline]] corespun::coroutine<> bounces(corespun::coroutine<>*& other, long& left) {
  while (left-- > 0) co_await corespun::transfer_to(*other);
}

/// From one to the other and on.
void transfer(benchmark::State& state) {
  constexpr long batch = 1'000'000;
  while (state.KeepRunningBatch(batch)) {
    long left = batch;
    corespun::coroutine<>* to_b = nullptr;
    corespun::coroutine<>* to_a = nullptr;
    auto a = bounces(to_b, left);
    auto b = bounces(to_a, left);
    to_b = &b;
    to_a = &a;
    (void)a.next();
  }
}

BENCHMARK(elements<by_hand>)->Name("elements/by_hand");
BENCHMARK(elements<range>)->Name("elements/generator");
BENCHMARK(elements<by_hand_elsewhere>)->Name("elements_elsewhere/by_hand");
BENCHMARK(elements<range_elsewhere>)->Name("elements_elsewhere/generator");
BENCHMARK(elements_awaited)->Name("elements/async_generator");
BENCHMARK(nodes)->Name("nodes/small")->Arg((1 << 10) - 1);
BENCHMARK(nodes)->Name("nodes/large")->Arg((1 << 20) - 1);
BENCHMARK(resume)->Name("step/plain");
BENCHMARK(send)->Name("step/send");
BENCHMARK(transfer)->Name("step/transfer");

}  // namespace
}  // namespace yields

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) {
    std::fputs("  now: --help lists the options; --benchmark_filter=NAME chooses\n", stderr);
    return 2;
  }
  benchmark::RunSpecifiedBenchmarks();
}
