#include "glob.hpp"

#include <cstddef>
#include <utility>

namespace kv {

namespace {

/// Whether c is in the class whose '[' was read; i moves behind its ']', or to the end without one.
bool in_class(std::string_view p, std::size_t& i, unsigned char c) {
  const bool negated = i < p.size() && p[i] == '^';
  if (negated) ++i;
  const auto at = [&](std::size_t k) { return static_cast<unsigned char>(p[k]); };
  bool found = false;
  for (; i < p.size() && p[i] != ']'; ++i) {
    if (p[i] == '\\' && i + 1 < p.size()) {
      found |= at(++i) == c;
    } else if (i + 2 < p.size() && p[i + 1] == '-') {
      auto [low, high] = std::pair(at(i), at(i + 2));
      if (low > high) std::swap(low, high);
      found |= low <= c && c <= high;
      i += 2;
    } else {
      found |= at(i) == c;
    }
  }
  if (i < p.size()) ++i;
  return found != negated;
}

/// One byte against one element of the pattern, behind which i then stands.
bool matches_one(std::string_view p, std::size_t& i, char c) {
  switch (p[i]) {
    case '?': ++i; return true;
    case '[': ++i; return in_class(p, i, static_cast<unsigned char>(c));
    case '\\':
      if (i + 1 < p.size()) ++i;
      [[fallthrough]];
    default: return p[i++] == c;
  }
}

}  // namespace

bool matches(std::string_view p, std::string_view text) {
  constexpr std::size_t none = std::string_view::npos;
  std::size_t i = 0, at = 0, star = none, star_at = 0;  // the last star and what it ends before
  while (at < text.size()) {
    if (i < p.size() && p[i] == '*') {
      star = ++i;
      star_at = at;
    } else if (i < p.size() && matches_one(p, i, text[at])) {
      ++at;
    } else if (star != none) {  // let the star take one byte more
      i = star;
      at = ++star_at;
    } else {
      return false;
    }
  }
  while (i < p.size() && p[i] == '*') ++i;
  return i == p.size();
}

}  // namespace kv
