#pragma once
// condition: waits, without the mutex, until somebody says that what it guards has changed.
//
//   auto held = co_await m.lock();
//   while (queue.empty()) co_await changed.wait(held);   // here the mutex is held again
//
// Invariants
//   - wait() gives the mutex away and takes it back; no notify between the two is missed.
//   - Each notify_one() reaches one task that waits, the one that waits longest, if there is any. A
//     task that was notified can no longer be cancelled out of the wait: it takes the mutex first.
//     So no notification is lost.
//   - Look at what you wait for in a loop: another task may have had the mutex in between.
//   - The condition outlives its waiters. Destroying it with waiters aborts.
//   - It is no alternative for select(): wait() gives the mutex away before it waits.
// Threads: any member except the destructor may be called from any thread, with or without the
// mutex.

#include <corespun/runtime/mutex.hpp>

namespace corespun {

class condition;

namespace detail {

/// Waits in two lists, one after the other: in that of the condition, and, woken, in the mutex's.
class [[nodiscard]] condition_wait : private awaiting {
 public:
  condition_wait(condition& c, mutex::guard& held) noexcept;
  condition_wait(condition_wait&& before_it_begins) noexcept
      : place_(std::move(before_it_begins.place_)),
        held_(before_it_begins.held_),
        again_(std::move(before_it_begins.again_)) {}

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <typename Promise>
  void await_suspend(std::coroutine_handle<Promise> self) noexcept {
    begin(*self.promise().owner, self);
  }
  void await_resume() noexcept { held_ = again_.await_resume(); }

 private:
  class place final : public waiter {
   public:
    explicit place(wait_list& list) noexcept : waiter(&list) {}
    bool try_now(granted&) noexcept override { return false; }
  };

  void begin(root& task, std::coroutine_handle<> leaf) noexcept;
  void wake() noexcept override { again_.follow(*task_); }

  static const wait_kind kind;
  place place_;
  mutex::guard& held_;
  decltype(std::declval<mutex&>().lock()) again_;
};

}  // namespace detail

class condition {
 public:
  condition() noexcept {}
  condition(const condition&) = delete;
  condition& operator=(const condition&) = delete;

  /// Unlocks, waits for a notify, locks again. `held` must hold the mutex and outlive the await.
  /// Cancel: `held` is empty then; the mutex was unlocked and is not locked again.
  [[nodiscard]] detail::condition_wait wait(mutex::guard& held) noexcept {
    return detail::condition_wait(*this, held);
  }

  void notify_one() noexcept {
    detail::granted g;
    const std::lock_guard hold(lock_);
    if (detail::waiter* const w = waiting_.claim_first()) g.add(*w);
  }
  void notify_all() noexcept {
    detail::granted g;
    const std::lock_guard hold(lock_);
    while (detail::waiter* const w = waiting_.claim_first()) g.add(*w);
  }

 private:
  friend detail::condition_wait;
  detail::spin_lock lock_;
  detail::wait_list waiting_{lock_, "a condition"};
};

}  // namespace corespun
