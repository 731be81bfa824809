#pragma once
// request_parser: splits a stream of bytes into requests, which are arrays of bulk strings, or
// lines for those who type.
//
// https://redis.io/docs/reference/protocol-spec. Limits and error texts are those of Redis 7.0.
// Memory: the bytes of complete requests are parsed where they were received; only the beginning of
// an incomplete one is copied. Between requests it holds little.

#include <cstddef>
#include <deque>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kv {

/// A request's words, the name of the command first.
using arguments = std::span<const std::string_view>;

/// What a client may ask for at most; the defaults are those of Redis.
struct request_limits {
  std::size_t word_bytes = 512 * 1024 * 1024;
  std::size_t bytes = 1024 * 1024 * 1024;  // of a request that has not come to its end
};
inline constexpr std::size_t max_bulks = std::numeric_limits<int>::max();
inline constexpr std::size_t max_inline_bytes = 64 * 1024;

class request_parser {
 public:
  enum class outcome { request, incomplete, failed, too_large };

  explicit request_parser(const request_limits& l = {}) : limits_(l) {}

  /// Adds what was received, which stays valid until keep().
  void feed(std::string_view bytes);

  /// Takes the next request. Its words stay valid until keep(), so that all requests of what was
  /// received can be under way together. After failed and too_large the stream cannot be continued.
  outcome next(std::vector<std::string_view>& words);

  /// Copies what has not been taken; the bytes that were fed may go.
  void keep();

  /// After failed: what to answer behind "ERR " before closing.
  [[nodiscard]] const std::string& error() const { return error_; }

 private:
  struct place {
    std::size_t begin, size;
  };

  outcome next_array();
  outcome next_inline();
  /// The text up to '\r' from at_ on, which then stands behind "\r\n".
  std::optional<std::string_view> take_line(const char* too_big);
  outcome fail(std::string why);
  /// What the request that has begun takes.
  [[nodiscard]] std::size_t held_bytes() const {
    return text_.size() - taken_ + places_.size() * sizeof(place);
  }

  request_limits limits_;
  std::string rest_;  // of an incomplete request
  std::string_view text_;  // rest_, or the bytes that were fed if there was none
  std::size_t at_ = 0;  // in text_: all before has been parsed
  std::size_t taken_ = 0;  // in text_: all before belongs to requests that were taken
  std::size_t bulks_left_ = 0;  // of an array that has begun
  std::optional<std::size_t> bulk_;  // the size of a bulk string whose bytes come next
  std::vector<place> places_;  // in text_: the words of the array so far
  std::deque<std::string> typed_;  // the words of lines, without quotes
  std::string error_;
};

}  // namespace kv
