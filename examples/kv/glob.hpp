#pragma once
// glob: the patterns of KEYS, SCAN and CONFIG GET.

#include <string_view>

namespace kv {

/// ? is any byte, * any number of them, [a-z] or [^a-z] one of a class; a backslash takes what
/// follows literally. Time is at most the product of both sizes.
bool matches(std::string_view pattern, std::string_view text);

}  // namespace kv
