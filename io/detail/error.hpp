#pragma once
// How an operation's result (bytes or -errno, as the kernel writes it) becomes a result<T>.

#include <corespun/runtime/result.hpp>

namespace corespun::detail {

/// Our own errors as numbers beside errno, for the result of an operation.
[[nodiscard]] constexpr int own_error(errc e) noexcept { return 10'000 + static_cast<int>(e); }

[[nodiscard]] inline std::error_code error_of(int negative_result) noexcept {
  const int code = -negative_result;
  if (code > own_error(errc{})) return make_error_code(static_cast<errc>(code - own_error(errc{})));
  return system_error_code(code);
}

}  // namespace corespun::detail
