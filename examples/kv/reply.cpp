#include "reply.hpp"

#include <array>
#include <charconv>

namespace kv {

namespace {

/// A line of a kind and a number.
template <typename Integer>
void append_line(std::string& out, char kind, Integer n) {
  std::array<char, 24> text;
  text[0] = kind;
  char* end = std::to_chars(text.data() + 1, text.data() + text.size(), n).ptr;
  *end++ = '\r';
  *end++ = '\n';
  out.append(text.data(), end);
}

}  // namespace

void reply_writer::head(char kind, std::size_t n) { append_line(out_, kind, n); }

void reply_writer::integer(std::int64_t n) { append_line(out_, ':', n); }

void reply_writer::simple(std::string_view text) {
  out_ += '+';
  out_ += text;
  out_ += "\r\n";
}

void reply_writer::error(std::string_view text) {
  out_ += '-';
  for (const char c : text) out_ += c == '\r' || c == '\n' ? ' ' : c;
  out_ += "\r\n";
}

void reply_writer::bulk(std::string_view bytes) {
  head('$', bytes.size());
  out_ += bytes;
  out_ += "\r\n";
}

void reply_writer::verbatim(std::string_view text) {
  if (!resp3()) return bulk(text);
  head('=', text.size() + 4);
  out_ += "txt:";
  out_ += text;
  out_ += "\r\n";
}

}  // namespace kv
