#pragma once
// spin_lock: guards what takes a few instructions, such as a list of waiters. One read-modify-write
// to lock, one store to unlock. A std::lock_guard holds it.
//
// Invariants
//   - Nobody waits, calls user code or wakes a task while holding it. Moving or copying a value
//     that cannot throw is the most that happens under it.
//   - Where several are held at once (select), they are taken in the order of their addresses.
//   - unlock() touches it for the last time with its store: who locks after may destroy it.
// Threads: any. Whoever finds it taken for long gives its time slice away: the holder was
// preempted.

#include <atomic>
#include <thread>

namespace corespun::detail {

class spin_lock {
 public:
  spin_lock() noexcept {}
  spin_lock(const spin_lock&) = delete;
  spin_lock& operator=(const spin_lock&) = delete;

  void lock() noexcept {
    // L1: sees what the holder before has written
    while (taken_.exchange(true, std::memory_order_acquire)) wait_until_free();
  }
  void unlock() noexcept {
    taken_.store(false, std::memory_order_release);  // L1: publishes what was written under it
  }

 private:
  [[gnu::noinline]] void wait_until_free() const noexcept {
    for (unsigned looks = 1; taken_.load(std::memory_order_relaxed); ++looks) {
      if (looks % 64 == 0) {
        std::this_thread::yield();
      } else {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        asm volatile("yield");
#endif
      }
    }
  }

  std::atomic<bool> taken_{false};  // written by all; guards what stands beside it
};

}  // namespace corespun::detail
