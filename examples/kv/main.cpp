// kv: a key-value server on all cores; see README.md.

#include "../server.hpp"

#include "server.hpp"
#include "session.hpp"

#include <corespun/corespun.hpp>

#include <utility>

using namespace corespun;

task<> serve_client(tcp_stream stream, kv::server& all) {
  kv::session client(std::move(stream), all);
  co_await client.run();
}

task<> sweep(kv::server& all) {
  kv::shard& mine = all.shards.local();
  co_await mine.sweep();
}

int main(int argc, char** argv) {
  kv::server all;
  all.settings = kv::parse_settings(argc, argv);
  options o;
  o.cores = all.settings.cores;
  auto start = [&all](scope& s) -> task<int> {
    kv::limits of_shard = all.settings.memory;
    of_shard.max_bytes = (of_shard.max_bytes + this_core::count() - 1) / this_core::count();
    of_shard.max_value_bytes = all.settings.requests.word_bytes;
    auto starting = all.shards.start(of_shard);
    co_await std::move(starting);
    s.on_exit([&all]() -> task<> { return all.shards.stop(); });
    for (unsigned core = 0; core < this_core::count(); ++core)
      (void)s.spawn_on(core, sweep, std::ref(all));
    auto handler = [&all](tcp_stream stream) { return serve_client(std::move(stream), all); };
    const int code = co_await example::listen_and_serve(all.settings.at, handler);
    s.cancel();  // the sweepers
    co_return code;
  };
  return run(start, o);
}
