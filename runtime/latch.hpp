#pragma once
// latch: opens when it was counted down to zero, and stays open. An event that several open
// together.
//
//   latch warm(3);   // three tasks call warm.count_down() when they are ready
//   co_await warm.wait();
//
// Invariants: those of event.
// Threads: any member except the destructor may be called from any thread.

#include <corespun/runtime/detail/fatal.hpp>
#include <corespun/runtime/event.hpp>

#include <cstddef>

namespace corespun {

class latch {
 public:
  explicit latch(std::size_t count) noexcept : left_(count) {
    if (count == 0) open_.open();
  }

  /// More than is left is a bug and aborts.
  void count_down(std::size_t n = 1) noexcept {
    // D1: the last one has seen what all others wrote before they counted down; E1 passes it on
    const std::size_t before = left_.fetch_sub(n, std::memory_order_acq_rel);
    if (before < n)
      detail::caller_bug("a latch is counted down below zero", "make it with a larger count");
    if (before == n && n != 0) open_.open();
  }

  /// If true, everything written before each count_down() is visible to the caller.
  [[nodiscard]] bool is_open() const noexcept { return open_.is_open(); }

  /// Waits until the count is zero. Cancel: leaves the latch unchanged.
  [[nodiscard]] auto wait() noexcept { return open_.wait(); }

 private:
  std::atomic<std::size_t> left_;  // written by all; D1
  event open_;
};

}  // namespace corespun
