#pragma once
// ready_lane: the tasks of a core that were woken, first in first out. Thieves take up to half.
//
// Invariants: each root comes out exactly once. Indices only grow: an index that was read names one
// push for ever, so a compare-and-swap of head_ that succeeds proves that the slots which it
// passes were not filled again meanwhile.
// Threads: push and pop on the owner's; steal and size anywhere.

#include <corespun/runtime/detail/root.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace corespun::detail {

class ready_lane {
 public:
  static constexpr std::uint64_t capacity = 256;

  /// False: it is full.
  [[nodiscard]] bool push(root& r) noexcept {
    const std::uint64_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_.load(std::memory_order_acquire) >= capacity) return false;  // Q5
    slots_[tail % capacity].store(&r, std::memory_order_relaxed);
    tail_.store(tail + 1, std::memory_order_release);  // Q4: publishes the slot and the root
    return true;
  }

  /// The oldest; nullptr: there is none.
  [[nodiscard]] root* pop() noexcept {
    const std::uint64_t tail = tail_.load(std::memory_order_relaxed);
    std::uint64_t head = head_.load(std::memory_order_relaxed);
    while (head != tail) {
      root* const r = slots_[head % capacity].load(std::memory_order_relaxed);
      if (head_.compare_exchange_weak(head, head + 1, std::memory_order_acq_rel,
                                      std::memory_order_relaxed))
        return r;
    }
    return nullptr;
  }

  /// Takes the oldest into `to`, at most half and as many as there is room for; how many.
  [[nodiscard]] std::size_t steal(std::span<root*> to) noexcept {
    std::uint64_t head = head_.load(std::memory_order_acquire);
    const std::uint64_t tail = tail_.load(std::memory_order_acquire);  // Q4
    if (tail <= head) return 0;
    const std::uint64_t n = std::min<std::uint64_t>({(tail - head + 1) / 2, to.size(), capacity});
    for (std::uint64_t i = 0; i < n; ++i)
      to[i] = slots_[(head + i) % capacity].load(std::memory_order_relaxed);
    // Q5: the slots may be filled again only after they have been read
    const bool won = head_.compare_exchange_strong(head, head + n, std::memory_order_acq_rel,
                                                   std::memory_order_relaxed);
    return won ? n : 0;
  }

  /// The owner's: how many were pushed so far; and that all of the first n have been taken. Modulo
  /// 2^32.
  [[nodiscard]] std::uint32_t pushed() const noexcept {
    return static_cast<std::uint32_t>(tail_.load(std::memory_order_relaxed));
  }
  [[nodiscard]] bool has_passed(std::uint32_t n) const noexcept {
    const auto taken = static_cast<std::uint32_t>(head_.load(std::memory_order_relaxed));
    return static_cast<std::int32_t>(taken - n) >= 0;
  }

  /// A glance: how many.
  [[nodiscard]] std::size_t size() const noexcept {
    const std::uint64_t head = head_.load(std::memory_order_relaxed);
    const std::uint64_t tail = tail_.load(std::memory_order_relaxed);
    return tail > head ? tail - head : 0;
  }

 private:
  alignas(64) std::atomic<std::uint64_t> tail_{0};  // written by the owner
  alignas(64) std::atomic<std::uint64_t> head_{0};  // moved by whoever takes
  alignas(64) std::array<std::atomic<root*>, capacity> slots_{};  // written by the owner
};

}  // namespace corespun::detail
