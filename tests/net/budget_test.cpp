// What a connection and a request may cost: system calls, heap, memory while idle. The numbers are
// contracts of docs and design; they leave room for the machine, but not for a second system call
// or a buffer per connection. Not under sanitizers, where each frame is a block of its own.

#include "tests/support/sanitizers.hpp"
#if !CORESPUN_TEST_SANITIZED

#include <corespun/net/connect.hpp>
#include <corespun/net/stream.hpp>
#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/on_core.hpp>
#include <corespun/runtime/scope.hpp>

#include <gtest/gtest.h>

#include <array>
#include <fstream>
#include <vector>

#include "tests/support/heap.hpp"
#include "tests/support/io_run.hpp"
#include "tests/support/io_sockets.hpp"

namespace corespun::test {
namespace {

std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t size = 0;
  std::size_t resident = 0;
  statm >> size >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

task<> echo(tcp_stream stream) {
  while (true) {
    const result<lease> data = co_await stream.recv();
    if (!data || data->empty()) co_return;
    const result<> sent = co_await stream.write_all(data->bytes());
    if (!sent) co_return;
  }
}

task<> request(tcp_stream& to) {
  std::array<std::byte, 64> bytes{};
  need(co_await to.write_all(bytes));
  need(co_await to.read_exactly(bytes));
}

TEST(budget, an_echoed_request_takes_nothing_from_the_heap) {
  if (on_sim()) GTEST_SKIP() << "budgets are those of the real drivers";
  run_io([]() -> task<> {
    raw_pair ends = tcp_pair();
    tcp_stream client = stream_on(std::move(ends.two));
    auto body = [&](scope& s) -> task<> {
      (void)s.spawn(echo, stream_on(std::move(ends.one)));
      for (int i = 0; i < 100; ++i) co_await request(client);
      const std::size_t before = heap_blocks();
      for (int i = 0; i < 1'000; ++i) co_await request(client);
      EXPECT_EQ(heap_blocks() - before, 0u);
      s.cancel();
    };
    co_await with_scope(body);
  });
}

TEST(budget, a_request_with_a_deadline_takes_nothing_from_the_heap_either) {
  if (on_sim()) GTEST_SKIP() << "budgets are those of the real drivers";
  run_io([]() -> task<> {
    raw_pair ends = tcp_pair();
    tcp_stream client = stream_on(std::move(ends.two));
    auto body = [&](scope& s) -> task<> {
      (void)s.spawn(echo, stream_on(std::move(ends.one)));
      for (int i = 0; i < 100; ++i)
        need(co_await with_timeout(std::chrono::seconds(30), request(client)));
      const std::size_t before = heap_blocks();
      for (int i = 0; i < 1'000; ++i)
        need(co_await with_timeout(std::chrono::seconds(30), request(client)));
      EXPECT_EQ(heap_blocks() - before, 0u);
      s.cancel();
    };
    co_await with_scope(body);
  });
}

// Each message that is taken sends another one: some always wait.
TEST(budget, a_queue_of_messages_that_never_runs_empty_does_not_grow) {
  if (on_sim()) GTEST_SKIP() << "budgets are those of the real drivers";
  run_io([]() -> task<> {
    raw_pair ends = socket_pair(SOCK_SEQPACKET);
    tcp_stream ours = stream_on(std::move(ends.one));
    tcp_stream peer = stream_on(std::move(ends.two));
    ours.use_multishot();
    for (int i = 0; i < 3; ++i) need(co_await peer.write_all("ping"));
    std::size_t before = 0;
    for (int i = 0; i < 2'000; ++i) {
      if (i == 100) before = heap_blocks();
      const lease data = need(co_await ours.recv());
      EXPECT_EQ(data.text(), "ping");
      need(co_await peer.write_all("ping"));
    }
    EXPECT_EQ(heap_blocks() - before, 0u);
  });
}

// A core that is busy makes one system call per turn of its loop, for all connections together. All
// requests of a round are on their way before the first is answered; the answers are received on
// another core.
TEST(budget, a_thousand_busy_connections_cost_a_twentieth_of_a_system_call_per_request) {
  if (!on_uring()) GTEST_SKIP() << "epoll makes a system call per operation";
  if (lane_io().ring_entries < 1024) GTEST_SKIP() << "small rings enter the kernel often";
  constexpr std::size_t connections = 1'000;
  constexpr int rounds = 20;
  if (descriptor_limit() < 2 * connections + 100) GTEST_SKIP() << "too few descriptors allowed";
  run_io(io_cores(2), []() -> task<> {
    std::vector<raw> clients;
    auto serve_and_load = [&clients](scope& s) -> task<> {
      for (std::size_t i = 0; i < connections; ++i) {
        raw_pair ends = tcp_pair();
        clients.push_back(std::move(ends.two));
        (void)s.spawn(echo, stream_on(std::move(ends.one)));
      }
      const std::string ping(64, 'p');
      const auto receive = [&clients] {
        for (const raw& c : clients) EXPECT_EQ(receive_now(c, 64).size(), 64u);
      };
      const std::uint64_t before = this_core_io().system_calls;
      for (int round = 0; round < rounds; ++round) {
        for (const raw& c : clients) send_now(c, ping);  // nothing else goes on here meanwhile
        co_await on_core(1, receive);
      }
      const auto calls = static_cast<double>(this_core_io().system_calls - before);
      const double per_request = calls / (rounds * static_cast<double>(connections));
      EXPECT_LE(per_request, 0.05);
      testing::Test::RecordProperty("system_calls_per_request", std::to_string(per_request));
      s.cancel();
    };
    co_await with_scope(serve_and_load);
  });
}

// The clients are plain sockets of this process: they cost the kernel memory, not us.
TEST(budget, an_idle_connection_keeps_less_than_a_kibibyte) {
  if (on_sim()) GTEST_SKIP() << "budgets are those of the real drivers";
  constexpr std::size_t connections = 4'000;
  if (descriptor_limit() < 2 * connections + 100) GTEST_SKIP() << "too few descriptors allowed";
  run_io([]() -> task<> {
    std::vector<raw> clients;
    clients.reserve(connections);
    tcp_listener listener = need(tcp_listener::bind(address::loopback(0)));
    auto body = [&](scope& s) -> task<> {
      const auto connect_up_to = [&](std::size_t count) -> task<> {
        while (clients.size() < count) {
          clients.push_back(connected_to(listener.local_address()));
          (void)s.spawn(echo, need(co_await listener.accept()));
        }
        for (int i = 0; i < 100; ++i) co_await yield();  // all receives are armed
      };
      co_await connect_up_to(200);
      const std::size_t before = resident_bytes();
      co_await connect_up_to(connections);
      const std::size_t each = (resident_bytes() - before) / (connections - 200);
      EXPECT_LE(each, 1024u);
      testing::Test::RecordProperty("bytes_per_idle_connection", std::to_string(each));
      s.cancel();
    };
    co_await with_scope(body);
  });
}

}  // namespace
}  // namespace corespun::test
#endif
