#include "line.hpp"

#include <utility>

namespace kv {

namespace {

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char low = static_cast<char>(c | 0x20);
  return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

/// What stands behind the backslash with which `in` begins, and which is removed with it.
char take_escape(std::string_view& in) {
  if (in.size() > 3 && in[1] == 'x' && hex_digit(in[2]) >= 0 && hex_digit(in[3]) >= 0) {
    const char c = static_cast<char>(hex_digit(in[2]) * 16 + hex_digit(in[3]));
    in.remove_prefix(4);
    return c;
  }
  const char c = in[1];
  in.remove_prefix(2);
  switch (c) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'a': return '\a';
    default: return c;
  }
}

/// Takes what stands between the quote that was read and the next, which a blank or the end
/// follows.
bool take_quoted(std::string_view& in, char quote, std::string& word) {
  while (!in.empty()) {
    const bool escaped = in[0] == '\\' && in.size() > 1;
    if (in[0] == quote) {
      in.remove_prefix(1);
      return in.empty() || is_space(in[0]);
    }
    if (escaped && quote == '"') {
      word += take_escape(in);
      continue;
    }
    if (escaped && in[1] == '\'') in.remove_prefix(1);
    word += in[0];
    in.remove_prefix(1);
  }
  return false;
}

}  // namespace

bool split_line(std::string_view in, std::deque<std::string>& words) {
  while (true) {
    while (!in.empty() && is_space(in[0])) in.remove_prefix(1);
    if (in.empty()) return true;
    std::string word;
    while (!in.empty() && !is_space(in[0])) {
      const char c = in[0];
      in.remove_prefix(1);
      if (c != '"' && c != '\'') {
        word += c;
      } else if (!take_quoted(in, c, word)) {
        return false;
      }
    }
    words.push_back(std::move(word));
  }
}

}  // namespace kv
