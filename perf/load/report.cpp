// The JSON object, one line. Times of messages are in µs.
//
//   connections, processes, addresses, size, pipeline, active_percent   as asked for; the size is
//                       null with --http
//   rate                requests per second asked for in an open loop; null in a closed one
//   arrivals            "poisson", "constant"; null in a closed loop
//   seconds             length of the measured window
//   requests            answers in the window, the first ones of connections made anew included;
//                       requests_per_second
//   requests_total      answers from first to last: the first one of each connection, warm-up and
//                       drain included. To be compared with the server's own counts.
//   due                 requests that were due in the window; in a closed loop one is due when an
//                       earlier one has come back
//   unanswered          those of them that were not answered until the end, which is when all are,
//                       or a little more than --timeout after the window; also those of connections
//                       that were lost
//   starved             active connections that were owed an answer all through the window and got
//                       none
//   oldest_us           how long what was unanswered at the end of the window had waited until
//                       then, whenever it was due: the longest of all
//   latency_us          {p50, p99, p999, max} of those that were answered, from when they were due:
//                       with --rate, waiting for a connection with a full pipeline counts
//   connect_seconds     until all connections had their first answer
//   connect_us          {p50, p99, p999, max} from connect() to the first answer
//   errors              {refused, reset, timeout, short, mismatch, other}: connections lost
//   load_cpu            CPUs' worth of time the load generator took, 1.0 being one whole CPU
//   late_sends          only with --rate: share of the due ones, 0 to 1, that the load generator
//                       itself sent more than 1 ms late. If it is not small, it was the generator
//                       that limited the rate and lengthened the latencies.
//   http                only with --http: the path asked for
//   hot_percent         only with --hot: as asked for
//   hot_moves_seconds   only with --hot: as asked for; null if the hot connection stays
//   churn_percent       only with --churn: as asked for
//   reconnects          only with --churn: connections made anew, from the warm-up to the end
//   reconnect_us        only with --churn: as connect_us, of these
//   renewals_due, renewals_made
//                       only with --churn: connections that were to be made anew in the window, and
//                       those that were, up to their first answer, whenever they were due
//   stall_percent, stall_us   only with --stall: as asked for
//   stall_latency_us, plain_latency_us
//                       only with --stall: latency_us of the messages that asked the server to
//                       compute, and of the others
//   server              only with --server-pid; a value is null if the process had ended
//     cpu_us_per_request        CPU time of it and its descendants in the window per request
//     cpu                       as load_cpu
//     rss_before_bytes, rss_idle_bytes, rss_after_bytes
//                               resident memory before the first connection; with all of them, each
//                               after one answer; after the window
//     rss_bytes_per_connection  (idle - before) / connections

#include "report.hpp"

#include <cstdio>
#include <numeric>
#include <string_view>

namespace load {
namespace {

double us(std::uint64_t ns) { return static_cast<double>(ns) / 1e3; }

/// A JSON object in the making.
class object {
 public:
  object& add(const char* name, const std::string& json) {
    text_ += (text_.size() > 1 ? ",\"" : "\"") + std::string(name) + "\":" + json;
    return *this;
  }
  object& add(const char* name, std::uint64_t value) { return add(name, std::to_string(value)); }
  [[nodiscard]] std::string text() const { return text_ + "}"; }

 private:
  std::string text_ = "{";
};

std::string printed(const char* format, auto... values) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), format, values...);
  return text.data();
}

std::string json(std::optional<double> value, int digits) {
  return value ? printed("%.*f", digits, *value) : "null";
}

std::string as_asked(double value) { return printed("%.10g", value); }

std::string quoted(std::string_view text) { return '"' + std::string(text) + '"'; }

std::string json(const histogram& h) {
  return object()
      .add("p50", json(us(h.quantile_ns(0.5)), 1))
      .add("p99", json(us(h.quantile_ns(0.99)), 1))
      .add("p999", json(us(h.quantile_ns(0.999)), 1))
      .add("max", json(us(h.max_ns()), 1))
      .text();
}

double cpus(std::uint64_t cpu_ns, const report& r) {
  return static_cast<double>(cpu_ns) / 1e9 / r.window_s;
}

std::optional<double> server_us_per_request(const report& r) {
  if (!r.server.cpu_ns || r.requests == 0) return {};
  return us(*r.server.cpu_ns) / static_cast<double>(r.requests);
}

std::optional<double> bytes_per_connection(const options& o, const server_report& s) {
  if (!s.rss_before_bytes || !s.rss_idle_bytes) return {};
  return (static_cast<double>(*s.rss_idle_bytes) - static_cast<double>(*s.rss_before_bytes)) /
         o.connections;
}

std::string server_json(const options& o, const report& r) {
  const server_report& s = r.server;
  std::optional<double> cpu;
  if (s.cpu_ns) cpu = cpus(*s.cpu_ns, r);
  return object()
      .add("cpu_us_per_request", json(server_us_per_request(r), 4))
      .add("cpu", json(cpu, 4))
      .add("rss_before_bytes", json(s.rss_before_bytes, 0))
      .add("rss_idle_bytes", json(s.rss_idle_bytes, 0))
      .add("rss_after_bytes", json(s.rss_after_bytes, 0))
      .add("rss_bytes_per_connection", json(bytes_per_connection(o, s), 1))
      .text();
}

std::string errors_json(const report& r) {
  object errors;
  for (std::size_t i = 0; i < failure_kinds; ++i) errors.add(failure_names[i], r.failures[i]);
  return errors.text();
}

const char* name_of(arrivals kind) { return kind == arrivals::poisson ? "poisson" : "constant"; }

double late_sends(const report& r) {
  return r.due == 0 ? 0 : static_cast<double>(r.late) / static_cast<double>(r.due);
}

