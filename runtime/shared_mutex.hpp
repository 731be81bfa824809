#pragma once
// shared_mutex: one task alone, or any number that share.
//
//   auto reading = co_await m.lock_shared();
//   auto writing = co_await m.lock();
//
// Invariants
//   - First come, first served: who waits to be alone is not overtaken by those who would share,
//     and those who wait to share, one behind the other, are let in together.
//   - Guards may be given to another task, and may go on another core. One that shares cannot
//     become one that is alone.
//   - The mutex outlives guards and waiters. Destroying it with waiters aborts.
// Threads: any member except the destructor may be called from any thread.

#include <corespun/runtime/detail/held.hpp>
#include <corespun/runtime/detail/wait_list.hpp>

#include <cstddef>

namespace corespun {

class shared_mutex {
  template <detail::access Access>
  class locking final : public detail::first_come<locking<Access>> {
   public:
    static constexpr const char* name = "shared_mutex";
    explicit locking(shared_mutex& m) noexcept
        : detail::first_come<locking>(m.waiting_), mutex_(m) {}
    bool possible() noexcept override { return mutex_.free_for(Access); }
    void take(detail::granted&) noexcept override { mutex_.take(Access); }
    detail::held<shared_mutex, Access> result() const noexcept {
      return detail::held<shared_mutex, Access>(&mutex_);
    }

   private:
    shared_mutex& mutex_;
  };

 public:
  /// What lock() and lock_shared() give: move-only, unlock when they go.
  using guard = detail::held<shared_mutex>;
  using shared_guard = detail::held<shared_mutex, detail::access::shared>;

  shared_mutex() noexcept {}
  shared_mutex(const shared_mutex&) = delete;
  shared_mutex& operator=(const shared_mutex&) = delete;

  /// Waits until the caller is alone. Cancel: leaves the mutex unchanged; those behind move up.
  [[nodiscard]] detail::wait<locking<detail::access::alone>> lock() noexcept {
    return detail::wait<locking<detail::access::alone>>(*this);
  }
  /// Waits until nobody is alone in it. Cancel: leaves the mutex unchanged.
  [[nodiscard]] detail::wait<locking<detail::access::shared>> lock_shared() noexcept {
    return detail::wait<locking<detail::access::shared>>(*this);
  }

  /// An empty guard if it cannot be had at once, or others wait already.
  [[nodiscard]] guard try_lock() noexcept {
    return guard(try_take(detail::access::alone) ? this : nullptr);
  }
  [[nodiscard]] shared_guard try_lock_shared() noexcept {
    return shared_guard(try_take(detail::access::shared) ? this : nullptr);
  }

 private:
  friend guard;
  friend shared_guard;

  // Under the lock.
  bool free_for(detail::access a) const noexcept {
    return !alone_ && (a == detail::access::shared || sharing_ == 0);
  }
  void take(detail::access a) noexcept {
    if (a == detail::access::alone) {
      alone_ = true;
    } else {
      ++sharing_;
    }
  }

  bool try_take(detail::access a) noexcept {
    const std::lock_guard hold(lock_);
    if (!waiting_.empty() || !free_for(a)) return false;
    take(a);
    return true;
  }
  void unlock() noexcept {
    detail::granted g;
    const std::lock_guard hold(lock_);
    alone_ = false;
    waiting_.grant(g);
  }
  void unlock_shared() noexcept {
    detail::granted g;
    const std::lock_guard hold(lock_);
    --sharing_;
    waiting_.grant(g);
  }

  detail::spin_lock lock_;
  detail::wait_list waiting_{lock_, "a shared_mutex"};
  bool alone_ = false;
  std::size_t sharing_ = 0;
};

}  // namespace corespun
