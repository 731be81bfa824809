#include "options.hpp"

#include <arpa/inet.h>
#include <getopt.h>
#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <set>
#include <string_view>

#include "shared.hpp"

namespace load {
namespace {

constexpr unsigned most_addresses = 16;
constexpr unsigned reserved_descriptors = 16;

constexpr const char* help =
    R"(usage: load --port N [options]
Measures a TCP echo server and checks every byte, or an HTTP/1.1 server by --http.
Without --rate in a closed loop: each connection sends a message when an earlier one has come back.
Only a server that answers is loaded, so latencies look better than users would see them.
With --rate in an open loop: messages are due at given times, whether or not the server answers,
and latency counts from then on. What is due on a connection with a full pipeline waits there.

  --host ADDRESS      where the server listens (127.0.0.1)
  --port N            and its port
  --addresses K       connect from K source addresses, 127.0.0.1 and up, since each has only some
                      28,000 ports towards one server, and --churn uses them up (as many as
                      are needed, at most 16)
  --connections N     in all processes together (100)
  --processes P       processes that share the connections; descriptors are limited in each (1)
  --connecting N      most connections at once that wait for their first answer, so that the
                      server's queue of connections to accept does not overflow (128)
  --size BYTES        of a message (64)
  --http PATH         messages are GET requests for this path; each answer must have status 200, a
                      Content-Length and the same one as the first
  --pipeline D        messages under way on each connection (1)
  --active PERCENT    share of the connections that send, also a fraction such as 0.1; the
                      others idle after one answer (100)
  --rate R            messages per second on all connections together, which take turns
  --arrivals KIND     poisson, as from many independent users, or constant distances (poisson)
  --hot PERCENT       share of the messages that go to one connection of each process; the others
                      take turns for the rest. Needs --rate (0)
  --hot-moves S       another connection becomes the hot one so often (never)
  --churn PERCENT     so many of all connections are closed, between two messages, and made anew per
                      second (0)
  --stall PERCENT     share of the messages that ask the server to compute before it answers: the
                      first four bytes of each are 0 or --stall-us, little-endian. Only for servers
                      that understand it and read messages of --size, which is at least 8
  --stall-us US       for how long (1000)
  --warmup S          seconds before the measurement (0.5)
  --seconds S         of measurement (3)
  --timeout S         for an answer, for a connection and its first one, and for all that is
                      unanswered at the end of the measurement (10)
  --cpu LIST          pin the processes to these CPUs in turn, as in 1 or 0,2-3
  --server-pid PID    also measure this process and its descendants: CPU time and memory
  --signal-server     send it SIGUSR1 at both ends of the measurement, at which a server may tell
                      what it has counted. Others end by it
  --json              one JSON object on stdout instead of text; report.cpp documents it
  --help

Status 0: no errors. 1: not measured, see stderr. 2: measured, but some requests failed.
)";

template <class T>
T number(const char* option, std::string_view text, T least, T most) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < least || value > most) {
    std::string range = "from " + std::to_string(least) + " to " + std::to_string(most);
    die("--" + std::string(option) + " '" + std::string(text) + "' is not a number " + range,
        "see --help");
  }
  return value;
}

arrivals arrivals_kind(std::string_view text) {
  if (text == "poisson") return arrivals::poisson;
  if (text == "constant") return arrivals::constant;
  die("--arrivals '" + std::string(text) + "' is not known", "use poisson or constant");
}

std::string path(const char* option, std::string_view text) {
  const auto plain = [](char c) { return c > ' ' && c <= '~' && c != '"' && c != '\\'; };
  if (!text.starts_with('/') || !std::ranges::all_of(text, plain))
    die("--" + std::string(option) + " '" + std::string(text) + "' is not a path",
        "use one such as /plaintext, other characters encoded as in %20");
  return std::string(text);
}

std::vector<int> cpu_list(const char* option, std::string_view text) {
  std::vector<int> cpus;
  while (!text.empty()) {
    const auto part = text.substr(0, text.find(','));
    text.remove_prefix(std::min(part.size() + 1, text.size()));
    const auto dash = part.find('-');
    const int first = number(option, part.substr(0, dash), 0, CPU_SETSIZE - 1);
    const int last =
        dash == part.npos ? first : number(option, part.substr(dash + 1), first, CPU_SETSIZE - 1);
    for (int cpu = first; cpu <= last; ++cpu) cpus.push_back(cpu);
  }
  return cpus;
}

