#include <corespun/runtime/promise.hpp>

#include <corespun/runtime/detail/core.hpp>
#include <corespun/runtime/detail/fatal.hpp>
#include <corespun/runtime/detail/helpers.hpp>
#include <corespun/runtime/result.hpp>

namespace corespun::detail {

void promised::set() noexcept {
  std::unique_ptr<callback> c;
  {
    granted g;
    const std::lock_guard hold(lock_);
    is_set_.store(true, std::memory_order_release);  // U2: publishes the value
    waiting_.grant(g);
    c = std::move(callback_);
  }
  is_set_.notify_all();
  if (c) c->call(*this);
}

void promised::then(std::unique_ptr<callback> c) noexcept {
  {
    const std::lock_guard hold(lock_);
    if (!is_set()) {
      callback_ = std::move(c);
      return;
    }
  }
  c->call(*this);
}

void promised::wait_until_set() noexcept {
  if (core::current() != nullptr)
    caller_bug("future::get() on a core's own thread", "co_await the future instead");
  const helpers::stand_in while_this_one_waits;
  is_set_.wait(false, std::memory_order_acquire);  // U2
}

std::exception_ptr broken_promise() noexcept {
  return std::make_exception_ptr(std::system_error(make_error_code(errc::broken_promise),
                                                   "corespun: the promise of this future went"));
}

void promise_set_twice() noexcept {
  caller_bug("a promise is set twice", "set it once; a channel carries several values");
}

void future_used_twice() noexcept {
  caller_bug("a future is used twice, or taken twice",
             "use it once and keep what it gives; wait() leaves it as it is");
}

void future_not_ready() noexcept {
  caller_bug("take() of a future that is not ready", "ask ready() first, or co_await the future");
}

}  // namespace corespun::detail
