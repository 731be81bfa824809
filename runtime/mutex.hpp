#pragma once
// mutex: one task at a time. The others wait for it without holding up their core.
//
//   auto held = co_await m.lock();  // until the end of the block, over any co_await in it
//
// Invariants
//   - First come, first served: unlock() hands the mutex over to the one who waits longest, so
//     nobody can overtake. Where tasks of several cores fight for it, each turn costs a wake.
//   - The guard may be given to another task, and may go on another core.
//   - Not recursive: who locks it twice waits for himself.
//   - The mutex outlives guards and waiters. Destroying it with waiters aborts.
// Threads: any member except the destructor may be called from any thread.

#include <corespun/runtime/detail/held.hpp>
#include <corespun/runtime/detail/wait_list.hpp>

namespace corespun {

class mutex {
 public:
  /// What lock() gives: move-only, unlocks when it goes.
  using guard = detail::held<mutex>;

 private:
  class locking final : public detail::first_come<locking> {
   public:
    static constexpr const char* name = "mutex";
    explicit locking(mutex& m) noexcept : first_come(m.waiting_), mutex_(m) {}
    bool possible() noexcept override { return !mutex_.locked_; }
    void take(detail::granted&) noexcept override { mutex_.locked_ = true; }
    mutex::guard result() const noexcept { return mutex::guard(&mutex_); }

   private:
    mutex& mutex_;
  };

 public:
  mutex() noexcept {}
  mutex(const mutex&) = delete;
  mutex& operator=(const mutex&) = delete;

  /// Waits until the caller has it. Cancel: leaves the mutex unchanged.
  [[nodiscard]] detail::wait<locking> lock() noexcept { return detail::wait<locking>(*this); }

  /// An empty guard if somebody has it.
  [[nodiscard]] guard try_lock() noexcept {
    const std::lock_guard hold(lock_);
    return guard(std::exchange(locked_, true) ? nullptr : this);
  }

 private:
  friend guard;
  void unlock() noexcept {
    detail::granted g;
    const std::lock_guard hold(lock_);
    locked_ = false;
    waiting_.grant(g);
  }

  detail::spin_lock lock_;
  detail::wait_list waiting_{lock_, "a mutex"};
  bool locked_ = false;
};

}  // namespace corespun
