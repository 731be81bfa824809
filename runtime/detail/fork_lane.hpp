#pragma once
// fork_lane: the tasks that a core has forked. The owner takes the newest, thieves the oldest.
//
// Depth first keeps memory bounded by depth; the oldest fork is the largest piece of work.
// Method: the work-stealing deque of Chase and Lev ("Dynamic Circular Work-Stealing Deque", 2005)
// in the C11 form of Lê et al. (2013), with a fixed capacity and ordered operations in place of
// fences.
//
// Invariants: each root comes out exactly once. Indices only grow, but for the step back in pop().
// Threads: push, pop and next on the owner's; steal and size anywhere.

#include <corespun/runtime/detail/root.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace corespun::detail {

class fork_lane {
 public:
  static constexpr std::size_t capacity = 256;

  /// False: it is full.
  [[nodiscard]] bool push(root& r) noexcept {
    const std::int64_t bottom = bottom_.load(std::memory_order_relaxed);
    const std::int64_t top = top_.load(std::memory_order_acquire);  // Q2
    if (static_cast<std::size_t>(bottom - top) >= capacity) return false;
    slot(bottom).store(&r, std::memory_order_relaxed);
    bottom_.store(bottom + 1, std::memory_order_release);  // Q1: publishes the slot and the root
    return true;
  }

  /// What pop() would take unless a thief is first; only an address, it may have ended.
  [[nodiscard]] const root* next() const noexcept {
    const std::int64_t bottom = bottom_.load(std::memory_order_relaxed);
    if (bottom == top_.load(std::memory_order_relaxed)) return nullptr;
    return slot(bottom - 1).load(std::memory_order_relaxed);
  }

  /// The newest; nullptr: there is none.
  [[nodiscard]] root* pop() noexcept {
    const std::int64_t last = bottom_.load(std::memory_order_relaxed) - 1;
    if (last < top_.load(std::memory_order_relaxed)) return nullptr;
    // Q3: claim, then look. A thief looks, then claims; both cannot miss.
    bottom_.exchange(last, std::memory_order_seq_cst);
    std::int64_t top = top_.load(std::memory_order_seq_cst);
    if (top < last) return slot(last).load(std::memory_order_relaxed);
    // The last one: whoever moves top_ has it.
    const bool won =
        top == last && top_.compare_exchange_strong(top, top + 1, std::memory_order_seq_cst);
    bottom_.store(last + 1, std::memory_order_relaxed);
    return won ? slot(last).load(std::memory_order_relaxed) : nullptr;
  }

  /// The oldest; nullptr: there is none, or another was faster.
  [[nodiscard]] root* steal() noexcept {
    std::int64_t top = top_.load(std::memory_order_seq_cst);            // Q3
    if (top >= bottom_.load(std::memory_order_seq_cst)) return nullptr;  // Q1, Q3
    root* const r = slot(top).load(std::memory_order_relaxed);
    // Q2: the slot may be filled again only after it has been read
    return top_.compare_exchange_strong(top, top + 1, std::memory_order_seq_cst) ? r : nullptr;
  }

  /// A glance: how many, and the index of the oldest.
  [[nodiscard]] std::size_t size() const noexcept {
    const std::int64_t n =
        bottom_.load(std::memory_order_relaxed) - top_.load(std::memory_order_relaxed);
    return n > 0 ? static_cast<std::size_t>(n) : 0;
  }
  [[nodiscard]] std::int64_t oldest() const noexcept {
    return top_.load(std::memory_order_relaxed);
  }

 private:
  using place = std::atomic<root*>;
  [[nodiscard]] place& slot(std::int64_t i) noexcept {
    return slots_[static_cast<std::size_t>(i) % capacity];
  }
  [[nodiscard]] const place& slot(std::int64_t i) const noexcept {
    return slots_[static_cast<std::size_t>(i) % capacity];
  }

  alignas(64) std::atomic<std::int64_t> bottom_{1};  // written by the owner
  alignas(64) std::atomic<std::int64_t> top_{1};     // moved by whoever takes the oldest
  alignas(64) std::array<place, capacity> slots_{};  // written by the owner
};

}  // namespace corespun::detail
