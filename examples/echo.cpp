// echo: sends back what it receives, on all cores. What perf/ measures.

#include "server.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

using namespace corespun;

struct counters {
  alignas(64) std::atomic<std::uint64_t> requests{0};
  std::atomic<std::uint64_t> connections{0};
  std::atomic<std::uint64_t> system_calls{0};
};

// Each core writes its own counters only.
void count(std::atomic<std::uint64_t>& counter) {
  counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

task<> echo(tcp_stream stream, std::vector<counters>& all, bool multishot) {
  counters& mine = all[this_core::index()];  // a connection stays on its core
  count(mine.connections);
  if (multishot) stream.use_multishot();
  while (true) {
    result<lease> data = co_await stream.recv();
    if (!data || data->empty()) break;
    result<> sent = co_await stream.write_all(data->bytes());
    if (!sent) break;
    count(mine.requests);
  }
}

task<> print_stats(std::shared_ptr<std::vector<counters>> all, bool wanted) {
  if (!wanted) co_return;
  std::uint64_t requests = 0;
  std::uint64_t connections = 0;
  std::uint64_t system_calls = 0;
  std::string by_core;
  auto ask_all = [&](scope& s) -> task<> {
    for (unsigned core = 0; core < this_core::count(); ++core) {
      (void)s.spawn_on(core, [&mine = (*all)[core]]() -> task<> {
        mine.system_calls = this_core_io().system_calls;
        co_return;
      });
    }
    co_return;
  };
  co_await with_scope(ask_all);
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
      static_cast<unsigned long long>(system_calls), by_core.c_str(), this_core::driver_name());
}

/// That this process may open, of which it makes use.
unsigned most_descriptors() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<unsigned>(std::min<rlim_t>(limit.rlim_max, 1 << 20));
}

int main(int argc, char** argv) {
  bool stats = false;
  bool multishot = false;
  bool direct = false;
  bool tables = false;
  const example::server_options settings = example::parse(
      argc, argv, "echoes what it receives",
      {{"--stats", "print counters as JSON at the end", &stats},
       {"--multishot", "keep one receive armed for many messages (io_uring)", &multishot},
       {"--direct", "each core's ring holds as many connections as a process may open descriptors",
        &direct},
       {"--tables", "the same by a file table per core, which serves epoll, too", &tables}});
  options o;
  o.cores = settings.cores;
  o.io.file_table_per_core = tables;
  const unsigned most = most_descriptors();
  if (direct) o.io.direct_descriptors = most;
  auto start = [&](scope& s) -> task<int> {
    // The scope outlives all connections, and its exit handler keeps the counters alive.
    const auto all = std::make_shared<std::vector<counters>>(this_core::count());
    s.on_exit([all, stats]() -> task<> { return print_stats(all, stats); });
    auto handler = [all, multishot](tcp_stream stream) {
      return echo(std::move(stream), *all, multishot);
    };
    co_return co_await example::listen_and_serve(address::loopback(settings.port), handler);
  };
  return run(start, o);
}
