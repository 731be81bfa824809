#pragma once
// What single operations of tasks cost. Each benchmark is a task that runs the loop itself, on a
// runtime with as many cores as its argument says; main.cpp lists them by name. The peers of
// perf/peers/tasks_* do the same under the same names. Also counted: for how many frames the
// allocator was called, by each operation.
//
// The runtime is the compute pool, without I/O.

#include <benchmark/benchmark.h>

#include <corespun/runtime/task.hpp>

namespace micro {

using corespun::task;

// task.cpp
task<> generator(benchmark::State& state);
task<> await_child(benchmark::State& state);
task<> frame(benchmark::State& state);
task<> yield(benchmark::State& state);
task<> yield_1000(benchmark::State& state);

// join.cpp
task<> spawn_join(benchmark::State& state);
task<> spawn_many(benchmark::State& state);
task<> when_all_one(benchmark::State& state);
task<> when_all_two(benchmark::State& state);
task<> when_all_many(benchmark::State& state);

// wait.cpp
task<> event(benchmark::State& state);
task<> event_round_trip(benchmark::State& state);
task<> timer(benchmark::State& state);
task<> sleep_cancel(benchmark::State& state);
task<> offload(benchmark::State& state);

// sync.cpp
task<> mutex(benchmark::State& state);
task<> channel(benchmark::State& state);
task<> ping_pong(benchmark::State& state);
task<> on_core(benchmark::State& state);

// memory.cpp
task<> parked(benchmark::State& state);

/// A child that does nothing else. Not inlined, since a compiler that sees through it also saves
/// its frame.
[[gnu::noinline]] inline task<int> child(int x) { co_return x; }

}  // namespace micro
