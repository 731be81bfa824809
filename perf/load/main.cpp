// The load generator for TCP servers: --help says what it does, report.cpp documents its
// output. It knows nothing of corespun.
//
//   options        what is asked for
//   shared         the memory between this process and its clients
//   client         one process that connects, sends and receives
//   schedule       when requests are due in an open loop
//   picker         which connection they go to
//   stalls         which messages make the server compute
//   protocol       what requests look like and when answers are right: echo, http
//   process_stats  CPU time and memory of a process
//   report         text and JSON
//
// This file: the parent. It starts the clients, leads them through the phases and reads counters
// and CPU clocks at both ends of the window, all at the same moment. So the CPU time per request
// is exact even if the parent itself is scheduled late.

#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <new>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "client.hpp"
#include "options.hpp"
#include "process_stats.hpp"
#include "report.hpp"
#include "shared.hpp"

namespace load {
namespace {

using clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

/// One line on stderr every three seconds, for work that takes longer.
class progress {
 public:
  void show(const char* doing, std::uint64_t done, std::uint64_t of, const char* unit) {
    if (clock::now() < next_) return;
    next_ += 3s;
    std::fprintf(stderr, "load: %s: %llu of %llu %s\n", doing,
                 static_cast<unsigned long long>(done), static_cast<unsigned long long>(of), unit);
  }

 private:
  clock::time_point next_ = clock::now() + 3s;
};

class parent {
 public:
  explicit parent(const options& o) : options_(o), shared_(map_shared()) {
    if (o.server && !cpu_ns(*o.server))
      die("--server-pid " + std::to_string(*o.server) + ": no such process", "check the number");
  }

  /// Returns the exit status.
  int run() {
    if (options_.server) report_.server.rss_before_bytes = resident_bytes(*options_.server);
    start_clients();
    connect();
    if (options_.server) report_.server.rss_idle_bytes = resident_bytes(*options_.server);
    measure();
    set_phase(phase::drain);
    wait_for_clients();
    collect_results();
    if (options_.json) {
      print_json(options_, report_);
    } else {
      print_text(options_, report_);
    }
    if (!report_.first_failure.empty())
      std::fprintf(stderr, "load: some connections failed, the first one: %s\n",
                   report_.first_failure.c_str());
    return report_.first_failure.empty() ? 0 : 2;
  }

 private:
  struct snapshot {
    clock::time_point at;
    std::uint64_t requests;
    std::uint64_t own_cpu_ns;
    std::optional<std::uint64_t> server_cpu_ns;
  };

  static shared_memory& map_shared() {
    void* memory = mmap(nullptr, sizeof(shared_memory), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) die(std::string("mmap: ") + std::strerror(errno), "free some memory");
    return *new (memory) shared_memory;
  }

  static void pin(const std::vector<int>& cpus) {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (int cpu : cpus) CPU_SET(static_cast<unsigned>(cpu), &set);
    if (sched_setaffinity(0, sizeof set, &set) < 0)
      die(std::string("pinning by --cpu: ") + std::strerror(errno),
          "name CPUs that this process may use");
  }

  void start_clients() {
    if (!options_.cpus.empty()) pin(options_.cpus);
    const pid_t self = getpid();
    for (unsigned i = 0; i < options_.processes; ++i) {
      const pid_t child = fork();
      if (child < 0) die(std::string("fork: ") + std::strerror(errno), "ask for fewer --processes");
      if (child > 0) {
        clients_.push_back(child);
        continue;
      }
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (getppid() != self) _exit(1);  // the parent ended before the line above
      if (!options_.cpus.empty()) pin({options_.cpus[i % options_.cpus.size()]});
      client(options_, i, shared_.now, shared_.results[i]).run();
      _exit(0);
    }
  }

  /// Errors: a connection that cannot be made ends the run: another load than the one asked for
  /// would be measured.
  void connect() {
    const auto start = clock::now();
    progress line;
    for (;;) {
      const auto connected = sum(&client_result::connected);
      if (connected == options_.connections) break;
      if (sum(&client_result::failed) > 0) {
        set_phase(phase::drain);
        wait_for_clients();
        collect_results();
        die(std::to_string(connected) + " of " + std::to_string(options_.connections) +
                " connections to " + options_.host + ":" + std::to_string(options_.port) +
                " were made; the first failure: " + report_.first_failure,
            what_to_check());
      }
      look_after_clients();
      line.show("connecting", connected, options_.connections, "connections");
      std::this_thread::sleep_for(1ms);
    }
    report_.connect_s = seconds(clock::now() - start).count();
  }

