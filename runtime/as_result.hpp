#pragma once
// as_result: being stopped as a value. For the few places that want to see a cancel instead of
// ending with it.
//
//   auto n = co_await as_result(stream.read_some(buffer));
//   if (!n && n.error() == errc::cancelled) { … say goodbye, then return … }
//
// The task stays cancelled: each further await in it ends as stopped, or as errc::cancelled under
// another as_result. Work that must wait during clean-up belongs into shield() or scope::on_exit().

#include <corespun/runtime/result.hpp>
#include <corespun/runtime/task.hpp>

namespace corespun {
namespace detail {

template <typename T>
class result_awaiter : public task_awaiter<T> {
 public:
  explicit result_awaiter(std::coroutine_handle<> task) noexcept : task_awaiter<T>(task) {
    this->catches_stop = true;
  }

  flat_result<T> await_resume() {
    if (!this->child) return std::unexpected(make_error_code(errc::cancelled));
    if constexpr (std::is_void_v<T>) {
      take_value<T>(this->child);
      return {};
    } else {
      return take_value<T>(this->child);
    }
  }
};

template <typename T>
class [[nodiscard]] result_call {
 public:
  explicit result_call(task<T>&& body) noexcept : body_(std::move(body)) {}
  result_awaiter<T> operator co_await() && noexcept { return result_awaiter<T>(body_.release()); }

 private:
  task<T> body_;
};

}  // namespace detail

/// Awaits `what` (a task, another awaitable, or a function that returns a task) and yields a
/// result: its value, or errc::cancelled if it was stopped. A result<U> stays one result<U>.
/// Exceptions pass through.
template <typename A>
[[nodiscard]] auto as_result(A what) {
  return detail::result_call<detail::task_value<A>>(detail::to_task(std::move(what)));
}

}  // namespace corespun
