// An echo server that is made unfair to its connections: by tasks that compute on the same cores,
// or by having all of them accepted on one core. perf/bench/fairness shows what they notice.

#include "../../examples/server.hpp"
#include "../floor/compute.h"

#include <ctime>

using namespace corespun;

namespace {

/// Lets others go first when it has had its share.
task<> compute_forever() {
  while (true) {
    compute(1);
    if (this_core::need_yield()) co_await yield();
  }
}

/// `us`: of computing, which each message costs beside.
task<> echo(tcp_stream stream, std::uint32_t us) {
  while (true) {
    result<lease> data = co_await stream.recv();
    if (!data || data->empty()) break;
    compute(us);
    result<> sent = co_await stream.write_all(data->bytes());
    if (!sent) break;
  }
}

double cpu_seconds() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

/// How much each core has worked.
task<> print_cpu() {
  std::vector<double> cpu(this_core::count());
  auto ask = [&](scope& s) -> task<> {
    for (unsigned core = 0; core < this_core::count(); ++core) {
      (void)s.spawn_on(core, [&cpu, core]() -> task<> {
        cpu[core] = cpu_seconds();
        co_return;
      });
    }
    co_return;
  };
  co_await with_scope(ask);
  std::printf("{\"cpu_s\":[");
  for (std::size_t i = 0; i < cpu.size(); ++i) std::printf("%s%.4f", i == 0 ? "" : ",", cpu[i]);
  std::printf("]}\n");
}

/// Accepts on core 0; the connections may move. They compute, so that the load generator, which
/// needs about as much CPU as an echo, leaves them two CPUs.
task<> accept_all(tcp_listener& listener, scope& connections) {
  while (true) {
    result<tcp_stream> stream = co_await listener.accept();
    if (stream) (void)connections.spawn(echo, std::move(*stream), 20U);
  }
}

task<int> serve_hot(std::uint16_t port, scope& connections) {
  result<tcp_listener> listener = tcp_listener::bind(address::loopback(port));
  if (!listener) co_return 1;
  example::say_where(*listener);
  co_await accept_all(*listener, connections);
  co_return 0;
}

}  // namespace

int main(int argc, char** argv) {
  bool computes = false;
  bool hot = false;
  const example::server_options settings =
      example::parse(argc, argv, "echoes what it receives, under difficulties",
                     {{"--compute", "a task on each core computes all the time", &computes},
                      {"--hot", "one core accepts all; each message costs 20 us", &hot}});
  options o;
  o.cores = settings.cores;
  auto start = [&](scope& s) -> task<int> {
    s.on_exit(print_cpu);
    for (unsigned core = 0; computes && core < this_core::count(); ++core)
      (void)s.spawn_on(core, compute_forever);
    if (!hot) {
      co_return co_await example::listen_and_serve(
          address::loopback(settings.port),
          [](tcp_stream stream) { return echo(std::move(stream), 0U); });
    }
    co_return co_await serve_hot(settings.port, s);
  };
  return run(start, o);
}
