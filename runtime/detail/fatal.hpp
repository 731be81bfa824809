#pragma once
// A bug of the caller ends the process with a message that says what, where, and what now.

#include <source_location>
#include <string>

namespace corespun::detail {

/// Prints "corespun: bug in the caller: WHAT", the place and the core, then aborts.
[[noreturn]] void caller_bug(const std::string& what, const std::string& now,
                             std::source_location where = std::source_location::current()) noexcept;

}  // namespace corespun::detail
