#pragma once
// address: where to listen or connect. IPv4, IPv6 or a Unix socket; a value, copied freely.

#include <corespun/runtime/result.hpp>

#include <sys/socket.h>
#include <sys/un.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace corespun {

class address {
 public:
  /// No address; only to be assigned to.
  address() noexcept {}

  /// "127.0.0.1:80", "[::1]:80", "[fe80::1%eth0]:80", "unix:/path", "unix:@abstract". Numbers only,
  /// no names. Errors: errc::bad_address.
  [[nodiscard]] static result<address> parse(std::string_view text);

  /// 127.0.0.1; port 0: any free one.
  [[nodiscard]] static address loopback(std::uint16_t port) noexcept;
  /// All IPv4 addresses of this machine.
  [[nodiscard]] static address any(std::uint16_t port) noexcept;

  /// What parse() reads.
  [[nodiscard]] std::string to_string() const;

  /// AF_INET, AF_INET6, AF_UNIX
  [[nodiscard]] int family() const noexcept { return storage_.base.sa_family; }
  [[nodiscard]] bool is_unix() const noexcept { return family() == AF_UNIX; }
  [[nodiscard]] std::uint16_t port() const noexcept;  ///< 0 for Unix
  /// unchanged for Unix
  [[nodiscard]] address with_port(std::uint16_t port) const noexcept;

  [[nodiscard]] const sockaddr* native() const noexcept { return &storage_.base; }
  [[nodiscard]] socklen_t native_size() const noexcept { return size_; }
  /// From getsockname(2) and the like.
  [[nodiscard]] static address from_native(const sockaddr* a, socklen_t size) noexcept;

  friend bool operator==(const address& a, const address& b) noexcept {
    return a.to_string() == b.to_string();
  }

 private:
  union storage {
    sockaddr base;
    sockaddr_storage any;
    sockaddr_un local;
  };
  storage storage_{};
  socklen_t size_ = 0;
};

}  // namespace corespun
