#pragma once
// protocol: what a request looks like on the wire, and when its answer is complete and right. All
// requests of a process are equally long, so the bytes of a connection are a function of their
// offset.

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>

namespace load {

struct options;

constexpr std::size_t chunk_bytes = 65536;  // of one send or receive

/// What went to and came from one connection.
struct stream {
  unsigned number = 0;  // of the connection, among those of all processes
  std::uint64_t greeting = 0;  // the number of the first message since it was opened
  std::uint64_t sent_bytes = 0;
  std::uint64_t received_bytes = 0;
  std::string head{};  // http: what has come of an answer's head
  std::uint64_t body_left_bytes = 0;  // http: what has not come of its body
};

class protocol {
 public:
  virtual ~protocol() = default;

  [[nodiscard]] virtual std::uint64_t request_bytes() const noexcept = 0;

  /// `bytes` (at most chunk_bytes) of what the connection sends, from the offset on. Valid until
  /// the next call.
  [[nodiscard]] virtual const char* outgoing(const stream& s, std::uint64_t offset,
                                             std::size_t bytes) noexcept = 0;

  /// Takes what came, at most chunk_bytes. Returns the number of answers that it completes.
  /// Errors: what is wrong with it, in words.
  [[nodiscard]] virtual std::expected<std::uint64_t, std::string> incoming(
      stream& s, std::string_view bytes) = 0;
};

[[nodiscard]] std::unique_ptr<protocol> make_protocol(const options& o);

/// Bytes that repeat without end; from any offset, a chunk lies in one piece.
class repetition {
 public:
  explicit repetition(std::string period) : period_(period.size()), bytes_(std::move(period)) {
    while (bytes_.size() < period_ + chunk_bytes)
      bytes_.append(bytes_, 0, period_ + chunk_bytes - bytes_.size());
  }

  [[nodiscard]] const char* from(std::uint64_t offset) const noexcept {
    return bytes_.data() + offset % period_;
  }

 private:
  std::size_t period_;
  std::string bytes_;
};

}  // namespace load
