#pragma once
// A hang becomes a failure: when a test takes longer than a generous limit, the tasks that still
// wait are printed and the process aborts. Armed for each test by the main() of watchdog.cpp.

#include <corespun/runtime/task.hpp>

#include <coroutine>

namespace corespun::test {

/// Makes a task known to the watchdog while it lives; what waits below it is reported after a hang.
class watched_root {
 public:
  explicit watched_root(detail::root& r);
  watched_root(const watched_root&) = delete;
  watched_root& operator=(const watched_root&) = delete;
  ~watched_root();

 private:
  detail::root* root_;
};

/// co_await yields the root of the awaiting task, without suspending it.
class this_root {
 public:
  this_root() noexcept {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <typename Promise>
  [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> self) noexcept {
    root_ = self.promise().owner;
    return false;
  }
  [[nodiscard]] detail::root& await_resume() const noexcept { return *root_; }

 private:
  detail::root* root_ = nullptr;
};

}  // namespace corespun::test
