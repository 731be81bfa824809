#pragma once
// semaphore: so many permits. acquire(n) takes n and waits until there are as many; release(n)
// gives them back, or adds some.
//
//   auto place = co_await places.hold();  // one, until the end of the block
//
// Invariants
//   - First come, first served: a large request at the front is not overtaken by small ones.
//   - The semaphore outlives its waiters. Destroying it with waiters aborts.
//   - More permits than there will ever be is a wait without end.
// Threads: any member except the destructor may be called from any thread.

#include <corespun/runtime/detail/held.hpp>
#include <corespun/runtime/detail/wait_list.hpp>

#include <cstddef>
#include <type_traits>

namespace corespun {

class semaphore {
 public:
  /// What hold() gives: move-only, gives its permit back when it goes, on whatever core.
  using guard = detail::held<semaphore>;

 private:
  template <typename Result>
  class acquiring final : public detail::first_come<acquiring<Result>> {
   public:
    static constexpr const char* name = "semaphore";
    acquiring(semaphore& s, std::size_t n) noexcept
        : detail::first_come<acquiring>(s.waiting_), of_(s), n_(n) {}
    bool possible() noexcept override { return n_ <= of_.permits_; }
    void take(detail::granted&) noexcept override { of_.permits_ -= n_; }
    Result result() const noexcept {
      if constexpr (std::is_same_v<Result, guard>) return guard(&of_);
    }

   private:
    semaphore& of_;
    std::size_t n_;
  };

 public:
  explicit semaphore(std::size_t permits) noexcept : permits_(permits) {}
  semaphore(const semaphore&) = delete;
  semaphore& operator=(const semaphore&) = delete;

  /// Takes n permits at once. Cancel: leaves the semaphore unchanged; those behind move up.
  [[nodiscard]] detail::wait<acquiring<void>> acquire(std::size_t n = 1) noexcept {
    return detail::wait<acquiring<void>>(*this, n);
  }
  /// Takes one, which the guard gives back.
  [[nodiscard]] detail::wait<acquiring<guard>> hold() noexcept {
    return detail::wait<acquiring<guard>>(*this, std::size_t{1});
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
  friend guard;
  void unlock() noexcept { release(); }

  mutable detail::spin_lock lock_;
  detail::wait_list waiting_{lock_, "a semaphore"};
  std::size_t permits_;
};

}  // namespace corespun
