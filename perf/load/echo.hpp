#pragma once
// echo: the same bytes come back. The byte at offset i of a stream is a function of i and of the
// connection, so that bytes that are lost, doubled, reordered or sent to another connection are
// seen. With stalls, their bytes take the place of the first ones of each message.

#include <cstring>
#include <optional>
#include <random>

#include "protocol.hpp"
#include "stalls.hpp"

namespace load {

class echo final : public protocol {
 public:
  explicit echo(std::uint64_t message_bytes, std::optional<stalls> s = {})
      : message_bytes_(message_bytes), pattern_(random_bytes()), stalls_(s) {
    if (stalls_) written_.resize(chunk_bytes);
  }

  [[nodiscard]] std::uint64_t request_bytes() const noexcept override { return message_bytes_; }

  [[nodiscard]] const char* outgoing(const stream& s, std::uint64_t offset,
                                     std::size_t bytes) noexcept override {
    const char* pattern = pattern_.from(std::uint64_t{s.number} * 61 + offset);
    if (!stalls_) return pattern;
    std::memcpy(written_.data(), pattern, bytes);
    for (auto message = offset / message_bytes_; message * message_bytes_ < offset + bytes;
         ++message)
      write_stall(s, message, offset, bytes);
    return written_.data();
  }

  [[nodiscard]] std::expected<std::uint64_t, std::string> incoming(
      stream& s, std::string_view bytes) override {
    if (bytes.size() > s.sent_bytes - s.received_bytes)
      return std::unexpected("more bytes came back than were sent");
    if (std::memcmp(bytes.data(), outgoing(s, s.received_bytes, bytes.size()), bytes.size()) != 0)
      return std::unexpected("other bytes came back than were sent");
    const auto before = s.received_bytes / message_bytes_;
    s.received_bytes += bytes.size();
    return s.received_bytes / message_bytes_ - before;
  }

 private:
  /// Replaces what of the first bytes of the message lies in written_, which starts at `offset`.
  void write_stall(const stream& s, std::uint64_t message, std::uint64_t offset,
                   std::size_t bytes) noexcept {
    const std::uint32_t us = stalls_->us_of(s, message);
    for (unsigned i = 0; i < sizeof us; ++i) {
      const auto at = message * message_bytes_ + i;
      if (at >= offset && at < offset + bytes)
        written_[at - offset] = static_cast<char>(us >> (8 * i));
    }
  }

  /// The same in each run. Their number is prime, so no usual size of a lost piece is a multiple.
  static std::string random_bytes() {
    std::string bytes(4093, '\0');
    std::minstd_rand random;
    for (char& byte : bytes) byte = static_cast<char>(random());
    return bytes;
  }

  std::uint64_t message_bytes_;
  repetition pattern_;
  std::optional<stalls> stalls_;
  std::string written_;  // with stalls: what outgoing() returns
};

}  // namespace load
