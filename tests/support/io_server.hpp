#pragma once
// The example servers as programs, and clients that talk to them line by line.

#include <gtest/gtest.h>

#include <charconv>
#include <csignal>
#include <string>
#include <string_view>
#include <utility>

#include "tests/support/io_process.hpp"
#include "tests/support/io_sockets.hpp"

namespace corespun::test {

[[nodiscard]] inline std::string example(const std::string& name) {
  return std::string(CORESPUN_BIN_DIR) + "/" + name;
}

/// Listens when the constructor returns.
class server : public program {
 public:
  explicit server(const std::string& name, words options = {})
      : program(with(example(name), std::move(options))), greeting_(read_line()) {
    constexpr std::string_view before = "listening on 127.0.0.1:";
    std::uint16_t port = 0;
    if (greeting_.starts_with(before)) {
      (void)std::from_chars(greeting_.data() + before.size(), greeting_.data() + greeting_.size(),
                            port);
    }
    if (port == 0) throw std::runtime_error(name + " said: " + greeting_ + errors());
    at_ = address::loopback(port);
  }
  [[nodiscard]] const address& at() const noexcept { return at_; }
  [[nodiscard]] std::string port() const { return std::to_string(at_.port()); }
  [[nodiscard]] const std::string& greeting() const noexcept { return greeting_; }

  /// Ends it as a user would, and checks that it ends well.
  void end(int signal = SIGTERM) {
    send(signal);
    EXPECT_EQ(wait(), 0);
  }

 private:
  static words with(std::string path, words options) {
    options.insert(options.begin(), std::move(path));
    return options;
  }
  std::string greeting_;
  address at_;
};

class client {
 public:
  explicit client(const address& to) : socket_(connected_to(to)) {}
  void say(std::string_view text) const { send_now(socket_, text); }
  [[nodiscard]] std::string hear(std::size_t bytes) const { return receive_now(socket_, bytes); }
  /// Without its end; empty at the end of the stream.
  [[nodiscard]] std::string line() const {
    std::string text;
    for (std::string c; (c = hear(1)) != "\n" && !c.empty();) text += c;
    return text;
  }
  [[nodiscard]] std::string name() const {
    return "guest" + std::to_string(bound_address(socket_).port());
  }
  [[nodiscard]] const raw& socket() const noexcept { return socket_; }

 private:
  raw socket_;
};

}  // namespace corespun::test
