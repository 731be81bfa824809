#pragma once
// reply_writer: appends replies to a string, in RESP2 or RESP3. What RESP2 lacks is sent as what it
// has nearest, as Redis does.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace kv {

class reply_writer {
 public:
  /// The string outlives it.
  reply_writer(std::string& out, int protocol) : out_(out), protocol_(protocol) {}

  /// What needs no frame: "+OK\r\n".
  void raw(std::string_view text) { out_ += text; }
  void ok() { raw("+OK\r\n"); }
  void simple(std::string_view text);
  /// The text begins with its kind, "ERR syntax error". Line ends in it become blanks.
  void error(std::string_view text);
  void integer(std::int64_t n);
  void integer(std::size_t n) { integer(static_cast<std::int64_t>(n)); }
  void integer(bool b) { raw(b ? ":1\r\n" : ":0\r\n"); }
  void bulk(std::string_view bytes);
  void null() { raw(resp3() ? "_\r\n" : "$-1\r\n"); }
  /// Text for people; a bulk string in RESP2.
  void verbatim(std::string_view text);

  // Heads: that many elements, for a map pairs, follow.
  void array(std::size_t n) { head('*', n); }
  void set(std::size_t n) { head(resp3() ? '~' : '*', n); }
  void push(std::size_t n) { head(resp3() ? '>' : '*', n); }
  void map(std::size_t n) { resp3() ? head('%', n) : head('*', 2 * n); }

  [[nodiscard]] int protocol() const { return protocol_; }
  [[nodiscard]] bool resp3() const { return protocol_ >= 3; }

 private:
  void head(char kind, std::size_t n);

  std::string& out_;
  int protocol_;
};

}  // namespace kv
