#pragma once
// result: what the world can cause is a value, not an exception.
//
// Functions that a peer, the kernel or a clock can make fail return result<T>: a T or a
// std::error_code. The codes are the kernel's errno (std::system_category) or corespun's own errc.
// A bug of the caller is not an error code: it aborts with a message. Exceptions are left to user
// code and pass through tasks unchanged.

#include <expected>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

namespace corespun {

template <typename T = void>
using result = std::expected<T, std::error_code>;

/// What corespun itself reports; everything else is the kernel's errno.
enum class errc {
  cancelled = 1,   ///< the task was asked to stop, and as_result() turned that into a value
  timed_out,  ///< the deadline of with_deadline, with_timeout, shield or connect passed first
  closed,  ///< the descriptor was closed by this process while the operation waited
  end_of_stream,  ///< the peer ended the stream before read_exactly had all bytes
  bad_address,  ///< the text is not an address; address::parse says how one looks
  not_supported,  ///< this driver or kernel cannot do it; the documentation of the call says when
  broken_promise,  ///< who was to set a promise, or to answer, let go of it before
};

[[nodiscard]] const std::error_category& corespun_category() noexcept;
[[nodiscard]] std::error_code make_error_code(errc e) noexcept;

/// An errno value as an error code.
[[nodiscard]] inline std::error_code system_error_code(int errno_value) noexcept {
  return {errno_value, std::system_category()};
}

/// A text for people: which call, the error by name, the likely cause, one thing to try. Several
/// lines, no newline at the end. `call` is what was tried, for example "bind 127.0.0.1:80".
[[nodiscard]] std::string explain(std::error_code error, std::string_view call);

namespace detail {
template <typename T>
struct is_result : std::false_type {};
template <typename T>
struct is_result<result<T>> : std::true_type {};

/// result<T>, but a result<T> stays as it is: a deadline adds an error to a call, not a layer.
template <typename T>
using flat_result = std::conditional_t<is_result<T>::value, T, result<T>>;
}  // namespace detail

}  // namespace corespun

template <>
struct std::is_error_code_enum<corespun::errc> : std::true_type {};
