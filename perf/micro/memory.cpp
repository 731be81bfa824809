// What tasks hold while they wait.

#include <corespun/runtime/event.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/this_core.hpp>

#include <unistd.h>

#include <atomic>
#include <fstream>
#include <functional>

#include "micro.hpp"

namespace micro {
namespace {

constexpr int tasks = 100'000;

double resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  double pages = 0;
  statm >> pages >> pages;
  return pages * static_cast<double>(sysconf(_SC_PAGESIZE));
}

struct crowd {
  corespun::event gate;
  std::atomic<int> waiting{0};
};

task<> park(crowd& c) {
  c.waiting.fetch_add(1, std::memory_order_relaxed);
  co_await c.gate.wait();
}

task<> gather(corespun::scope& s, crowd& c, benchmark::State& state) {
  for (auto _ : state) {
    const double before = resident_bytes();
    for (int i = 0; i < tasks; ++i) (void)s.spawn(park, std::ref(c));
    while (c.waiting.load(std::memory_order_relaxed) < tasks) {
      co_await corespun::yield();
    }
    state.counters["bytes"] = (resident_bytes() - before) / tasks;
    c.gate.open();
  }
}

}  // namespace

/// Resident memory for each of the tasks that wait for one event. Only the first benchmark of a
/// process sees memory that nothing else has used before.
task<> parked(benchmark::State& state) {
  crowd c;
  auto all = corespun::with_scope([&](corespun::scope& s) { return gather(s, c, state); });
  co_await std::move(all);
}

}  // namespace micro
