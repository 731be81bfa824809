#include "text.hpp"

#include <algorithm>
#include <charconv>

namespace kv {

std::optional<std::int64_t> to_integer(std::string_view text) {
  const std::string_view digits = text.substr(text.starts_with('-') ? 1 : 0);
  if (digits.starts_with('0') && text != "0") return {};
  std::int64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc{} || end != text.data() + text.size()) return {};
  return n;
}

bool is_word(std::string_view text, std::string_view lower_case) {
  return std::ranges::equal(text, lower_case, {}, to_lower);
}

std::string to_upper(std::string_view letters) {
  std::string upper(letters);
  for (char& c : upper) c = static_cast<char>(c & ~0x20);
  return upper;
}

}  // namespace kv
