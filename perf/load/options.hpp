#pragma once
// The command line of the load generator: what can be asked for, its defaults and its checks.

#include <netinet/in.h>
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "schedule.hpp"
#include "stalls.hpp"

namespace load {

using seconds = std::chrono::duration<double>;

struct options {
  std::string host = "127.0.0.1";
  in_addr destination{};  // `host`
  unsigned addresses = 0;  // source addresses, 127.0.0.1 and up; with 1 the kernel chooses
  std::uint16_t port = 0;
  unsigned processes = 1;
  unsigned connections = 100;
  unsigned connecting = 128;  // most connections at once that wait for their first answer
  std::optional<std::string> http_path;  // without it, an echo of messages of size_bytes
  std::uint64_t size_bytes = 64;
  unsigned pipeline = 1;
  double active_percent = 100;
  std::optional<double> rate;  // requests per second in an open loop; without it, a closed loop
  arrivals arrivals_kind = arrivals::poisson;
  double hot_percent = 0;  // of the requests go to one connection of each process
  seconds hot_moves{0};    // which changes so often; never with 0
  double churn_percent = 0;  // of all connections are made anew per second
  std::optional<stalls> stall;
  double stall_percent = 0;
  std::uint32_t stall_us = 1000;
  seconds warm_up{0.5};
  seconds measured{3};
  seconds timeout{10};
  std::vector<int> cpus;  // process i is pinned to cpus[i % cpus.size()], unless it is empty
  std::optional<pid_t> server;
  bool signal_server = false;  // SIGUSR1 at both ends of the window
  bool json = false;
};

/// Errors: what cannot be met ends the process by die(). --help ends it with status 0.
[[nodiscard]] options parse_options(int argc, char** argv);

/// The active connections are spread evenly over the numbers of all. `number`: 0 and up.
[[nodiscard]] bool is_active(const options& o, unsigned number) noexcept;
[[nodiscard]] unsigned active_connections(const options& o) noexcept;

/// Writes what happened and what can be done about it to stderr; ends the process with status 1.
[[noreturn]] void die(const std::string& what, const std::string& now);

}  // namespace load
