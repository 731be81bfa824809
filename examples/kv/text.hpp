#pragma once
// text: words as Redis reads them.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kv {

/// No blanks, no plus, no needless zeros.
std::optional<std::int64_t> to_integer(std::string_view text);

/// Whether a word of a request is this one, which is in lower case.
bool is_word(std::string_view text, std::string_view lower_case);

inline char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

/// Of letters only.
std::string to_upper(std::string_view letters);

}  // namespace kv
