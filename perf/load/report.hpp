#pragma once
// report: what a run has measured, and its two forms.

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "options.hpp"
#include "shared.hpp"

namespace load {

/// Absent where the process had ended or was not to be measured.
struct server_report {
  std::optional<std::uint64_t> cpu_ns;            // in the window
  std::optional<std::uint64_t> rss_before_bytes;  // without our connections
  std::optional<std::uint64_t> rss_idle_bytes;  // all open, each after one answer, none sending
  std::optional<std::uint64_t> rss_after_bytes;  // all open, after the window
};

struct report {
  double connect_s = 0;  // until all connections had their first answer
  double window_s = 0;  // measured
  std::uint64_t requests = 0;  // answers in the window
  std::uint64_t requests_total = 0;  // answers from the first connection to the last close
  std::uint64_t due = 0;  // requests due in the window
  std::uint64_t unanswered = 0;  // of these
  std::uint64_t late = 0;  // of these
  std::uint64_t starved = 0;  // active connections without any answer in the window
  std::uint64_t oldest_ns = 0;  // the longest wait of what was unanswered at its end
  std::uint64_t own_cpu_ns = 0;  // of all clients, in the window
  std::array<std::uint64_t, failure_kinds> failures{};
  std::string first_failure;  // in words
  histogram latency;
  histogram stall_latency;
  histogram plain_latency;
  histogram connect;
  std::uint64_t reconnects = 0;  // from the warm-up to the end
  histogram reconnect;
  std::uint64_t renewals_due = 0;  // in the window
  std::uint64_t renewals_made = 0;  // in the window
  server_report server;
};

void print_json(const options& o, const report& r);
void print_text(const options& o, const report& r);

}  // namespace load
