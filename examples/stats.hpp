#pragma once
// What a server that is measured has done, counted by each core for itself and printed at its end,
// and at SIGUSR1 what it has done until then.

#include <corespun/corespun.hpp>

#include <signal.h>
#include <sys/signalfd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
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
inline corespun::task<> print_stats(all_counters all) {
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
  std::fflush(stdout);
}

inline sigset_t only_sigusr1() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  return set;
}

/// Before run(), which starts the threads that inherit this: SIGUSR1 is to be read, not to end
/// them.
inline void hold_signals() {
  const sigset_t set = only_sigusr1();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

/// Until it is cancelled.
inline corespun::task<> print_stats_at_signals(all_counters all) {
  const sigset_t set = only_sigusr1();
  corespun::result<corespun::fd> signals = corespun::fd::adopt(signalfd(-1, &set, SFD_CLOEXEC));
  std::array<std::byte, sizeof(signalfd_siginfo)> signal{};
  while (signals && co_await signals->read_some(signal)) {
    auto printing = print_stats(all);
    co_await std::move(printing);
  }
}

/// Runs it in the scope of main, which outlives all connections.
inline corespun::task<int> with_stats(corespun::scope& s, all_counters all,
                                      corespun::task<int> serving) {
  s.on_exit([all]() -> corespun::task<> { return print_stats(all); });
  auto at_signals = s.spawn_on(corespun::this_core::index(), print_stats_at_signals, all);
  const int code = co_await std::move(serving);
  at_signals.cancel();
  co_return code;
}

}  // namespace example
