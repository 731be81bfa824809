#pragma once
// http: GET requests for one path, HTTP/1.1 with keep-alive. An answer is right if its status is
// 200 and its body has the same length as the first one; its Content-Length says where it ends.
// The body itself is not looked at.

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>
#include <utility>

#include "protocol.hpp"

namespace load {

class http final : public protocol {
 public:
  http(const std::string& host, const std::string& path)
      : request_("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n"), requests_(request_) {}

  [[nodiscard]] std::uint64_t request_bytes() const noexcept override { return request_.size(); }

  [[nodiscard]] const char* outgoing(const stream& /*s*/, std::uint64_t offset,
                                     std::size_t /*bytes*/) noexcept override {
    return requests_.from(offset);
  }

  [[nodiscard]] std::expected<std::uint64_t, std::string> incoming(
      stream& s, std::string_view bytes) override {
    s.received_bytes += bytes.size();
    std::string joined;  // only if the bytes before these ended amid a head
    if (!s.head.empty()) {
      joined = std::exchange(s.head, {}).append(bytes);
      bytes = joined;
    }
    std::uint64_t answers = 0;
    while (!bytes.empty()) {
      if (s.body_left_bytes == 0) {
        const auto length = bytes.find(end_of_head);
        if (length == bytes.npos) {
          s.head = bytes;
          if (s.head.size() > most_head_bytes)
            return std::unexpected("a head without end came: " + quoted(first_line(bytes)));
          break;
        }
        const auto body = body_after(bytes.substr(0, length));
        if (!body) return std::unexpected(body.error());
        s.body_left_bytes = *body;
        bytes.remove_prefix(length + end_of_head.size());
      }
      const auto part = std::min<std::uint64_t>(s.body_left_bytes, bytes.size());
      s.body_left_bytes -= part;
      bytes.remove_prefix(part);
      if (s.body_left_bytes == 0) ++answers;
    }
    return answers;
  }

 private:
  static constexpr std::string_view end_of_line = "\r\n";
  static constexpr std::string_view end_of_head = "\r\n\r\n";
  static constexpr std::size_t most_head_bytes = 65536;

  /// The length of the body that follows the head.
  std::expected<std::uint64_t, std::string> body_after(std::string_view head) {
    const auto status = first_line(head);
    const auto code = status.substr(0, status.find(' ', 9));
    if (code != "HTTP/1.1 200" && code != "HTTP/1.0 200")
      return std::unexpected(quoted(status) + " came, not status 200");
    const auto bytes = content_length(head.substr(status.size()));
    if (!bytes) return std::unexpected(quoted(status) + " came without a valid Content-Length");
    if (body_bytes_.value_or(*bytes) != *bytes)
      return std::unexpected("a body of " + std::to_string(*bytes) + " bytes came, the first had " +
                             std::to_string(*body_bytes_));
    body_bytes_ = bytes;
    return *bytes;
  }

  static std::optional<std::uint64_t> content_length(std::string_view lines) {
    while (!lines.empty()) {
      lines.remove_prefix(end_of_line.size());
      std::string_view line = first_line(lines);
      lines.remove_prefix(line.size());
      const auto name = line.substr(0, line.find(':'));
      if (name.size() == line.size() || !same_name(name, "content-length")) continue;
      line.remove_prefix(name.size() + 1);
      line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
      line = line.substr(0, line.find_last_not_of(" \t") + 1);
      std::uint64_t value = 0;
      const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
      if (error == std::errc{} && end == line.data() + line.size()) return value;
      return {};
    }
    return {};
  }

  static std::string_view first_line(std::string_view text) {
    return text.substr(0, text.find(end_of_line));
  }

  static bool same_name(std::string_view name, std::string_view lower_case) {
    return std::ranges::equal(name, lower_case, {},
                              [](unsigned char c) { return std::tolower(c); });
  }

  static std::string quoted(std::string_view text) {
    std::string words(text.substr(0, 60));
    for (char& c : words)
      if (!std::isprint(static_cast<unsigned char>(c))) c = '?';
    return "'" + words + "'";
  }

  std::string request_;
  repetition requests_;
  std::optional<std::uint64_t> body_bytes_;  // of the first answer
};

}  // namespace load
