#pragma once
// affinity: may a task move between cores? resume_on and resume_anywhere change it.
//
// A task of affinity `any` is stolen while it is ready, never while it waits; it goes on where it
// was woken, or on the core that stole it. Each co_await may be such a place. A task of affinity
// `core` stays where it is. Tasks inherit it from the one that starts them.
//
//   co_await resume_on(2);       // the rest runs on core 2
//   co_await resume_anywhere();  // the rest runs on any core

#include <corespun/runtime/detail/core.hpp>

namespace corespun {

enum class affinity : bool { any, core };

namespace detail {

/// Asking for one that does not exist is the caller's bug.
[[nodiscard]] core& core_beside(core& here, unsigned index, const char* call);

class [[nodiscard]] resume_on_awaiter {
 public:
  explicit resume_on_awaiter(unsigned index) noexcept : index_(index) {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <typename Promise>
  [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> self) noexcept {
    root& r = *self.promise().owner;
    if (r.stops_at(self)) return true;
    core& here = r.home();
    core& there = core_beside(here, index_, "resume_on");
    r.bind(true);
    if (&here == &there) return false;
    r.send(self, there);
    return true;
  }
  void await_resume() const noexcept {}

 private:
  unsigned index_;
};

class [[nodiscard]] resume_anywhere_awaiter {
 public:
  resume_anywhere_awaiter() noexcept {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <typename Promise>
  [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> self) noexcept {
    root& r = *self.promise().owner;
    if (r.stops_at(self)) return true;
    r.bind(false);
    return false;
  }
  void await_resume() const noexcept {}
};

}  // namespace detail

/// Goes on on that core, and stays there. Tasks started from now on do, too. Cancel: ends as
/// stopped; a move that has begun is finished first.
[[nodiscard]] inline detail::resume_on_awaiter resume_on(unsigned core) noexcept {
  return detail::resume_on_awaiter(core);
}

/// May move again from now on. Does not wait. Cancel: ends as stopped.
[[nodiscard]] inline detail::resume_anywhere_awaiter resume_anywhere() noexcept { return {}; }

}  // namespace corespun
