#pragma once
// semaphore: so many permits. acquire(n) takes n and waits until there are as many; release(n)
// gives them back, or adds some.
//
// Invariants
//   - First come, first served: a large request at the front is not overtaken by small ones.
//   - The semaphore outlives its waiters. Destroying it with waiters aborts.
//   - More permits than there will ever be is a wait without end.
// Threads: any member except the destructor may be called from any thread.

#include <corespun/runtime/detail/wait_list.hpp>

#include <cstddef>

namespace corespun {

class semaphore {
  class acquiring final : public detail::first_come<acquiring> {
   public:
    static constexpr const char* name = "semaphore";
    acquiring(semaphore& s, std::size_t n) noexcept : first_come(s.waiting_), of_(s), n_(n) {}
    bool possible() noexcept override { return n_ <= of_.permits_; }
    void take(detail::granted&) noexcept override { of_.permits_ -= n_; }
    void result() const noexcept {}

   private:
    semaphore& of_;
    std::size_t n_;
  };

 public:
  explicit semaphore(std::size_t permits) noexcept : permits_(permits) {}
  semaphore(const semaphore&) = delete;
  semaphore& operator=(const semaphore&) = delete;

  /// Takes n permits at once. Cancel: leaves the semaphore unchanged; those behind move up.
  [[nodiscard]] detail::wait<acquiring> acquire(std::size_t n = 1) noexcept {
    return detail::wait<acquiring>(*this, n);
  }

  /// False, and nothing is taken, if there are not as many, or others wait already.
  [[nodiscard]] bool try_acquire(std::size_t n = 1) noexcept {
    const std::lock_guard hold(lock_);
    if (!waiting_.empty() || n > permits_) return false;
    permits_ -= n;
    return true;
  }

  void release(std::size_t n = 1) noexcept {
    detail::granted g;
    const std::lock_guard hold(lock_);
    permits_ += n;
    waiting_.grant(g);
  }

  /// What acquire() could take at this moment.
  [[nodiscard]] std::size_t available() const noexcept {
    const std::lock_guard hold(lock_);
    return permits_;
  }

 private:
  mutable detail::spin_lock lock_;
  detail::wait_list waiting_{lock_, "a semaphore"};
  std::size_t permits_;
};

}  // namespace corespun
