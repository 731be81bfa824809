#pragma once
// What a server that is measured has done, counted by each core for itself and printed at its end.

#include <corespun/corespun.hpp>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace example {

/// Of one core, which alone writes them.
struct counters {
  alignas(64) std::atomic<std::uint64_t> requests{0};
  std::atomic<std::uint64_t> connections{0};
  std::atomic<std::uint64_t> system_calls{0};
};
using all_counters = std::shared_ptr<std::vector<counters>>;

inline void count(std::atomic<std::uint64_t>& counter, std::uint64_t more = 1) {
  counter.store(counter.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
}

/// As a line of JSON.
inline corespun::task<> print_stats(all_counters all, bool wanted) {
  if (!wanted) co_return;
  std::uint64_t requests = 0;
  std::uint64_t connections = 0;
  std::uint64_t system_calls = 0;
  std::string by_core;
  auto ask_all = [&](corespun::scope& s) -> corespun::task<> {
    for (unsigned core = 0; core < corespun::this_core::count(); ++core) {
      (void)s.spawn_on(core, [&mine = (*all)[core]]() -> corespun::task<> {
        mine.system_calls = corespun::this_core_io().system_calls;
        co_return;
      });
    }
    co_return;
  };
  co_await corespun::with_scope(ask_all);
  for (const counters& c : *all) {
    requests += c.requests;
    connections += c.connections;
    system_calls += c.system_calls;
    by_core += (by_core.empty() ? "" : ",") + std::to_string(c.requests);
  }
  std::printf(
      "{\"requests\":%llu,\"connections\":%llu,\"syscalls\":%llu,\"requests_by_core\":[%s],"
      "\"driver\":\"%s\"}\n",
      static_cast<unsigned long long>(requests), static_cast<unsigned long long>(connections),
      static_cast<unsigned long long>(system_calls), by_core.c_str(),
      corespun::this_core::driver_name());
}

}  // namespace example