  [[nodiscard]] std::string what_to_check() const {
    const auto saw = [this](failure kind) {
      return report_.failures[static_cast<std::size_t>(kind)] > 0;
    };
    if (saw(failure::refused)) return "check --host and --port, and that the server is running";
    if (saw(failure::timeout))
      return "check the server's limit of descriptors; if it is only slow, raise --timeout";
    if (saw(failure::mismatch)) return "check that the server speaks what is asked for, see --http";
    return "see what the server says";
  }

  void measure() {
    progress line;
    const auto total = options_.warm_up + options_.measured;
    const auto start = clock::now();
    const auto wait_until = [&](seconds point) {
      for (seconds done{}; (done = clock::now() - start) < point;) {
        look_after_clients();
        line.show("measuring", static_cast<std::uint64_t>(done.count()),
                  static_cast<std::uint64_t>(total.count()), "s");
        std::this_thread::sleep_for(std::min<seconds>(point - done, 100ms));
      }
    };
    set_phase(phase::warm_up);
    wait_until(options_.warm_up);
    set_phase(phase::measure);
    const snapshot first = take_snapshot();
    wait_until(total);
    const snapshot last = take_snapshot();
    if (options_.server) report_.server.rss_after_bytes = resident_bytes(*options_.server);
    report_.window_s = seconds(last.at - first.at).count();
    report_.requests = last.requests - first.requests;
    report_.own_cpu_ns = last.own_cpu_ns - first.own_cpu_ns;
    if (first.server_cpu_ns && last.server_cpu_ns && *first.server_cpu_ns <= *last.server_cpu_ns)
      report_.server.cpu_ns = *last.server_cpu_ns - *first.server_cpu_ns;
  }

  [[nodiscard]] snapshot take_snapshot() const {
    if (options_.signal_server) kill(*options_.server, SIGUSR1);
    snapshot s{.at = clock::now(),
               .requests = sum(&client_result::requests),
               .own_cpu_ns = 0,
               .server_cpu_ns = options_.server ? cpu_ns(*options_.server) : std::nullopt};
    for (pid_t client : clients_) s.own_cpu_ns += cpu_ns(client).value_or(0);
    return s;
  }

  void set_phase(phase p) { shared_.now.store(p, std::memory_order_relaxed); }

  [[nodiscard]] std::uint64_t sum(std::atomic<std::uint64_t> client_result::* counter) const {
    std::uint64_t total = 0;
    for (unsigned i = 0; i < options_.processes; ++i)
      total += (shared_.results[i].*counter).load(std::memory_order_relaxed);
    return total;
  }

  /// Ends the run if a client has ended before it should.
  void look_after_clients() {
    if (waitpid(-1, nullptr, WNOHANG) > 0)
      die("a client process has ended unexpectedly", "see the messages above");
  }

  void wait_for_clients() {
    for (pid_t client : clients_) {
      int status = 0;
      while (waitpid(client, &status, 0) < 0 && errno == EINTR) {
      }
      if (status != 0) die("a client process has failed", "see the messages above");
    }
  }

  /// After wait_for_clients(), which orders the clients' writes before these reads.
  void collect_results() {
    report_.requests_total = sum(&client_result::requests);
    for (unsigned i = 0; i < options_.processes; ++i) {
      const client_result& result = shared_.results[i];
      report_.due += result.due;
      report_.unanswered += result.due - result.answered;
      report_.late += result.late;
      report_.starved += result.starved;
      report_.oldest_ns = std::max(report_.oldest_ns, result.oldest_ns);
      report_.latency.add(result.latency);
      report_.stall_latency.add(result.stall_latency);
      report_.plain_latency.add(result.plain_latency);
      report_.connect.add(result.connect);
      report_.reconnects += result.reconnects;
      report_.reconnect.add(result.reconnect);
      report_.renewals_due += result.renewals_due;
      report_.renewals_made += result.renewals_made;
      for (std::size_t k = 0; k < failure_kinds; ++k) report_.failures[k] += result.failures[k];
      if (report_.first_failure.empty()) report_.first_failure = result.first_failure.data();
    }
  }

  const options& options_;
  shared_memory& shared_;
  std::vector<pid_t> clients_;
  report report_;
};

}  // namespace
}  // namespace load

int main(int argc, char** argv) {
  const load::options options = load::parse_options(argc, argv);
  return load::parent(options).run();
}
