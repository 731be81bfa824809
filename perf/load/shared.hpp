#pragma once
// shared: the memory that the parent and the client processes have in common. The parent sets the
// phase, each client writes its own result.

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "histogram.hpp"

namespace load {

enum class phase : std::uint32_t {
  connect,  // open all connections and see one answer on each
  hold,     // keep them, send nothing
  warm_up,  // send
  measure,  // send, and record latencies
  drain,    // wait for what is under way, close, end
};

enum class failure : std::uint8_t { refused, reset, timeout, early_end, mismatch, other };
constexpr std::size_t failure_kinds = 6;
constexpr std::array<const char*, failure_kinds> failure_names{"refused", "reset",    "timeout",
                                                               "short",   "mismatch", "other"};

/// Counters are written by one client and read by the parent while it runs: progress and the
/// number of requests at a point in time, without publishing anything else. The plain members are
/// read after the client has ended.
struct alignas(64) client_result {
  std::atomic<std::uint64_t> requests;   // answers, in all phases
  std::atomic<std::uint64_t> connected;  // connections that have seen their first answer
  std::atomic<std::uint64_t> failed;     // connections lost
  std::array<std::uint64_t, failure_kinds> failures{};
  std::array<char, 160> first_failure{};  // in words; empty if there is none
  std::uint64_t due = 0;                  // requests due in phase::measure
  std::uint64_t answered = 0;             // of these, until the end
  std::uint64_t late = 0;                 // of these, sent late by the client's own fault
  histogram latency;                      // of those answered, from the time when they were due
  histogram stall_latency;                // the same of those that asked the server to compute
  histogram plain_latency;                // and of the others, only with options.stall
  histogram connect;                      // from connect() to the first answer
  std::uint64_t starved = 0;        // active connections without an answer in phase::measure
  std::uint64_t oldest_ns = 0;  // of what was unanswered at its end: the longest wait until then
  std::uint64_t reconnects = 0;  // connections made anew
  histogram reconnect;  // from connect() to the first answer, of these
  std::uint64_t renewals_due = 0;  // in phase::measure
  std::uint64_t renewals_made = 0;  // in phase::measure, whenever they were due
};

constexpr unsigned most_processes = 64;

struct shared_memory {
  std::atomic<phase> now{phase::connect};
  std::array<client_result, most_processes> results;
};

/// Adds one to a counter that only the caller writes: no locked instruction.
inline void count(std::atomic<std::uint64_t>& counter) noexcept {
  counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

}  // namespace load
