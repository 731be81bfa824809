#pragma once
// request: what an HTTP/1.x client asks for. request_reader: finds requests in a stream of bytes.
//
// Invariants
//   - Heads are read line by line, and a line is looked at once it is whole. So it does not matter
//     how the bytes were cut, and a peer that sends them one by one costs no more than others.
//   - Bodies are skipped, by their Content-Length.
//   - It is strict (RFC 9112): a stream that another server could understand otherwise is refused,
//     not repaired. After a request with a status of its own nothing more can be read.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace http {

enum class verb : std::uint8_t { get, head, other, unknown };

struct request {
  verb method = verb::unknown;
  std::string path;  ///< without the query
  /// 0, or why the request cannot be understood: the status that the answer must have.
  int status = 0;
  bool keep_alive = true;  ///< whether more may follow
  bool http_1_0 = false;
};

class request_reader {
 public:
  static constexpr std::size_t most_head_bytes = 16 * 1024;
  static constexpr std::uint64_t most_body_bytes = 1024 * 1024;

  /// Takes bytes from the front up to the end of the next head. False: all of them, and the head
  /// goes on in bytes that are still to come.
  [[nodiscard]] bool next(std::string_view& bytes);
  /// The one that next() has found.
  [[nodiscard]] const request& found() const noexcept { return request_; }

 private:
  enum class part : std::uint8_t { request_line, fields, complete };

  void begin(std::string_view& bytes);
  void take_line(std::string_view line);
  void take_request_line(std::string_view line);
  void take_field(std::string_view line);
  void take_content_length(std::string_view value);
  void take_connection(std::string_view value);
  void end_head();
  void refuse(int status);

  request request_;
  part part_ = part::request_line;
  bool has_host_ = false;
  bool has_length_ = false;
  bool asks_to_keep_ = false;
  bool asks_to_close_ = false;
  std::size_t head_bytes_ = 0;
  std::uint64_t body_left_bytes_ = 0;  // counts from the end of the head on
  std::string line_;  // the begin of one whose end has not come
};

}  // namespace http