void print_latency(const char* name, const histogram& h) {
  std::printf("  %-12s p50 %.1f µs, p99 %.1f µs, p99.9 %.1f µs, max %.1f µs\n", name,
              us(h.quantile_ns(0.5)), us(h.quantile_ns(0.99)), us(h.quantile_ns(0.999)),
              us(h.max_ns()));
}

void print_server(const options& o, const report& r) {
  const server_report& s = r.server;
  constexpr double mib = 1 << 20;
  if (const auto each = server_us_per_request(r))
    std::printf("  %-12s %.3f µs of CPU time per request, %.2f CPUs\n", "server", *each,
                cpus(*s.cpu_ns, r));
  if (const auto each = bytes_per_connection(o, s))
    std::printf("  %-12s %.1f MiB resident, %.1f MiB with all connections idle: %.0f bytes each\n",
                "", static_cast<double>(*s.rss_before_bytes) / mib,
                static_cast<double>(*s.rss_idle_bytes) / mib, *each);
}

}  // namespace

void print_json(const options& o, const report& r) {
  object all;
  all.add("connections", o.connections)
      .add("processes", o.processes)
      .add("addresses", o.addresses)
      .add("size", o.http_path ? "null" : std::to_string(o.size_bytes))
      .add("pipeline", o.pipeline)
      .add("active_percent", as_asked(o.active_percent))
      .add("rate", o.rate ? as_asked(*o.rate) : "null")
      .add("arrivals", o.rate ? quoted(name_of(o.arrivals_kind)) : "null")
      .add("seconds", json(r.window_s, 4))
      .add("requests", r.requests)
      .add("requests_per_second", json(static_cast<double>(r.requests) / r.window_s, 1))
      .add("requests_total", r.requests_total)
      .add("due", r.due)
      .add("unanswered", r.unanswered)
      .add("starved", r.starved)
      .add("oldest_us", json(us(r.oldest_ns), 1))
      .add("latency_us", json(r.latency))
      .add("connect_seconds", json(r.connect_s, 4))
      .add("connect_us", json(r.connect))
      .add("errors", errors_json(r))
      .add("load_cpu", json(cpus(r.own_cpu_ns, r), 4));
  if (o.rate) all.add("late_sends", json(late_sends(r), 4));
  if (o.http_path) all.add("http", quoted(*o.http_path));
  if (o.hot_percent > 0)
    all.add("hot_percent", as_asked(o.hot_percent))
        .add("hot_moves_seconds",
             o.hot_moves > seconds(0) ? as_asked(o.hot_moves.count()) : "null");
  if (o.churn_percent > 0)
    all.add("churn_percent", as_asked(o.churn_percent))
        .add("reconnects", r.reconnects)
        .add("reconnect_us", json(r.reconnect))
        .add("renewals_due", r.renewals_due)
        .add("renewals_made", r.renewals_made);
  if (o.stall)
    all.add("stall_percent", as_asked(o.stall_percent))
        .add("stall_us", o.stall_us)
        .add("stall_latency_us", json(r.stall_latency))
        .add("plain_latency_us", json(r.plain_latency));
  if (o.server) all.add("server", server_json(o, r));
  std::puts(all.text().c_str());
}

void print_text(const options& o, const report& r) {
  const auto failed = std::accumulate(r.failures.begin(), r.failures.end(), std::uint64_t{0});
  const std::string what =
      o.http_path ? "GET " + *o.http_path : std::to_string(o.size_bytes) + " bytes";
  std::printf("%u connections, %s, %u under way on each, %s %% active, %.1f s\n", o.connections,
              what.c_str(), o.pipeline, as_asked(o.active_percent).c_str(), r.window_s);
  std::printf("  %-12s %.0f per second\n", "requests",
              static_cast<double>(r.requests) / r.window_s);
  if (o.rate)
    std::printf("  %-12s %s per second asked for, %s; %.2f %% sent late\n", "open loop",
                as_asked(*o.rate).c_str(), name_of(o.arrivals_kind), late_sends(r) * 100);
  if (o.hot_percent > 0)
    std::printf("  %-12s %s %% of the requests on one connection of each process\n", "hot",
                as_asked(o.hot_percent).c_str());
  print_latency("latency", r.latency);
  if (o.stall) {
    print_latency("stalled", r.stall_latency);
    print_latency("plain", r.plain_latency);
  }
  if (r.unanswered > 0)
    std::printf("  %-12s %llu of %llu requests\n", "unanswered",
                static_cast<unsigned long long>(r.unanswered),
                static_cast<unsigned long long>(r.due));
  std::printf("  %-12s %llu connections; at the end the longest wait was %.1f µs\n", "starved",
              static_cast<unsigned long long>(r.starved), us(r.oldest_ns));
  std::printf("  %-12s all within %.2f s\n", "connected", r.connect_s);
  print_latency("connect", r.connect);
  if (o.churn_percent > 0) {
    std::printf("  %-12s %llu connections in the window, %llu were due\n", "made anew",
                static_cast<unsigned long long>(r.renewals_made),
                static_cast<unsigned long long>(r.renewals_due));
    print_latency("reconnect", r.reconnect);
  }
  std::printf("  %-12s %.2f CPUs by %u process(es)\n", "load", cpus(r.own_cpu_ns, r), o.processes);
  if (o.server) print_server(o, r);
  std::printf("  %-12s %llu connections lost", "errors", static_cast<unsigned long long>(failed));
  for (std::size_t i = 0; i < failure_kinds; ++i)
    if (r.failures[i] != 0)
      std::printf(", %s %llu", failure_names[i], static_cast<unsigned long long>(r.failures[i]));
  std::puts("");
}

}  // namespace load
