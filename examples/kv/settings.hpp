#pragma once
// settings: what the command line says.

#include "request.hpp"
#include "store.hpp"

#include <corespun/net/address.hpp>

#include <string_view>

namespace kv {

struct settings {
  corespun::address at = corespun::address::loopback(6379);
  unsigned cores = 0;
  limits memory;  // of the whole server
  request_limits requests;
};

/// Ends the process for --help, and with status 2 where it does not understand.
settings parse_settings(int argc, char** argv);

/// "allkeys-lru"
std::string_view policy_name(eviction policy);

}  // namespace kv
