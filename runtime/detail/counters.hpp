#pragma once
// counters: what a core has done since it started; runtime/metrics.hpp hands them out.
//
// Threads: the core that owns them writes, any thread reads, at any time. Nothing is published by
// them, and each is true by itself: two that are read one after the other may be of different
// moments. So all is relaxed, and an increment costs no more than that of a plain variable.

#include <corespun/runtime/clock.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace corespun::detail {

class counter {
 public:
  void add(std::uint64_t n = 1) noexcept { set(get() + n); }
  void set(std::uint64_t n) noexcept { value_.store(n, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t get() const noexcept {
    return value_.load(std::memory_order_relaxed);
  }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// Of the turns by their length: class i holds those of at most 2^i us that are in no class before,
/// the last one all that are longer.
inline constexpr std::size_t turn_classes = 21;

/// Lines of their own: whoever reads them does not slow down what lies beside.
struct alignas(64) counters {
  // for each task
  counter tasks_run;
  counter spawned;
  counter forked;
  counter mail;
  // for each turn
  counter turns;
  // more rarely
  counter stolen;
  counter injected;  ///< taken from the queue that all cores share
  counter overflowed;  ///< found their lane full
  counter allocated;  ///< blocks for frames, from the allocator
  counter parked;
  counter wakes;  ///< of other cores

  counter busy_ns;  ///< in turns that have ended
  std::array<counter, turn_classes> turns_by_length;

  /// What turn_began() says between two turns.
  static constexpr clock::time_point no_turn = clock::time_point::min();
  /// Since when the present turn lasts, if the core is not inside a poll that may block. A turn
  /// ends where the next one begins, or where the core goes to sleep.
  [[nodiscard]] clock::time_point turn_began() const noexcept {
    return clock::time_point(clock::duration(turn_began_.load(std::memory_order_relaxed)));
  }

  void turn_begins(clock::time_point at) noexcept {
    end_turn(at);
    turns.add();
    turn_began_.store(at.time_since_epoch().count(), std::memory_order_relaxed);
  }
  void parks(clock::time_point at) noexcept {
    end_turn(at);
    parked.add();
    turn_began_.store(no_turn.time_since_epoch().count(), std::memory_order_relaxed);
  }

 private:
  void end_turn(clock::time_point at) noexcept {
    const clock::time_point began = turn_began();
    if (began == no_turn) return;
    const auto ns = static_cast<std::uint64_t>(std::max<clock::rep>((at - began).count(), 0));
    busy_ns.add(ns);
    turns_by_length[class_of(ns)].add();
  }
  [[nodiscard]] static std::size_t class_of(std::uint64_t ns) noexcept {
    const std::uint64_t us = (ns + 999) / 1000;
    const auto power = static_cast<std::size_t>(std::bit_width(us > 0 ? us - 1 : 0));
    return std::min(power, turn_classes - 1);
  }

  std::atomic<clock::rep> turn_began_{no_turn.time_since_epoch().count()};
};

}  // namespace corespun::detail
