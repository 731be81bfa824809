#include "settings.hpp"

#include "text.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <optional>
#include <string>
#include <utility>

namespace kv {

namespace {

constexpr std::pair<std::string_view, eviction> policies[] = {{"noeviction", eviction::none},
                                                              {"allkeys-lru", eviction::lru},
                                                              {"allkeys-random", eviction::random},
                                                              {"volatile-ttl", eviction::ttl}};

constexpr const char* help =
    "a key-value server that speaks the protocol of Redis\n"
    "  --port N                listen on port N; 6379 is the default, 0: any free port\n"
    "  --address A             listen on the address A; 127.0.0.1 is the default\n"
    "  --cores N               run on N cores; 0, the default: all that this process may use\n"
    "  --maxmemory N           keep keys and values in N bytes, or Nkb, Nmb, Ngb; 0, the default:\n"
    "                          no limit\n"
    "  --maxmemory-policy P    what goes when that is full: noeviction (nothing, the default),\n"
    "                          allkeys-lru, allkeys-random or volatile-ttl\n"
    "  --proto-max-bulk-len N  refuse words and values of more than N bytes; 512mb, the default\n"
    "  --client-query-buffer-limit N\n"
    "                          cut off who sends a request of more than N bytes; 1gb, the default\n"
    "  --help                  this text\n"
    "CORESPUN_DRIVER=uring|epoll chooses how the cores wait. SIGINT or SIGTERM ends the server.\n";

template <typename Integer>
std::optional<Integer> to_number(std::string_view text) {
  Integer n{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc{} || end != text.data() + text.size()) return {};
  return n;
}

std::optional<std::size_t> to_bytes(std::string_view text) {
  const std::size_t unit_at = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto n = to_number<std::size_t>(text.substr(0, unit_at));
  const std::string_view unit = text.substr(unit_at);
  const unsigned shift = is_word(unit, "kb") ? 10 : is_word(unit, "mb") ? 20 : 30;
  if (unit.empty() || !n) return n;
  if (shift == 30 && !is_word(unit, "gb")) return {};
  if (*n > std::numeric_limits<std::size_t>::max() >> shift) return {};
  return *n << shift;
}

/// Puts what was read into the setting; whether there was something.
template <typename T>
bool keep(std::optional<T> read, T& setting) {
  if (read) setting = *read;
  return read.has_value();
}

bool parse_address(std::string_view text, std::uint16_t port, corespun::address& at) {
  const bool bare_v6 = text.find(':') != text.npos && !text.starts_with("unix:");
  const std::string host = bare_v6 ? '[' + std::string(text) + ']' : std::string(text);
  const auto read = corespun::address::parse(text.starts_with("unix:") ? host : host + ":0");
  if (read) at = read->with_port(port);
  return read.has_value();
}

bool parse_policy(std::string_view text, eviction& policy) {
  const auto* const found =
      std::ranges::find(policies, text, [](const auto& named) { return named.first; });
  if (found != std::end(policies)) policy = found->second;
  return found != std::end(policies);
}

[[noreturn]] void refuse(const char* program, const std::string& why) {
  std::fprintf(stderr, "%s: %s\n%s: %s", program, why.c_str(), program, help);
  std::exit(2);
}

}  // namespace

settings parse_settings(int argc, char** argv) {
  settings s;
  std::uint16_t port = s.at.port();
  for (int i = 1; i < argc; i += 2) {
    const std::string_view option = argv[i];
    const std::string value = i + 1 < argc ? argv[i + 1] : "";
    const auto needs = [&](bool right, const char* what) {
      if (!right) refuse(argv[0], argv[i] + (" needs " + (what + (", not '" + value + "'"))));
    };
    if (option == "--help") {
      std::printf("%s: %s", argv[0], help);
      std::exit(0);
    } else if (option == "--port") {
      needs(keep(to_number<std::uint16_t>(value), port), "a number up to 65535");
    } else if (option == "--address") {
      needs(parse_address(value, port, s.at), "an IPv4 or IPv6 address or unix:PATH");
    } else if (option == "--cores") {
      needs(keep(to_number<unsigned>(value), s.cores), "a number");
    } else if (option == "--maxmemory") {
      needs(keep(to_bytes(value), s.memory.max_bytes), "a number of bytes");
    } else if (option == "--maxmemory-policy") {
      needs(parse_policy(value, s.memory.policy),
            "noeviction, allkeys-lru, allkeys-random or volatile-ttl");
    } else if (option == "--proto-max-bulk-len") {
      needs(keep(to_bytes(value), s.requests.word_bytes), "a number of bytes");
    } else if (option == "--client-query-buffer-limit") {
      needs(keep(to_bytes(value), s.requests.bytes), "a number of bytes");
    } else {
      refuse(argv[0], "unknown option '" + std::string(option) + "'");
    }
  }
  s.at = s.at.with_port(port);
  return s;
}

std::string_view policy_name(eviction policy) {
  for (const auto& [name, value] : policies) {
    if (value == policy) return name;
  }
  return {};
}

}  // namespace kv
