#pragma once
// returned<T>: what a coroutine returns, in its promise.

#include <optional>
#include <type_traits>
#include <utility>

namespace corespun::detail {

template <typename T>
struct returned {
  std::optional<T> value;

  template <typename U = T>
    requires std::is_convertible_v<U&&, T>
  void return_value(U&& u) {
    value.emplace(std::forward<U>(u));
  }
  [[nodiscard]] T& get() noexcept { return *value; }
  T take() { return std::move(*value); }
};

template <typename T>
struct returned<T&> {
  T* value = nullptr;

  void return_value(T& v) noexcept { value = &v; }
  [[nodiscard]] T& get() noexcept { return *value; }
  T& take() noexcept { return *value; }
};

template <>
struct returned<void> {
  void return_void() const noexcept {}
  void get() const noexcept {}
  void take() const noexcept {}
};

}  // namespace corespun::detail