/// Source ports towards one destination address and port.
unsigned source_ports() {
  unsigned first = 32768, last = 60999;
  std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> first >> last;
  return last - first + 1;
}

seconds run_time(const options& o) { return o.warm_up + o.measured; }

void settle_addresses(options& o) {
  if (inet_pton(AF_INET, o.host.c_str(), &o.destination) != 1)
    die("--host '" + o.host + "' is not an IPv4 address", "use one such as 127.0.0.1");
  const bool loopback = ntohl(o.destination.s_addr) >> 24 == 127;
  const unsigned ports = source_ports();
  // The kernel looks for a free port among every second one first, and the search grows long when
  // most of those are taken. A quarter of all keeps it short.
  const unsigned comfortable = ports / 4;
  const unsigned asked = o.addresses;
  if (asked == 0) {
    // The port of a closed connection stays in use for the minute of its TIME_WAIT.
    const double closed_per_s = o.connections * o.churn_percent / 100;
    const double in_use = o.connections + closed_per_s * std::min(60.0, run_time(o).count());
    const double useful = std::ceil(in_use / comfortable);
    o.addresses = loopback ? static_cast<unsigned>(std::min<double>(useful, most_addresses)) : 1;
  }
  if (o.addresses > 1 && !loopback)
    die("--addresses " + std::to_string(asked) + " towards " + o.host +
            ": only loopback can be reached from several addresses",
        "leave --addresses out");
  if (o.connections > std::uint64_t{o.addresses} * ports) {
    die(std::to_string(o.connections) + " connections, but only " + std::to_string(ports) +
            " source ports on each of " + std::to_string(o.addresses) + " source addresses",
        asked == 0 ? "widen net.ipv4.ip_local_port_range" : "raise --addresses");
  }
}

void check_combinations(const options& o, const std::set<std::string_view>& given) {
  if (given.contains("arrivals") && !o.rate)
    die("--arrivals in a closed loop, where answers decide when messages are due",
        "add --rate for an open loop");
  if (o.rate && active_connections(o) == 0)
    die("--rate, but no connection is active", "raise --active");
  if (given.contains("hot") && !o.rate)
    die("--hot in a closed loop, where each connection sends as fast as it is answered",
        "add --rate for an open loop");
  if (given.contains("hot-moves") && !given.contains("hot"))
    die("--hot-moves without a hot connection", "add --hot with its share");
  if (given.contains("stall-us") && !given.contains("stall"))
    die("--stall-us without messages that stall", "add --stall with their share");
  if (o.signal_server && !o.server)
    die("--signal-server without a server", "name it by --server-pid");
  for (const char* name : {"size", "stall"})
    if (o.http_path && given.contains(name))
      die("--" + std::string(name) + " is of the messages of an echo, not of --http",
          "leave one of the two out");
  if (given.contains("stall") && o.size_bytes < 8)
    die("--stall needs messages of at least 8 bytes", "raise --size");
}

void settle_descriptors(const options& o) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  const rlim_t each = (o.connections + o.processes - 1) / o.processes;
  if (each + reserved_descriptors <= limit.rlim_cur) return;
  const rlim_t room =
      limit.rlim_cur > reserved_descriptors ? limit.rlim_cur - reserved_descriptors : 0;
  die(std::to_string(each) + " connections in each of " + std::to_string(o.processes) +
          " processes, but a process may open " + std::to_string(limit.rlim_cur) +
          " descriptors (hard limit, RLIMIT_NOFILE)",
      room == 0 ? "raise the hard limit"
                : "use --processes " + std::to_string((o.connections + room - 1) / room));
}

}  // namespace

void die(const std::string& what, const std::string& now) {
  std::fprintf(stderr, "load: %s\n  now: %s\n", what.c_str(), now.c_str());
  std::exit(1);
}

bool is_active(const options& o, unsigned number) noexcept {
  constexpr std::uint64_t all = 1'000'000;
  const auto some = static_cast<std::uint64_t>(std::llround(o.active_percent * all / 100));
  return number * some % all < some;
}

unsigned active_connections(const options& o) noexcept {
  unsigned active = 0;
  for (unsigned i = 0; i < o.connections; ++i) active += is_active(o, i);
  return active;
}

