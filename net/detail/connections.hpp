#pragma once
// connections: those of one serve(), by core, and how they are evened out.
//
// The balancer looks now and then at the CPU time of the cores. If they differ, the busiest sends
// some of its connections to the idlest: those that wait for data just now, as many as half of the
// difference is worth if all cost the same.
//
// Threads: an entry by the task of its connection; move_some on the core that gives; the rest any.

#include <corespun/net/stream.hpp>
#include <corespun/runtime/detail/spin_lock.hpp>
#include <corespun/runtime/task.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <span>
#include <vector>

namespace corespun::detail {

class connections {
 public:
  explicit connections(unsigned cores) : cores_(cores) {}
  connections(const connections&) = delete;
  connections& operator=(const connections&) = delete;

  /// One connection, as long as its handler runs.
  class entry {
   public:
    entry(connections& all, unsigned core) noexcept;
    entry(const entry&) = delete;
    entry& operator=(const entry&) = delete;
    ~entry();
    /// On its core: this task, which is not a part of another one, will receive from the stream.
    void begins(const tcp_stream& stream) noexcept;

   private:
    friend connections;
    connections& all_;
    entry* next_ = nullptr;
    entry** place_ = nullptr;  // where this one is linked
    file* file_ = nullptr;
    root* task_ = nullptr;
    std::uint32_t generation_ = 0;
    const unsigned list_;
    unsigned counted_on_;
  };

  /// How many each core has, into as many numbers.
  void count(std::span<unsigned> by_core) const noexcept;
  /// On the core that gives: at most so many, and a bounded number at once; how many.
  unsigned move_some(unsigned most, unsigned to) noexcept;
  /// Evens out at this interval, until cancelled.
  [[nodiscard]] task<> balance(std::chrono::milliseconds every);

 private:
  struct alignas(64) per_core {
    spin_lock lock;
    entry* first = nullptr;  // of those that were accepted for it
    entry* look_next = nullptr;  // where move_some() goes on; nullptr: at the first
    std::atomic<unsigned> count{0};  // of those that are there; a glance
  };
  void count_on(entry& e, unsigned core) noexcept;
  [[nodiscard]] static std::size_t find_here(per_core& c, std::span<entry*> found) noexcept;
  [[nodiscard]] task<std::vector<clock::duration>> cpu_times() const;
  /// last: the CPU time of each core until the last look; nothing: this is the first one.
  [[nodiscard]] task<> balance_once(std::vector<clock::duration>& last, clock::duration every);

  std::vector<per_core> cores_;
};

}  // namespace corespun::detail
