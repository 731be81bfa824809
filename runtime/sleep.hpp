#pragma once
// sleep_for, sleep_until, interval: waiting for time.
//
// Never early; late by at most one tick of the timer wheel (50 us), the kernel's timer and what
// else runs on the core. Cancel: the timer is taken out at once. Threads: a task's own core.
// Memory: the timer lies in the frame.

#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/detail/core.hpp>

namespace corespun {
namespace detail {

class [[nodiscard]] sleep_awaiter : private timer {
 public:
  explicit sleep_awaiter(clock::time_point until) noexcept : until_(until) {}

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <typename Promise>
  void await_suspend(std::coroutine_handle<Promise> self) noexcept {
    sleeper_ = self.promise().owner;
    if (!sleeper_->begin_wait(self, this, kind)) return;
    core& home = sleeper_->home();
    if (until_ <= home.now()) {
      sleeper_->complete();
      return;
    }
    fire = [](timer& t) noexcept { static_cast<sleep_awaiter&>(t).sleeper_->complete(); };
    home.timers().arm(*this, until_);
  }
  void await_resume() const noexcept {}

  [[nodiscard]] clock::time_point until() const noexcept { return until_; }

 private:
  void give_up() noexcept {
    sleeper_->home().timers().cancel(*this);
    sleeper_->stop();
  }

  static const wait_kind kind;
  clock::time_point until_;
  root* sleeper_ = nullptr;
};

inline constexpr wait_kind sleep_awaiter::kind{
    "sleep", [](root&, void* self) noexcept { static_cast<sleep_awaiter*>(self)->give_up(); }};

}  // namespace detail

/// A time that has passed goes to the back of the queue, like yield().
[[nodiscard]] inline detail::sleep_awaiter sleep_until(clock::time_point t) noexcept {
  return detail::sleep_awaiter(t);
}
[[nodiscard]] inline detail::sleep_awaiter sleep_for(clock::duration d) noexcept {
  return detail::sleep_awaiter(detail::after(d));
}

/// Ticks at fixed distances from its creation on. Ticks that passed unseen are skipped, not made up
/// for.
///   interval every_second(1s);  while (true) { co_await every_second.next(); … }
class interval {
 public:
  explicit interval(clock::duration period) : period_(period), due_(clock::now()) {
    if (period <= clock::duration::zero())
      detail::caller_bug("interval of no length", "give a positive period");
  }

  /// Waits for the next tick.
  [[nodiscard]] detail::sleep_awaiter next() noexcept {
    due_ += period_;
    if (const clock::time_point now = clock::now(); due_ < now)
      due_ += (now - due_) / period_ * period_;
    return sleep_until(due_);
  }

 private:
  clock::duration period_;
  clock::time_point due_;
};

}  // namespace corespun
