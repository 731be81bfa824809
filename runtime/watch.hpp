#pragma once
// watch<T>: a value of which only the latest counts, such as a configuration.
//
//   watch<limits> current(limits());
//   auto mine = current.observe();
//   while (co_await mine.changed()) apply(mine.get());
//
// Invariants
//   - Values that were set in between may never be seen; the last one always is.
//   - After close() nobody waits: changed() tells of a value not yet seen, then errc::closed.
//   - The watch outlives its observers, and these what waits on them. Destroying it with waiters
//     aborts.
// Memory: T is copied under a lock and so must not throw then: put what is large into a
// std::shared_ptr<const T>.
// Threads: any member except the destructor may be called from any thread; an observer belongs to
// one task at a time.

#include <corespun/runtime/detail/wait_list.hpp>
#include <corespun/runtime/result.hpp>

#include <cstdint>

namespace corespun {

template <typename T>
class watch {
  static_assert(std::is_nothrow_copy_constructible_v<T> && std::is_nothrow_swappable_v<T>,
                "watch<T>: copying a T must not throw; watch a std::shared_ptr<const T>");
  class changing;

 public:
  class observer {
   public:
    /// Waits for a value that this observer has not seen. Errors: errc::closed. Cancel: it stays
    /// unseen.
    [[nodiscard]] detail::wait<changing> changed() noexcept {
      return detail::wait<changing>(*this);
    }
    /// The latest value, which it has seen then.
    [[nodiscard]] T get() noexcept {
      const std::lock_guard hold(of_->lock_);
      seen_ = of_->version_;
      return of_->value_;
    }

   private:
    friend watch;
    observer(watch& of, std::uint64_t seen) noexcept : of_(&of), seen_(seen) {}

    watch* of_;
    std::uint64_t seen_;
  };

  explicit watch(T initial) noexcept : value_(std::move(initial)) {}
  watch(const watch&) = delete;
  watch& operator=(const watch&) = delete;

  void set(T value) noexcept {
    detail::granted g;
    const std::lock_guard hold(lock_);
    std::swap(value_, value);  // the old one goes when the lock has gone
    ++version_;
    waiting_.grant(g);
  }
  [[nodiscard]] T get() const noexcept {
    const std::lock_guard hold(lock_);
    return value_;
  }

  /// The present value counts as seen.
  [[nodiscard]] observer observe() noexcept {
    const std::lock_guard hold(lock_);
    return observer(*this, version_);
  }

  /// No further value will come. Later calls do nothing.
  void close() noexcept {
    detail::granted g;
    const std::lock_guard hold(lock_);
    closed_ = true;
    waiting_.grant(g);
  }

 private:
  class changing final : public detail::first_come<changing> {
   public:
    static constexpr const char* name = "watch";
    static constexpr bool in_turn = false;
    explicit changing(observer& o) noexcept
        : detail::first_come<changing>(o.of_->waiting_), observer_(o) {}
    bool possible() noexcept override { return unseen() || observer_.of_->closed_; }
    void take(detail::granted&) noexcept override {
      changed_ = unseen();
      observer_.seen_ = observer_.of_->version_;
    }
    corespun::result<> result() const noexcept {
      if (!changed_) return std::unexpected(make_error_code(errc::closed));
      return {};
    }

   private:
    bool unseen() const noexcept { return observer_.seen_ != observer_.of_->version_; }

    observer& observer_;
    bool changed_ = false;
  };

  mutable detail::spin_lock lock_;
  detail::wait_list waiting_{lock_, "a watch"};
  T value_;
  std::uint64_t version_ = 0;
  bool closed_ = false;
};

}  // namespace corespun
