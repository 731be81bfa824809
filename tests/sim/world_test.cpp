// sim::world: machines, links, time, faults, and what it finds.

#include <corespun/io/sim.hpp>
#include <corespun/net/connect.hpp>
#include <corespun/net/serve.hpp>
#include <corespun/runtime/buggify.hpp>
#include <corespun/runtime/offload.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/io_run.hpp"

namespace corespun::test {
namespace {

using namespace std::chrono_literals;

task<> echo(tcp_stream stream) {
  while (true) {
    result<lease> data = co_await stream.recv();
    if (!data || data->empty()) co_return;
    const result<> sent = co_await stream.write_all(data->bytes());
    if (!sent) co_return;
  }
}

task<> echo_server() {
  auto served = serve(need(tcp_listener::bind(address::any(7777))), echo);
  (void)co_await std::move(served);
}

/// Sends the text and returns what comes back.
task<result<std::string>> asked(address to, std::string text) {
  result<tcp_stream> s = co_await connect(to, 10s);
  if (!s) co_return std::unexpected(s.error());
  if (const result<> sent = co_await s->write_all(std::as_bytes(std::span(text))); !sent)
    co_return std::unexpected(sent.error());
  std::string answer(text.size(), '\0');
  const result<> read = co_await s->read_exactly(std::as_writable_bytes(std::span(answer)));
  if (!read) co_return std::unexpected(read.error());
  co_return answer;
}

address server_at() { return need(address::parse("10.0.0.1:7777")); }

TEST(world, carries_an_echo_between_machines_for_every_seed) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    sim::run(seed, [](sim::world& w) {
      (void)w.host("10.0.0.1", echo_server, 1 + w.choose(4));
      std::string answer;
      (void)w.host("10.0.0.2", [&]() -> task<> {
        co_await sleep_for(1s);
        auto a = asked(server_at(), "hello");
        answer = need(co_await std::move(a));
      });
      w.run_until([&] { return answer == "hello"; }, 1min);
    });
  }
}

TEST(world, takes_no_time_for_hours) {
  sim::world w(1);
  (void)w.host("10.0.0.1", []() -> task<> { co_await sleep_for(1000h); });
  w.run(2000h);
  EXPECT_EQ(w.now().time_since_epoch(), 1000h);
}

TEST(world, gives_each_seed_its_own_run) {
  std::set<std::uint64_t> hashes;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    sim::world w(seed);
    (void)w.host("10.0.0.1", echo_server, 2);
    bool done = false;
    (void)w.host("10.0.0.2", [&]() -> task<> {
      co_await sleep_for(1s);
      auto a = asked(server_at(), std::string(1000, 'x'));
      (void)co_await std::move(a);
      done = true;
    });
    w.run_until([&] { return done; });
    w.finish();
    hashes.insert(w.trace_hash());
  }
  EXPECT_EQ(hashes.size(), 20u);
}

}  // namespace
}  // namespace corespun::test
