#pragma once
// offload: run a blocking call on a helper thread, so that the core goes on.
//
//   auto text = co_await offload(read_whole_file, path);
//
// Helper threads are made on demand, at most runtime_options::offload_threads, and end when idle.
// More calls wait in order. Errors: std::system_error if no thread can be made. What fn throws is
// rethrown at the await.
// Cancel: a call that has not begun is not made, the await ends as stopped. One that has begun
// cannot be interrupted: the await waits for it, and its value is delivered.
// Ownership: fn and args are moved into the awaiting frame; std::ref is explicit.

#include <corespun/runtime/detail/machine.hpp>
#include <corespun/runtime/task.hpp>

#include <functional>
#include <optional>
#include <tuple>
#include <variant>

namespace corespun {
namespace detail {

template <typename T, typename Fn, typename... Args>
class [[nodiscard]] offload_awaiter : private job {
 public:
  explicit offload_awaiter(Fn&& fn, Args&&... args)
      : fn_(std::move(fn)), args_(std::move(args)...) {}

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <typename Promise>
  void await_suspend(std::coroutine_handle<Promise> self) {
    waiter_ = self.promise().owner;
    if (!waiter_->begin_wait(self, this, kind)) return;
    run = [](job& j) noexcept { static_cast<offload_awaiter&>(j).call(); };
    try {
      waiter_->home().all().pool.submit(*this);
    } catch (...) {
      error_ = std::current_exception();
      waiter_->complete();
    }
  }
  T await_resume() {
    if (error_) std::rethrow_exception(std::move(error_));
    if constexpr (!std::is_void_v<T>) return std::move(*value_);
  }

 private:
  void call() noexcept {
    try {
      if constexpr (std::is_void_v<T>) {
        std::apply(std::move(fn_), std::move(args_));
      } else {
        value_.emplace(std::apply(std::move(fn_), std::move(args_)));
      }
    } catch (...) {
      error_ = std::current_exception();
    }
    waiter_->complete_from_any_thread();
  }

  static constexpr wait_kind kind{"offload", [](root& waiter, void* self) noexcept {
                                    auto& me = *static_cast<offload_awaiter*>(self);
                                    if (waiter.home().all().pool.withdraw(me)) waiter.stop();
                                  }};

  Fn fn_;
  std::tuple<std::unwrap_ref_decay_t<Args>...> args_;
  root* waiter_ = nullptr;
  std::exception_ptr error_;
  std::optional<std::conditional_t<std::is_void_v<T>, std::monostate, T>> value_;
};

}  // namespace detail

/// Calls fn(args…) on a helper thread and yields what it returns.
template <typename Fn, typename... Args>
[[nodiscard]] auto offload(Fn fn, Args... args) {
  using value = std::invoke_result_t<Fn, std::unwrap_ref_decay_t<Args>...>;
  static_assert(!detail::is_task<value>::value,
                "offload runs an ordinary function; co_await the task itself");
  return detail::offload_awaiter<value, Fn, Args...>(std::move(fn), std::move(args)...);
}

}  // namespace corespun
