#pragma once
// fork_lane: the tasks that a core has forked. The owner takes the newest, thieves the oldest.
//
// Depth first keeps memory bounded by depth; the oldest fork is the largest piece of work.
// Method: the work-stealing deque of Chase and Lev ("Dynamic Circular Work-Stealing Deque", 2005)
// in the C11 form of Lê et al. (2013), with a fixed capacity and ordered operations in place of
// fences. Its owner needs a full barrier in each pop, for the sake of thieves that are mostly not
// there. Here it is they who pay for it: a thief forces a barrier on the owner, once in each visit.
//
// Q3: owner and thief do not both take the last one
//
//   pop                                   steal
//   1  claim: bottom_ = last              1  announce: thieves_ + 1      seq_cst
//   2  look at thieves_; if there are     2  force a barrier on the owner
//      some, claim once more   seq_cst    3  look at top_, bottom_; move top_   seq_cst
//   3  look at top_            seq_cst
//
// If the owner was past its step 2 when the barrier came, the thief sees the claim; if not, the
// owner sees the thief, and both go on with full barriers. An owner that sees no thief has what it
// claimed: a thief that comes later sees the claim.
//
// Invariants: each root comes out exactly once. Indices only grow, but for the step back in pop().
// Threads: push, pop, pop_if and pop_oldest on the owner's; steal and size anywhere.

#include <corespun/runtime/detail/forced_barrier.hpp>
#include <corespun/runtime/detail/root.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace corespun::detail {

class fork_lane {
 public:
  static constexpr std::size_t capacity = 256;

  /// The last one first, so that the first one is the newest. How many found room; the others are
  /// the first of `some`.
  [[nodiscard]] std::size_t push(std::span<root> some) noexcept {
    const std::int64_t bottom = bottom_.load(std::memory_order_relaxed);
    const std::int64_t top = top_.load(std::memory_order_acquire);  // Q2
    const std::size_t n = std::min(some.size(), capacity - static_cast<std::size_t>(bottom - top));
    for (std::size_t i = 0; i < n; ++i)
      slot(bottom + static_cast<std::int64_t>(i))
          .store(&some[some.size() - 1 - i], std::memory_order_relaxed);
    // Q1: publishes the slots and the roots
    bottom_.store(bottom + static_cast<std::int64_t>(n), std::memory_order_release);
    return n;
  }
  /// False: it is full.
  [[nodiscard]] bool push(root& r) noexcept { return push(std::span(&r, 1)) == 1; }

  /// The newest; nullptr: there is none.
  [[nodiscard]] root* pop() noexcept {
    return pop_if([](const root*) noexcept { return true; });
  }
  /// The same; nullptr also if `wanted` does not want it. It may have ended: look at its address
  /// only.
  template <typename Wanted>
  [[nodiscard]] root* pop_if(Wanted wanted) noexcept {
    const std::int64_t last = bottom_.load(std::memory_order_relaxed) - 1;
    if (last < top_.load(std::memory_order_relaxed)) return nullptr;
    root* const newest = slot(last).load(std::memory_order_relaxed);
    if (!wanted(newest)) return nullptr;
    bottom_.store(last, std::memory_order_release);  // Q3 step 1; Q1: of those that are left
    std::atomic_signal_fence(std::memory_order_seq_cst);
    const bool alone = thieves_.load(std::memory_order_acquire) == 0;  // Q3 step 2
    if (!alone) bottom_.exchange(last, std::memory_order_seq_cst);
    std::int64_t top = top_.load(std::memory_order_seq_cst);  // Q3 step 3
    if (top < last) return newest;
    // The last one: whoever moves top_ has it.
    bool won = top == last;
    if (won && alone) {
      top_.store(last + 1, std::memory_order_relaxed);
    } else if (won) {
      won = top_.compare_exchange_strong(top, last + 1, std::memory_order_seq_cst);
    }
    bottom_.store(last + 1, std::memory_order_release);  // Q3: a thief that sees it sees top_
    return won ? newest : nullptr;
  }

  /// The oldest; nullptr: there is none, or a thief was faster.
  [[nodiscard]] root* pop_oldest() noexcept {
    std::int64_t top = top_.load(std::memory_order_seq_cst);  // Q3 step 3
    if (top >= bottom_.load(std::memory_order_seq_cst)) return nullptr;  // Q1, Q3 step 3
    root* const r = slot(top).load(std::memory_order_relaxed);
    // Q2: the slot may be filled again only after it has been read
    return top_.compare_exchange_strong(top, top + 1, std::memory_order_seq_cst) ? r : nullptr;
  }

  /// Takes the oldest into `to`, at most half and as many as there is room for; how many.
  [[nodiscard]] std::size_t steal(std::span<root*> to) noexcept {
    const std::size_t most = std::min((size() + 1) / 2, to.size());
    if (most == 0) return 0;
    std::size_t n = 0;
    thieves_.fetch_add(1, std::memory_order_seq_cst);  // Q3 step 1
    if (!forces_ || force_barriers()) {  // Q3 step 2
      for (root* r; n < most && (r = pop_oldest()) != nullptr; ++n) to[n] = r;
    }
    thieves_.fetch_sub(1, std::memory_order_release);  // Q3: what it took is seen
    return n;
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

  alignas(64) std::atomic<std::int64_t> bottom_{1};  // written by the owner
  alignas(64) std::atomic<std::int64_t> top_{1};  // moved by whoever takes the oldest
  const bool forces_ = can_force_barriers();
  std::atomic<unsigned> thieves_{forces_ ? 0U : 1U};  // inside steal(); or one that is always there
  alignas(64) std::array<place, capacity> slots_{};  // written by the owner
};

}  // namespace corespun::detail
