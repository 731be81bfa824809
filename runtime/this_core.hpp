#pragma once
// this_core: where am I. yield: let others go first.

#include <corespun/runtime/detail/core.hpp>

namespace corespun {
namespace detail {

class [[nodiscard]] yield_awaiter {
 public:
  yield_awaiter() noexcept {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <typename Promise>
  void await_suspend(std::coroutine_handle<Promise> self) noexcept {
    self.promise().owner->yield(self);
  }
  void await_resume() const noexcept {}
};

}  // namespace detail

/// To the back of this core's queue. Cancel: ends as stopped. A core looks for what has arrived
/// after 100 us of tasks, or 256 of them; what needs no wait, as a receive of data that are there,
/// goes on without the queue 64 times.
[[nodiscard]] inline detail::yield_awaiter yield() noexcept { return {}; }

namespace this_core {

/// Of the core that runs the calling task, below count(). Outside of a core it is a bug to ask.
[[nodiscard]] unsigned index();
/// The cores of this runtime.
[[nodiscard]] unsigned count();
/// The calling task has run for about 100 us since this core last looked for what has arrived: time
/// to let others run. For loops that compute; reads the clock, so ask it every few microseconds.
///   if (this_core::need_yield()) co_await yield();
[[nodiscard]] bool need_yield();
/// "uring", "epoll", "futex": what this core's loop waits with.
[[nodiscard]] const char* driver_name();

}  // namespace this_core
}  // namespace corespun
