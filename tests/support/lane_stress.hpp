#pragma once
// A lane under contention: its owner pushes and pops while thieves steal. Each push must come out
// once, with what was written before it. CORESPUN_TEST_STEALS: how many roots are to be stolen.

#include <corespun/runtime/detail/root.hpp>

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <thread>
#include <vector>

#include "tests/support/sanitizers.hpp"

namespace corespun::test {

[[nodiscard]] inline std::uint64_t steals_to_make() {
  if (const char* const n = std::getenv("CORESPUN_TEST_STEALS"); n != nullptr)
    return std::strtoull(n, nullptr, 10);
  return sanitized ? 100'000 : 3'000'000;
}

/// Lane: a fork_lane or a ready_lane. Steal: lane, span of places -> how many it took.
template <typename Lane, typename Steal>
class lane_stress {
 public:
  lane_stress(Lane& lane, Steal steal) : lane_(lane), steal_(steal), items_(600) {}

  void run(unsigned thieves) {
    {
      std::vector<std::jthread> threads;
      for (unsigned i = 0; i < thieves; ++i) threads.emplace_back([this] { thieve(); });
      own();
    }
    while (detail::root* const r = lane_.pop()) take(*r);
    EXPECT_EQ(lane_.size(), 0u);
    EXPECT_EQ(wrong_, 0u) << "roots came out twice, or without what was written before the push";
    for (const item& i : items_) ASSERT_EQ(i.pushed, i.taken) << "a root was lost or came twice";
    testing::Test::RecordProperty("stolen", std::to_string(stolen_));
  }

 private:
  struct item : detail::root {
    std::atomic<bool> in{false};  // set before a push; the one who takes it clears it
    std::uint64_t pushed = 0;     // written before the push, by the owner
    std::uint64_t taken = 0;      // by the one who has taken it
  };

  // More roots than the lane holds, so that it fills up; now few, so that all fight for the last.
  void own() {
    std::uint32_t random = 1;
    std::size_t at = 0;
    while (stolen_.load(std::memory_order_relaxed) < target_) {
      random = random * 1664525 + 1013904223;  // Knuth's and Lewis's
      const std::uint32_t chance = random >> 16;
      bool full = false;
      for (std::uint32_t n = chance % 16 == 0 ? 300 : chance % 4 + 1; n > 0 && !full; --n)
        full = !push(items_[at++ % items_.size()]);
      for (std::uint32_t n = chance >> 4 & 3; n > 0; --n) {
        if (detail::root* const r = lane_.pop(); r != nullptr) take(*r);
      }
      if (full) std::this_thread::yield();
    }
  }

  /// False: the lane is full.
  bool push(item& i) {
    if (i.in.load(std::memory_order_acquire)) return true;  // still there; the next one
    i.in.store(true, std::memory_order_relaxed);
    ++i.pushed;
    if (lane_.push(i)) return true;
    --i.pushed;
    i.in.store(false, std::memory_order_relaxed);
    return false;
  }

  void take(detail::root& r) {
    auto& i = static_cast<item&>(r);
    const bool right = ++i.taken == i.pushed;
    if (!i.in.exchange(false, std::memory_order_release) || !right) ++wrong_;
  }

  void thieve() {
    std::array<detail::root*, 128> some;
    for (unsigned idle = 0; stolen_.load(std::memory_order_relaxed) < target_;) {
      const std::size_t n = steal_(lane_, std::span(some));
      for (detail::root* const r : std::span(some).first(n)) take(*r);
      if (n != 0) {
        stolen_.fetch_add(n, std::memory_order_relaxed);
        idle = 0;
      } else if (++idle % 64 == 0) {
        std::this_thread::yield();
      }
    }
  }

  Lane& lane_;
  Steal steal_;
  std::vector<item> items_;
  const std::uint64_t target_ = steals_to_make();
  std::atomic<std::uint64_t> stolen_{0};
  std::atomic<std::uint64_t> wrong_{0};
};

}  // namespace corespun::test
