#pragma once
// test_server: a TCP server in a thread of its own that does what a test tells it.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

class test_server {
 public:
  struct peer {
    int fd;
    unsigned number;     // in the order of accept, from 0
    std::string port;    // of the server
    std::string unread;  // bytes that came and were not taken yet

    /// True if so many were there.
    bool take(std::size_t bytes, std::string& to) {
      if (unread.size() < bytes) return false;
      to = unread.substr(0, bytes);
      unread.erase(0, bytes);
      return true;
    }
    void answer(std::string_view bytes) const {
      while (!bytes.empty()) {
        const ssize_t n = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n < 0) return;  // the peer has gone
        bytes.remove_prefix(static_cast<std::size_t>(n));
      }
    }
  };

  /// `serve` is called when bytes have come. While it takes its time, nobody is served.
  explicit test_server(std::function<void(peer&)> serve) : serve_(std::move(serve)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(listener_, reinterpret_cast<const sockaddr*>(&address), size), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    EXPECT_EQ(listen(listener_, 128), 0);
    port_ = std::to_string(ntohs(address.sin_port));
    thread_ = std::jthread([this] { run(); });
  }
  ~test_server() { stop(); }

  [[nodiscard]] const std::string& port() const { return port_; }

  /// Afterwards the caller may look at what `serve` wrote.
  void stop() {
    if (!thread_.joinable()) return;
    shutdown(listener_, SHUT_RDWR);  // wakes poll()
    thread_.join();
    close(listener_);
  }

 private:
  void run() {
    for (;;) {
      std::vector<pollfd> ready{{.fd = listener_, .events = POLLIN, .revents = 0}};
      for (const auto& [fd, peer] : peers_) ready.push_back({fd, POLLIN, 0});
      if (poll(ready.data(), ready.size(), -1) < 0) continue;
      if (ready[0].revents & POLLHUP) break;
      for (std::size_t i = 1; i < ready.size(); ++i)
        if (ready[i].revents != 0) receive(peers_.at(ready[i].fd));
      if (ready[0].revents & POLLIN) {
        const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        const int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (fd >= 0) peers_[fd] = {.fd = fd, .number = accepted_++, .port = port_, .unread = {}};
      }
    }
    for (const auto& [fd, peer] : peers_) close(fd);
  }

  void receive(peer& from) {
    std::array<char, 65536> buffer{};
    const ssize_t n = recv(from.fd, buffer.data(), buffer.size(), 0);
    if (n <= 0) {
      close(from.fd);
      peers_.erase(from.fd);
      return;
    }
    from.unread.append(buffer.data(), static_cast<std::size_t>(n));
    serve_(from);
  }

  const std::function<void(peer&)> serve_;
  const int listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::string port_;
  unsigned accepted_ = 0;
  std::map<int, peer> peers_;
  std::jthread thread_;
};
