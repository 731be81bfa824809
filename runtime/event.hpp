#pragma once
// event: a gate that opens once. Tasks wait until it is open; it never closes again.
//
// Invariants
//   - Each waiter becomes ready exactly once, on the core where it waited.
//   - open() only makes waiters ready; no waiter runs inside it.
//   - The event outlives its waiters. Destroying it with waiters aborts.
// Threads: any member except the destructor may be called from any thread.

#include <corespun/runtime/detail/core.hpp>

#include <atomic>
#include <mutex>

namespace corespun {

class event;

namespace detail {

class [[nodiscard]] event_awaiter {
 public:
  explicit event_awaiter(event& e) noexcept : event_(&e) {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <typename Promise>
  void await_suspend(std::coroutine_handle<Promise> self) noexcept {
    waiter_ = self.promise().owner;
    if (waiter_->begin_wait(self, this, kind)) begin();
  }
  void await_resume() const noexcept {}

 private:
  friend event;
  void begin() noexcept;
  static const wait_kind kind;

  event* event_;
  root* waiter_ = nullptr;
  event_awaiter* prev_ = nullptr;
  event_awaiter* next_ = nullptr;
};

}  // namespace detail

class event {
 public:
  event() noexcept {}
  event(const event&) = delete;
  event& operator=(const event&) = delete;
  ~event();

  /// Opens the gate and makes all waiters ready. Later calls do nothing.
  void open() noexcept;

  /// If true, everything written before open() is visible to the caller.
  // E1
  [[nodiscard]] bool is_open() const noexcept { return open_.load(std::memory_order_acquire); }

  /// Waits until the gate is open. An open gate lets the task pass by way of the ready queue.
  /// Cancel: leaves the event unchanged.
  [[nodiscard]] detail::event_awaiter wait() noexcept { return detail::event_awaiter(*this); }

 private:
  friend detail::event_awaiter;
  bool enter(detail::event_awaiter& w) noexcept;
  bool leave(detail::event_awaiter& w) noexcept;

  std::atomic<bool> open_{false};  // written once, under the mutex; E1
  std::mutex mutex_;               // guards the list, held for a few instructions
  detail::event_awaiter* waiters_ = nullptr;
};

}  // namespace corespun
