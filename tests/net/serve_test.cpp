// serve: connections on all cores, limits, errors of handlers, and the end.

#include <corespun/net/connect.hpp>
#include <corespun/net/serve.hpp>

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/io_process.hpp"
#include "tests/support/io_run.hpp"
#include "tests/support/io_sockets.hpp"

namespace corespun::test {
namespace {

using namespace std::chrono_literals;

tcp_listener on_any_port() { return need(tcp_listener::bind(address::loopback(0))); }

task<> echo(tcp_stream stream) {
  while (true) {
    const lease data = need(co_await stream.recv());
    if (data.empty()) co_return;
    need(co_await stream.write_all(data.bytes()));
  }
}

/// A task for scope::spawn. serve() ends only by a cancel or an error, which is thrown.
template <typename Handler>
task<> serve_until_cancelled(tcp_listener listener, Handler handler, serve_options options) {
  const result<> ended = co_await serve(std::move(listener), std::move(handler), options);
  need(ended);
}
template <typename Handler>
task_handle<void> spawn_server(scope& s, tcp_listener listener, Handler handler,
                               serve_options options = {}) {
  return s.spawn(serve_until_cancelled<Handler>, std::move(listener), std::move(handler), options);
}

task<> expect_echo(tcp_stream& on, std::string_view text) {
  need(co_await on.write_all(text));
  std::string answer(text.size(), '\0');
  need(co_await on.read_exactly(std::as_writable_bytes(std::span(answer))));
  EXPECT_EQ(answer, text);
}

task<tcp_stream> client_of(address at) {
  tcp_stream client = need(co_await connect(at));
  co_await expect_echo(client, "hello");
  co_return client;
}

/// The other side is gone: the end of the stream or a reset.
task<> expect_end(tcp_stream& on) {
  std::array<std::byte, 1> byte{};
  const result<std::size_t> n = co_await on.read_some(byte);
  EXPECT_TRUE(!n || *n == 0);
}

TEST(serve, runs_a_handler_for_each_connection) {
  run_io([](scope& s) -> task<> {
    tcp_listener listener = on_any_port();
    const address at = listener.local_address();
    auto server = spawn_server(s, std::move(listener), echo);
    std::vector<tcp_stream> clients;
    for (int i = 0; i < 50; ++i) clients.push_back(co_await client_of(at));
    for (tcp_stream& c : clients) co_await expect_echo(c, "again");
    server.cancel();
    (void)co_await server.join();
  });
}

TEST(serve, gives_connections_to_every_core_sooner_or_later) {
  run_io(io_cores(3), [](scope& s) -> task<> {
    tcp_listener listener = on_any_port();
    const address at = listener.local_address();
    std::array<std::atomic<int>, 3> seen{};
    const auto note_core = [&seen](tcp_stream stream) -> task<> {
      ++seen[this_core::index()];
      co_await echo(std::move(stream));
    };
    auto server = spawn_server(s, std::move(listener), note_core);
    const auto all_seen = [&seen] { return seen[0] > 0 && seen[1] > 0 && seen[2] > 0; };
    while (!all_seen()) const tcp_stream client = co_await client_of(at);
    server.cancel();
    (void)co_await server.join();
  });
}

TEST(serve, cancelled_without_grace_stops_connections_at_once) {
  run_io(io_cores(2), [](scope& s) -> task<> {
    tcp_listener listener = on_any_port();
    const address at = listener.local_address();
    auto server = spawn_server(s, std::move(listener), echo);
    std::vector<tcp_stream> clients;
    for (int i = 0; i < 20; ++i) clients.push_back(co_await client_of(at));
    server.cancel();
    const auto ended = co_await server.join();
    EXPECT_TRUE(ended.stopped());
    for (tcp_stream& c : clients) co_await expect_end(c);
    const auto late = co_await connect(at);
    EXPECT_EQ(error_in(late), system_error_code(ECONNREFUSED));
  });
}

TEST(serve, cancelled_with_grace_lets_connections_end_by_themselves) {
  run_io(io_cores(2), [](scope& s) -> task<> {
    tcp_listener listener = on_any_port();
    const address at = listener.local_address();
    serve_options options;
    options.grace = 40s;  // longer than the watchdog allows: only the clients can end it in time
    auto server = spawn_server(s, std::move(listener), echo, options);
    std::vector<tcp_stream> clients;
    for (int i = 0; i < 10; ++i) clients.push_back(co_await client_of(at));
    server.cancel();
    while (true) {
      const auto late = co_await connect(at);
      if (!late) break;  // all listeners are closed, or closing
      co_await yield();
    }
    EXPECT_FALSE(server.done());
    for (tcp_stream& c : clients) co_await expect_echo(c, "still here");
    clients.clear();
    const auto ended = co_await server.join();
    EXPECT_TRUE(ended.stopped());
  });
}

TEST(serve, stops_connections_when_their_grace_is_over) {
  run_io(io_cores(2), [](scope& s) -> task<> {
    tcp_listener listener = on_any_port();
    const address at = listener.local_address();
    serve_options options;
    options.grace = 20ms;
    auto server = spawn_server(s, std::move(listener), echo, options);
    std::vector<tcp_stream> clients;
    for (int i = 0; i < 10; ++i) clients.push_back(co_await client_of(at));
    server.cancel();
    (void)co_await server.join();
    for (tcp_stream& c : clients) co_await expect_end(c);
  });
}

TEST(serve, leaves_its_address_free_when_it_returns) {
  for (const bool multishot : {false, true}) {
    run_io(io_cores(2), [multishot](scope& s) -> task<> {
      listen_options how;
      how.multishot = multishot;
      address at = address::loopback(0);
      for (int i = 0; i < 20; ++i) {
        tcp_listener listener = need(tcp_listener::bind(at, how));
        at = listener.local_address();
        auto server = spawn_server(s, std::move(listener), echo);
        (void)co_await client_of(at);
        server.cancel();
        (void)co_await server.join();
      }
    });
  }
}

TEST(serve, can_be_cancelled_at_any_turn_of_its_start_and_leaves_its_address_free) {
  for (unsigned cores = 1; cores <= 2; ++cores) {
    run_io(io_cores(cores), [](scope& s) -> task<> {
      for (int turns = 0; turns < 12; ++turns) {
        tcp_listener listener = on_any_port();
        const address at = listener.local_address();
        auto server = spawn_server(s, std::move(listener), echo);
        for (int i = 0; i < turns; ++i) co_await yield();
        server.cancel();
        (void)co_await server.join();
        const bool began = turns > 0;  // else it ends in the background
        if (began) (void)need(tcp_listener::bind(at));
      }
    });
  }
}

TEST(serve, an_exception_of_one_handler_ends_that_connection_alone) {
  if (on_sim()) GTEST_SKIP() << "waits for a real descriptor";
  run_io([](scope& s) -> task<> {
    const captured_stderr said;
    tcp_listener listener = on_any_port();
    const address at = listener.local_address();
    const auto moody = [](tcp_stream stream) -> task<> {
      std::array<std::byte, 1> first{};
      need(co_await stream.read_exactly(first));
      if (text_of(first) == "!") throw std::runtime_error("in a bad mood");
      need(co_await stream.write_all("?"));
      co_await echo(std::move(stream));
    };
    auto server = spawn_server(s, std::move(listener), moody);
    tcp_stream good = need(co_await connect(at));
    co_await expect_echo(good, "?");
    for (int i = 0; i < 10; ++i) {
      tcp_stream bad = need(co_await connect(at));
      need(co_await bad.write_all("!"));
      co_await expect_end(bad);
    }
    co_await expect_echo(good, "still here");
    server.cancel();
    (void)co_await server.join();
    const std::string text = said.take();
    EXPECT_NE(text.find("a connection handler threw: in a bad mood"), text.npos) << text;
    EXPECT_LE(times("handler threw", text), 5u) << "more than once a second";
  });
}

TEST(serve, at_its_limit_lets_clients_wait_in_the_queue_and_goes_on) {
  run_io([](scope& s) -> task<> {
    tcp_listener listener = on_any_port();
    const address at = listener.local_address();
    serve_options options;
    options.max_connections = 3;
    int inside = 0;
    int most = 0;
    int served = 0;
    const auto count = [&](tcp_stream stream) -> task<> {
      most = std::max(most, ++inside);
      ++served;
      co_await echo(std::move(stream));
      --inside;
    };
    auto server = spawn_server(s, std::move(listener), count, options);
    std::vector<tcp_stream> clients;
    for (int i = 0; i < 3; ++i) clients.push_back(co_await client_of(at));
    for (int i = 0; i < 7; ++i) clients.push_back(need(co_await connect(at)));
    for (tcp_stream& c : clients) {
      co_await expect_echo(c, "my turn");  // waits until those before have left
      need(co_await c.close());
    }
    EXPECT_EQ(served, 10);
    EXPECT_LE(most, 3);
    server.cancel();
    (void)co_await server.join();
  });
}

TEST(serve, divides_its_limit_evenly_among_the_listeners_of_all_cores) {
  run_io(io_cores(2), [](scope& s) -> task<> {
    tcp_listener listener = on_any_port();
    const address at = listener.local_address();
    serve_options options;
    options.max_connections = 4;
    struct of_a_core {
      int inside = 0;
      int most = 0;
      int served = 0;
    };
    std::array<of_a_core, 2> seen;
    const auto count = [&seen](tcp_stream stream) -> task<> {
      of_a_core& here = seen[this_core::index()];
      here.most = std::max(here.most, ++here.inside);
      ++here.served;
      co_await echo(std::move(stream));
      --here.inside;
    };
    auto server = spawn_server(s, std::move(listener), count, options);
    std::vector<tcp_stream> clients;
    for (int i = 0; i < 30; ++i) clients.push_back(need(co_await connect(at)));
    for (tcp_stream& c : clients) {
      co_await expect_echo(c, "my turn");
      need(co_await c.close());
    }
    server.cancel();
    (void)co_await server.join();
    EXPECT_EQ(seen[0].served + seen[1].served, 30);
    EXPECT_LE(seen[0].most, 2);
    EXPECT_LE(seen[1].most, 2);
  });
}

TEST(serve, accepts_no_faster_than_its_rate) {
  run_io([](scope& s) -> task<> {
    tcp_listener listener = on_any_port();
    const address at = listener.local_address();
    serve_options options;
    options.max_accepts_per_second = 100;
    const clock::time_point begin = clock::now();
    auto server = spawn_server(s, std::move(listener), echo, options);
    std::vector<tcp_stream> clients;
    for (int i = 0; i < 40; ++i) clients.push_back(co_await client_of(at));
    // 40 at 100 per second, less a burst of a tenth of a second. Slowness cannot make this fail.
    EXPECT_GE(clock::now() - begin, 250ms);
    server.cancel();
    (void)co_await server.join();
  });
}

TEST(serve, pauses_without_descriptors_says_so_once_and_goes_on) {
  if (on_sim()) GTEST_SKIP() << "waits for a real descriptor";
  run_io([](scope& s) -> task<> {
    const captured_stderr said;
    tcp_listener listener = on_any_port();
    std::vector<raw> clients;
    for (int i = 0; i < 5; ++i) clients.push_back(connected_to(listener.local_address()));
    std::string text;
    {
      const no_more_descriptors limit;
      auto server = spawn_server(s, std::move(listener), echo);
      need(co_await readable(said.native()));
      text = said.take();
      // it tries again meanwhile; if it does not, the test is only weaker
      co_await sleep_for(40ms);
    }
    for (const raw& c : clients) {
      send_now(c, "hello");
      need(co_await readable(c.get()));
      EXPECT_EQ(receive_now(c, 5), "hello");
    }
    text += said.take();
    EXPECT_EQ(times("accepting pauses", text), 1u) << text;
    EXPECT_NE(text.find("EMFILE"), text.npos) << text;
    s.cancel();
  });
}

TEST(serve, that_cannot_listen_on_a_further_core_ends_with_the_error) {
  run_io(io_cores(2), []() -> task<> {
    // Made without SO_REUSEPORT, so nobody can share the port.
    tcp_listener lonely = need(tcp_listener::adopt(raw_listener(address::loopback(0)).release()));
    const result<> r = co_await serve(std::move(lonely), echo);
    EXPECT_EQ(error_in(r), system_error_code(EADDRINUSE));
  });
}

TEST(serve, a_listener_that_dies_ends_it_on_all_cores_with_the_error) {
  if (on_sim()) GTEST_SKIP() << "waits for a real descriptor";
  run_io(io_cores(2), []() -> task<> {
    raw socket = raw_listener(address::loopback(0));
    const int one = 1;
    sys(os().set_option(socket.get(), SOL_SOCKET, SO_REUSEPORT, &one, sizeof one), "SO_REUSEPORT");
    const int native = socket.get();
    tcp_listener listener = need(tcp_listener::adopt(socket.release()));
    auto body = [&](scope& s) -> task<> {
      const auto kill = [native]() -> task<> {
        for (int i = 0; i < 20; ++i) co_await yield();
        ::shutdown(native, SHUT_RDWR);  // ends listening: accept(2) then fails with EINVAL
      };
      (void)s.spawn(kill);
      const result<> r = co_await serve(std::move(listener), echo);
      EXPECT_EQ(error_in(r), system_error_code(EINVAL));
    };
    co_await with_scope(body);
  });
}

}  // namespace
}  // namespace corespun::test
