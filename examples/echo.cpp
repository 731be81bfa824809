// echo: sends back what it receives, on all cores. What perf/ measures.

#include "server.hpp"
#include "stats.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <memory>
#include <vector>

using namespace corespun;

task<> echo(tcp_stream stream, std::vector<example::counters>& all, bool multishot) {
  example::counters& mine = all[this_core::index()];  // a connection stays on its core
  example::count(mine.connections);
  if (multishot) stream.use_multishot();
  while (true) {
    result<lease> data = co_await stream.recv();
    if (!data || data->empty()) break;
    result<> sent = co_await stream.write_all(data->bytes());
    if (!sent) break;
    example::count(mine.requests);
  }
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
      {{"--stats", "print counters as JSON at the end, and at SIGUSR1", &stats},
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
    const auto all = std::make_shared<std::vector<example::counters>>(this_core::count());
    auto handler = [all, multishot](tcp_stream stream) {
      return echo(std::move(stream), *all, multishot);
    };
    auto serving = example::listen_and_serve(address::loopback(settings.port), handler);
    if (stats) serving = example::with_stats(s, all, std::move(serving));
    co_return co_await std::move(serving);
  };
  if (stats) example::hold_signals();
  return run(start, o);
}