options parse_options(int argc, char** argv) {
  static const option known[] = {
      {"host", 1, nullptr, 'h'},          {"port", 1, nullptr, 'p'},
      {"addresses", 1, nullptr, 'a'},     {"connections", 1, nullptr, 'c'},
      {"processes", 1, nullptr, 'P'},     {"connecting", 1, nullptr, 'C'},
      {"size", 1, nullptr, 's'},          {"http", 1, nullptr, 'T'},
      {"pipeline", 1, nullptr, 'd'},      {"active", 1, nullptr, 'A'},
      {"rate", 1, nullptr, 'r'},          {"arrivals", 1, nullptr, 'k'},
      {"hot", 1, nullptr, 'o'},           {"hot-moves", 1, nullptr, 'O'},
      {"churn", 1, nullptr, 'n'},         {"stall", 1, nullptr, 'l'},
      {"stall-us", 1, nullptr, 'L'},      {"warmup", 1, nullptr, 'w'},
      {"seconds", 1, nullptr, 'S'},       {"timeout", 1, nullptr, 't'},
      {"cpu", 1, nullptr, 'u'},           {"server-pid", 1, nullptr, 'v'},
      {"signal-server", 0, nullptr, 'g'}, {"json", 0, nullptr, 'j'},
      {"help", 0, nullptr, 'H'},          {nullptr, 0, nullptr, 0}};
  constexpr unsigned many = 1'000'000;
  constexpr double hour = 3600;
  options o;
  int at = 0;
  std::set<std::string_view> given;
  for (int c; (c = getopt_long(argc, argv, "", known, &at)) != -1;) {
    const char* name = known[at].name;
    given.insert(name);
    switch (c) {
      case 'h': o.host = optarg; break;
      case 'p': o.port = number<std::uint16_t>(name, optarg, 1, 65535); break;
      case 'a': o.addresses = number(name, optarg, 1u, most_addresses); break;
      case 'c': o.connections = number(name, optarg, 1u, many); break;
      case 'P': o.processes = number(name, optarg, 1u, most_processes); break;
      case 'C': o.connecting = number(name, optarg, 1u, many); break;
      case 's': o.size_bytes = number<std::uint64_t>(name, optarg, 1, 1u << 30); break;
      case 'T': o.http_path = path(name, optarg); break;
      case 'd': o.pipeline = number(name, optarg, 1u, 4096u); break;
      case 'A': o.active_percent = number(name, optarg, 0.0, 100.0); break;
      case 'r': o.rate = number(name, optarg, 0.001, 1e8); break;
      case 'k': o.arrivals_kind = arrivals_kind(optarg); break;
      case 'o': o.hot_percent = number(name, optarg, 0.0, 100.0); break;
      case 'O': o.hot_moves = seconds(number(name, optarg, 0.001, hour)); break;
      case 'n': o.churn_percent = number(name, optarg, 0.0, 100'000.0); break;
      case 'l': o.stall_percent = number(name, optarg, 0.0, 100.0); break;
      case 'L': o.stall_us = number(name, optarg, 1u, 60'000'000u); break;
      case 'w': o.warm_up = seconds(number(name, optarg, 0.0, hour)); break;
      case 'S': o.measured = seconds(number(name, optarg, 0.01, hour)); break;
      case 't': o.timeout = seconds(number(name, optarg, 0.01, hour)); break;
      case 'u': o.cpus = cpu_list(name, optarg); break;
      case 'v': o.server = number<pid_t>(name, optarg, 1, std::numeric_limits<pid_t>::max()); break;
      case 'g': o.signal_server = true; break;
      case 'j': o.json = true; break;
      case 'H': std::fputs(help, stdout); std::exit(0);
      default: die("the options cannot be read", "see --help");
    }
  }
  if (optind < argc) die("'" + std::string(argv[optind]) + "' is not an option", "see --help");
  if (o.port == 0) die("no port to connect to", "give the server's port by --port");
  check_combinations(o, given);
  if (given.contains("stall")) o.stall.emplace(o.stall_percent, o.stall_us);
  o.processes = std::min(o.processes, o.connections);
  settle_addresses(o);
  settle_descriptors(o);
  return o;
}

}  // namespace load
