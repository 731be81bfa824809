#include <corespun/net/address.hpp>

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <optional>

namespace corespun {
namespace {

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return port;
}

std::unexpected<std::error_code> bad() {
  return std::unexpected(make_error_code(errc::bad_address));
}

template <typename T>
address from(const T& native) {
  return address::from_native(reinterpret_cast<const sockaddr*>(&native), sizeof native);
}

result<address> parse_unix(std::string_view path) {
  sockaddr_un un{};
  un.sun_family = AF_UNIX;
  if (path.empty() || path == "@" || path.size() >= sizeof un.sun_path) return bad();
  std::copy(path.begin(), path.end(), un.sun_path);
  // An abstract name begins with a zero byte and has no end mark, so its length counts (unix(7)).
  const bool abstract = path.front() == '@';
  if (abstract) un.sun_path[0] = '\0';
  const std::size_t size = offsetof(sockaddr_un, sun_path) + path.size() + (abstract ? 0 : 1);
  return address::from_native(reinterpret_cast<const sockaddr*>(&un), static_cast<socklen_t>(size));
}

result<address> parse_v6(std::string_view inside, std::uint16_t port) {
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  if (const auto percent = inside.find('%'); percent != std::string_view::npos) {
    const std::string zone(inside.substr(percent + 1));
    v6.sin6_scope_id = if_nametoindex(zone.c_str());
    if (v6.sin6_scope_id == 0) return bad();
    inside = inside.substr(0, percent);
  }
  if (inet_pton(AF_INET6, std::string(inside).c_str(), &v6.sin6_addr) != 1) return bad();
  return from(v6);
}

}  // namespace

result<address> address::parse(std::string_view text) {
  // would end the text for the C library
  if (text.find('\0') != std::string_view::npos) return bad();
  if (text.starts_with("unix:")) return parse_unix(text.substr(5));
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad();
  const auto port = parse_port(text.substr(colon + 1));
  if (!port) return bad();
  const std::string_view host = text.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    return parse_v6(host.substr(1, host.size() - 2), *port);
  }
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(*port);
  if (inet_pton(AF_INET, std::string(host).c_str(), &v4.sin_addr) != 1) return bad();
  return from(v4);
}

address address::loopback(std::uint16_t port) noexcept {
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return from(v4);
}

address address::any(std::uint16_t port) noexcept {
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  return from(v4);
}

address address::from_native(const sockaddr* a, socklen_t size) noexcept {
  address result;
  result.size_ = std::min(size, static_cast<socklen_t>(sizeof result.storage_));
  std::memcpy(&result.storage_, a, result.size_);
  return result;
}

std::uint16_t address::port() const noexcept {
  // The port stands at the same place for both (RFC 3493).
  if (family() != AF_INET && family() != AF_INET6) return 0;
  return ntohs(reinterpret_cast<const sockaddr_in*>(&storage_)->sin_port);
}

address address::with_port(std::uint16_t port) const noexcept {
  address copy = *this;
  if (!is_unix()) reinterpret_cast<sockaddr_in*>(&copy.storage_)->sin_port = htons(port);
  return copy;
}

std::string address::to_string() const {
  char text[INET6_ADDRSTRLEN] = {};
  switch (family()) {
    case AF_INET:
      inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(&storage_)->sin_addr, text,
                sizeof text);
      return std::string(text) + ":" + std::to_string(port());
    case AF_INET6: {
      const auto& v6 = *reinterpret_cast<const sockaddr_in6*>(&storage_);
      inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
      char zone[IF_NAMESIZE] = {};
      const bool zoned = v6.sin6_scope_id != 0 && if_indextoname(v6.sin6_scope_id, zone) != nullptr;
      return "[" + std::string(text) + (zoned ? "%" + std::string(zone) : "") +
             "]:" + std::to_string(port());
    }
    case AF_UNIX: {
      const std::size_t length =
          size_ > offsetof(sockaddr_un, sun_path) ? size_ - offsetof(sockaddr_un, sun_path) : 0;
      if (length == 0) return "unix:";  // a client that has no name
      const char* const path = storage_.local.sun_path;
      if (path[0] == '\0') return "unix:@" + std::string(path + 1, length - 1);
      return "unix:" + std::string(path, ::strnlen(path, length));
    }
    default: return "(no address)";
  }
}

}  // namespace corespun
