#pragma once
// oneshot<T>: one value, once, from one task to another.
//
//   oneshot<answer> reply;
//   co_await requests.send(request(question, &reply));
//   result<answer> a = co_await reply.recv();
//
// Invariants
//   - send() does not wait. A second send() is a bug and aborts.
//   - After close(), and after the value was received, recv() is errc::closed.
//   - It outlives its waiters. Destroying it with waiters aborts.
// Memory: the value lies in it. T moves without throwing, since it does so under a lock.
// Threads: any member except the destructor may be called from any thread.

#include <corespun/runtime/detail/fatal.hpp>
#include <corespun/runtime/detail/wait_list.hpp>
#include <corespun/runtime/result.hpp>

#include <optional>

namespace corespun {

template <typename T>
class oneshot {
  static_assert(std::is_nothrow_move_constructible_v<T> && std::is_nothrow_destructible_v<T>,
                "oneshot<T>: moving a T must not throw; send a std::unique_ptr<T> instead");

  class receiver final : public detail::first_come<receiver> {
   public:
    static constexpr const char* name = "oneshot";
    explicit receiver(oneshot& o) noexcept : detail::first_come<receiver>(o.waiting_), of_(o) {}
    bool possible() noexcept override { return of_.ended_; }
    void take(detail::granted&) noexcept override {
      if (of_.value_) value_.emplace(std::move(*of_.value_));
      of_.value_.reset();
    }
    corespun::result<T> result() {
      if (!value_) return std::unexpected(make_error_code(errc::closed));
      return std::move(*value_);
    }

   private:
    oneshot& of_;
    std::optional<T> value_;
  };

 public:
  oneshot() noexcept {}
  oneshot(const oneshot&) = delete;
  oneshot& operator=(const oneshot&) = delete;

  /// Hands the value over. False: it was closed before, and the value is gone.
  bool send(T value) noexcept {
    detail::granted g;
    const std::lock_guard hold(lock_);
    if (sent_) detail::caller_bug("a oneshot is sent to twice", "use a channel for several values");
    sent_ = true;
    if (ended_) return false;
    value_.emplace(std::move(value));
    end(g);
    return true;
  }

  /// No value will come; one that was sent stays.
  void close() noexcept {
    detail::granted g;
    const std::lock_guard hold(lock_);
    end(g);
  }

  /// Waits for the value. Errors: errc::closed. Cancel: the value stays for another recv().
  [[nodiscard]] detail::wait<receiver> recv() noexcept { return detail::wait<receiver>(*this); }

 private:
  void end(detail::granted& g) noexcept {
    ended_ = true;
    waiting_.grant(g);
  }

  detail::spin_lock lock_;
  detail::wait_list waiting_{lock_, "a oneshot"};
  bool sent_ = false;
  bool ended_ = false;  // sent to or closed
  std::optional<T> value_;
};

}  // namespace corespun
