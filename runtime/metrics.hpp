#pragma once
// metrics: what a runtime has done since it started, and what waits in it. runtime::metrics() takes
// them, to_prometheus() writes them down for a monitoring system.
//
//   std::string page = to_prometheus(rt.metrics());
//
// Numbers are counted by the cores as they go and read without stopping them: each is true by
// itself, but two of them may be of moments that lie a little apart.

#include <corespun/runtime/detail/counters.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace corespun {

/// Of one core.
struct core_metrics {
  std::string driver;  ///< what it waits with: "uring", "epoll", "futex"

  std::uint64_t turns = 0;  ///< of its loop, the present one included
  std::uint64_t tasks_run = 0;  ///< how often the loop has resumed a task
  std::uint64_t spawned = 0;  ///< tasks that scopes have spawned here, wherever they run
  std::uint64_t forked = 0;  ///< branches that when_all and its kin have started here
  std::uint64_t stolen = 0;  ///< tasks that it took from other cores
  std::uint64_t overflowed = 0;  ///< tasks that found their lane full: others cannot steal them yet
  std::uint64_t injected = 0;  ///< tasks that it took from the shared queue
  std::uint64_t allocated = 0;  ///< blocks for frames, from the allocator: none was free here
  std::uint64_t parked = 0;  ///< how often it went to sleep
  std::uint64_t wakes = 0;  ///< how often it woke another core
  std::uint64_t mail = 0;  ///< messages of other threads that it took in

  // Tasks that are ready.
  std::size_t ready_forks = 0;  ///< not begun, free to move
  std::size_t ready_woken = 0;  ///< begun, free to move
  std::size_t ready_bound = 0;  ///< staying here

  /// Of the time between two looks at the driver, in which nothing arrives: element i counts turns
  /// of at most 2^i us that were longer than the class before, the last one all longer ones.
  std::array<std::uint64_t, detail::turn_classes> turns_by_length{};
  /// All these turns together. The present one is added when it ends.
  std::chrono::nanoseconds busy{};
  /// busy as a part of the time since the runtime started; from 0 to 1.
  double busy_share = 0;
};

struct metrics {
  std::vector<core_metrics> cores;
  std::size_t injection_depth = 0;  ///< tasks in the queue that all cores share
  std::size_t offload_threads = 0;  ///< that there are at present
  std::size_t offload_queued = 0;  ///< calls that wait for a thread
};

/// The text exposition format of Prometheus, version 0.0.4. Serve it as "text/plain;
/// version=0.0.4". Of each core, with the label core:
///   counters    corespun_tasks_{run,spawned,forked,stolen,overflowed,injected}_total,
///               corespun_{turns,frames_allocated,parks,wakes,mail}_total
///   gauges      corespun_ready_tasks (label lane: forks, woken, bound), corespun_busy_ratio,
///               corespun_core_info (label driver; always 1)
///   histogram   corespun_turn_seconds
/// Of all: the gauges corespun_injection_tasks, corespun_offload_threads, corespun_offload_queued.
[[nodiscard]] std::string to_prometheus(const metrics& m);

}  // namespace corespun
