#pragma once
// outcome<T>: how a task ended: a value, an exception, or stopped (it was cancelled and has
// neither).

#include <corespun/runtime/detail/fatal.hpp>

#include <exception>
#include <memory>
#include <type_traits>
#include <utility>
#include <variant>

namespace corespun {

template <typename T>
class [[nodiscard]] outcome {
  // void and references as something that can be stored.
  using stored =
      std::conditional_t<std::is_void_v<T>, std::monostate,
                         std::conditional_t<std::is_reference_v<T>, std::add_pointer_t<T>, T>>;
  struct stopped_t {};

 public:
  outcome() noexcept {}  ///< stopped
  outcome(outcome&&) = default;
  outcome& operator=(outcome&&) = default;

  [[nodiscard]] static outcome of(stored value) {
    outcome o;
    o.state_.template emplace<1>(std::move(value));
    return o;
  }
  [[nodiscard]] static outcome of_error(std::exception_ptr error) noexcept {
    outcome o;
    o.state_.template emplace<2>(std::move(error));
    return o;
  }

  [[nodiscard]] bool has_value() const noexcept { return state_.index() == 1; }
  [[nodiscard]] bool failed() const noexcept { return state_.index() == 2; }
  [[nodiscard]] bool stopped() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  /// nullptr unless failed().
  [[nodiscard]] std::exception_ptr error() const noexcept {
    return failed() ? std::get<2>(state_) : std::exception_ptr{};
  }

  /// The value; throws the exception if failed(), and keeps nothing of it. Asking a stopped outcome
  /// is a bug.
  T value() && {
    if (failed()) std::rethrow_exception(std::move(std::get<2>(state_)));
    if (stopped())
      detail::caller_bug("value() of an outcome that is stopped", "ask stopped() first");
    if constexpr (std::is_void_v<T>) {
      return;
    } else if constexpr (std::is_reference_v<T>) {
      return static_cast<T>(*std::get<1>(state_));
    } else {
      return std::move(std::get<1>(state_));
    }
  }

 private:
  std::variant<stopped_t, stored, std::exception_ptr> state_;
};

}  // namespace corespun
