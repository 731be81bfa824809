#pragma once
// A bug of the caller ends the process with a message that says what, where, and what now.

#include <source_location>
#include <string>

namespace corespun::detail {

/// Prints "corespun: bug in the caller: WHAT", the core and the task that did it, and NOW; then
/// aborts. `where` is the caller's line, if it is known.
[[noreturn]] void caller_bug(const std::string& what, const std::string& now,
                             std::source_location where = {}) noexcept;

}  // namespace corespun::detail
