#pragma once
// server: what all cores share.

#include "settings.hpp"
#include "shard.hpp"
#include "wall_clock.hpp"

#include <corespun/runtime/sharded.hpp>

#include <atomic>
#include <cstdint>

namespace kv {

struct server {
  kv::settings settings;
  unix_ms started = unix_now();
  corespun::sharded<shard> shards;
  std::atomic<std::uint64_t> last_client{0};  // the number of the newest connection
};

}  // namespace kv
