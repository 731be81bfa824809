#pragma once
// event: a gate that opens once. Tasks wait until it is open; it never closes again.
//
// Invariants
//   - Each waiter becomes ready exactly once, in the order of waiting.
//   - open() only makes waiters ready; no waiter runs inside it.
//   - The event outlives its waiters. Destroying it with waiters aborts.
// Threads: any member except the destructor may be called from any thread.

#include <corespun/runtime/detail/wait_list.hpp>

namespace corespun {

class event {
  class waiting final : public detail::first_come<waiting> {
   public:
    static constexpr const char* name = "event";
    explicit waiting(event& e) noexcept : first_come(e.waiting_), event_(e) {}
    bool possible() noexcept override { return event_.open_.load(std::memory_order_relaxed); }
    void result() const noexcept {}

   private:
    event& event_;
  };

 public:
  event() noexcept {}
  event(const event&) = delete;
  event& operator=(const event&) = delete;
  ~event() {
    // whoever saw is_open() may come before open() has let go
    const std::lock_guard hold(lock_);
  }

  /// Opens the gate and makes all waiters ready. Later calls do nothing.
  void open() noexcept {
    detail::granted g;
    const std::lock_guard hold(lock_);
    open_.store(true, std::memory_order_release);  // E1: publishes all before open()
    waiting_.grant(g);
  }

  /// If true, everything written before open() is visible to the caller.
  // E1
  [[nodiscard]] bool is_open() const noexcept { return open_.load(std::memory_order_acquire); }

  /// Waits until the gate is open. Cancel: leaves the event unchanged.
  [[nodiscard]] detail::wait<waiting> wait() noexcept { return detail::wait<waiting>(*this); }

 private:
  std::atomic<bool> open_{false};  // written under the lock; E1
  detail::spin_lock lock_;
  detail::wait_list waiting_{lock_, "an event"};
};

}  // namespace corespun
