// The load generator and the servers of perf/floor, run as programs: what they promise to the
// scripts of perf/bench.

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <ostream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "program.hpp"

namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

descriptor connect_to(std::uint16_t port) {
  descriptor fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in to = loopback(port);
  EXPECT_EQ(connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
  return fd;
}

/// A bound socket and its port. Nobody listens there until the caller does.
std::pair<descriptor, std::uint16_t> bound_socket() {
  descriptor fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
  EXPECT_EQ(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  return {std::move(fd), ntohs(address.sin_port)};
}

/// Sends all of it and the end of the stream, and at the same time reads until the peer's end.
std::string exchange(const descriptor& fd, std::string_view message) {
  std::string answer;
  std::array<char, 65536> buffer{};
  bool sending = true;
  fcntl(fd.get(), F_SETFL, O_NONBLOCK);
  for (;;) {
    if (sending && message.empty()) {
      shutdown(fd.get(), SHUT_WR);
      sending = false;
    }
    const short events = sending ? POLLIN | POLLOUT : POLLIN;
    pollfd ready{.fd = fd.get(), .events = events, .revents = 0};
    if (poll(&ready, 1, patience_ms) != 1) {
      ADD_FAILURE() << "the server is silent, " << message.size() << " bytes unsent";
      return answer;
    }
    if (ready.revents & POLLOUT) {
      const ssize_t n = send(fd.get(), message.data(), message.size(), MSG_NOSIGNAL);
      if (n > 0) message.remove_prefix(static_cast<std::size_t>(n));
    }
    if (ready.revents & ~POLLOUT) {
      const ssize_t n = recv(fd.get(), buffer.data(), buffer.size(), 0);
      if (n > 0) answer.append(buffer.data(), static_cast<std::size_t>(n));
      if (n == 0 || (n < 0 && errno != EAGAIN)) return answer;
    }
  }
}

std::string some_bytes(std::size_t size) {
  std::string bytes(size, '\0');
  std::uint32_t state = 1;
  for (char& byte : bytes) byte = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  return bytes;
}

struct floor_server {
  const char* path;
  const char* driver;
};

std::ostream& operator<<(std::ostream& to, const floor_server& server) { return to << server.path; }

class floor : public testing::TestWithParam<floor_server> {
 protected:
  program start(std::vector<std::string> arguments = {}) {
    arguments.insert(arguments.end(), {"--port", "0", "--stats"});
    program server(GetParam().path, std::move(arguments));
    const std::string line = server.read_line();
    EXPECT_TRUE(line.starts_with("listening on 127.0.0.1:")) << line << server.read_errors();
    EXPECT_TRUE(contains(line, GetParam().driver)) << line;
    port = static_cast<std::uint16_t>(std::atoi(line.substr(line.find(':') + 1).c_str()));
    return server;
  }
  std::string port_text() const { return std::to_string(port); }

  std::uint16_t port = 0;
};

INSTANTIATE_TEST_SUITE_P(servers, floor,
                         testing::Values(floor_server{"floor/uring_echo", "uring"},
                                         floor_server{"floor/epoll_echo", "epoll"}),
                         [](const auto& test) { return std::string(test.param.driver); });

TEST_P(floor, carries_a_load_without_errors_and_counts_it) {
  program server = start();
  const outcome load =
      run_load({"--port",      port_text(), "--connections", "12",
                "--processes", "2",         "--addresses",   "3",
                "--pipeline",  "3",         "--size",        "100",
                "--active",    "50",        "--warmup",      "0",
                "--seconds",   "0.1",       "--server-pid",  std::to_string(server.pid()),
                "--json"});
  ASSERT_EQ(load.status, 0) << load.errors;

  for (const char* name : {"connections",
                           "processes",
                           "addresses",
                           "size",
                           "pipeline",
                           "active_percent",
                           "seconds",
                           "requests",
                           "requests_per_second",
                           "requests_total",
                           "starved",
                           "oldest_us",
                           "latency_us",
                           "p50",
                           "p99",
                           "p999",
                           "max",
                           "connect_seconds",
                           "connect_us",
                           "load_cpu",
                           "server",
                           "cpu_us_per_request",
                           "rss_before_bytes",
                           "rss_idle_bytes",
                           "rss_after_bytes",
                           "rss_bytes_per_connection"})
    EXPECT_TRUE(number(load.output, name)) << name << " is missing: " << load.output;
  for (const char* name : {"refused", "reset", "timeout", "short", "mismatch", "other"})
    EXPECT_EQ(number(load.output, name), 0) << name;
  EXPECT_GT(number(load.output, "requests"), 0);
  EXPECT_GT(number(load.output, "cpu_us_per_request"), 0);

  server.terminate();
  const std::string stats = server.read_output();
  EXPECT_EQ(server.wait(), 0);
  EXPECT_EQ(number(stats, "connections"), 12) << stats;
  EXPECT_GT(number(stats, "requests"), 0) << stats;
  EXPECT_GT(number(stats, "syscalls"), 0) << stats;
}

TEST_P(floor, tells_its_counts_at_both_ends_of_the_window) {
  program server = start();
  const outcome load =
      run_load({"--port", port_text(), "--connections", "12", "--warmup", "0.1", "--seconds", "0.1",
                "--server-pid", std::to_string(server.pid()), "--signal-server", "--json"});
  ASSERT_EQ(load.status, 0) << load.errors;
  const std::string begin = server.read_line();
  const std::string end = server.read_line();
  server.terminate();
  const std::string all = server.read_output();
  EXPECT_EQ(number(begin, "connections"), 12) << begin;
  for (const char* name : {"requests", "syscalls"}) {
    EXPECT_LT(number(begin, name), number(end, name)) << begin << end;
    EXPECT_LE(number(end, name), number(all, name)) << end << all;
  }
}

TEST_P(floor, echoes_a_mebibyte_exactly_although_the_peer_has_closed_its_half) {
  program server = start();
  const std::string message = some_bytes(1 << 20);
  EXPECT_TRUE(exchange(connect_to(port), message) == message);
  EXPECT_TRUE(exchange(connect_to(port), "still here") == "still here");
}

TEST_P(floor, echoes_exactly_through_one_small_buffer) {
  program server = start({"--buffers", "1", "--buffer-size", "7"});
  const std::string message = some_bytes(10'000);
  EXPECT_TRUE(exchange(connect_to(port), message) == message);
}

TEST_P(floor, survives_a_peer_that_resets) {
  program server = start();
  descriptor fd = connect_to(port);
  const std::string message = some_bytes(1 << 20);
  fcntl(fd.get(), F_SETFL, O_NONBLOCK);
  send(fd.get(), message.data(), message.size(), MSG_NOSIGNAL);
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  fd.reset();
  EXPECT_TRUE(exchange(connect_to(port), "still here") == "still here");
}

class http_floor : public floor {};
INSTANTIATE_TEST_SUITE_P(servers, http_floor,
                         testing::Values(floor_server{"floor/uring_http", "uring"},
                                         floor_server{"floor/epoll_http", "epoll"}),
                         [](const auto& test) { return std::string(test.param.driver); });

// In buffers of 7 bytes no head is whole, and some bytes complete no head.
TEST_P(http_floor, answers_each_request_once_however_it_was_cut) {
  std::string requests;
  for (int i = 0; i < 1000; ++i) requests += "GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n";
  for (const char* bytes : {"7", "1024"}) {
    program server = start({"--buffer-size", bytes});
    const std::string answers = exchange(connect_to(port), requests);
    std::size_t count = 0;
    for (std::size_t at = 0; at < answers.size(); ++count) {
      ASSERT_TRUE(answers.substr(at).starts_with("HTTP/1.1 200 OK\r\n")) << answers.substr(at, 99);
      at = answers.find("\r\n\r\nhello\n", at) + 10;
    }
    EXPECT_EQ(count, 1000U);
  }
}

// The server and the load are children of this process. So its figures must hold both.
TEST_P(http_floor, is_measured_with_the_process_that_started_it) {
  const program server = start();
  const outcome load =
      run_load({"--port", port_text(), "--connections", "3", "--http", "/", "--seconds", "0.3",
                "--server-pid", std::to_string(getpid()), "--json"});
  ASSERT_EQ(load.status, 0) << load.errors;
  EXPECT_GT(number(load.output, "cpu"), number(load.output, "load_cpu")) << load.output;
}

TEST(load, says_that_nobody_listens) {
  const auto [held, port] = bound_socket();
  const outcome load = run_load({"--port", std::to_string(port), "--connections", "3"});
  EXPECT_EQ(load.status, 1);
  EXPECT_EQ(load.output, "");
  EXPECT_TRUE(contains(load.errors, "ECONNREFUSED")) << load.errors;
  EXPECT_TRUE(contains(load.errors, std::to_string(port))) << load.errors;
  EXPECT_TRUE(contains(load.errors, "now: ")) << load.errors;
}

TEST(load, says_that_a_server_is_silent) {
  const auto [listener, port] = bound_socket();
  ASSERT_EQ(listen(listener.get(), 16), 0);
  const outcome load =
      run_load({"--port", std::to_string(port), "--connections", "3", "--timeout", "0.05"});
  EXPECT_EQ(load.status, 1);
  EXPECT_TRUE(contains(load.errors, "no answer in time")) << load.errors;
}

TEST(load, notices_a_byte_that_differs) {
  const auto [listener, port] = bound_socket();
  ASSERT_EQ(listen(listener.get(), 16), 0);
  std::jthread server([fd = listener.get()] {
    descriptor peer(accept4(fd, nullptr, nullptr, SOCK_CLOEXEC));
    std::array<char, 64> message{};
    ASSERT_EQ(recv(peer.get(), message.data(), message.size(), MSG_WAITALL), 64);
    message[63] = static_cast<char>(~message[63]);
    send(peer.get(), message.data(), message.size(), MSG_NOSIGNAL);
    recv(peer.get(), message.data(), message.size(), 0);  // until it has seen them
  });
  const outcome load = run_load({"--port", std::to_string(port), "--connections", "1"});
  EXPECT_EQ(load.status, 1);
  EXPECT_TRUE(contains(load.errors, "other bytes")) << load.errors;
}

TEST(load, names_the_limit_that_stands_in_the_way) {
  const outcome load = run_load({"--port", "1", "--connections", "100"}, 64);
  EXPECT_EQ(load.status, 1);
  EXPECT_TRUE(contains(load.errors, "RLIMIT_NOFILE")) << load.errors;
  EXPECT_TRUE(contains(load.errors, "64 descriptors")) << load.errors;
  EXPECT_TRUE(contains(load.errors, "--processes 3")) << load.errors;
}

// 40 connections a second for 0.6 s. Both loops: what is due meanwhile waits in an open one.
TEST_P(floor, sees_connections_made_anew_between_messages) {
  for (const bool open_loop : {false, true}) {
    program server = start();
    std::vector<std::string> arguments{
        "--port",     port_text(), "--connections", "20",  "--processes", "2",
        "--pipeline", "3",         "--churn",       "200", "--active",    "50",
        "--warmup",   "0.1",       "--seconds",     "0.5", "--json"};
    if (open_loop) arguments.insert(arguments.end(), {"--rate", "2000"});
    const outcome load = run_load(arguments);
    ASSERT_EQ(load.status, 0) << load.errors;
    EXPECT_EQ(number(load.output, "unanswered"), 0) << load.output;
    EXPECT_GT(number_in(load.output, "reconnect_us", "p50"), 0) << load.output;
    const auto reconnects = number(load.output, "reconnects");
    ASSERT_TRUE(reconnects) << load.output;
    EXPECT_GT(*reconnects, 8) << load.output;
    EXPECT_LT(*reconnects, 72) << load.output;

    server.terminate();
    const std::string stats = server.read_output();
    EXPECT_EQ(server.wait(), 0);
    EXPECT_EQ(number(stats, "connections"), 20 + *reconnects) << stats;
  }
}

TEST(load, names_options_that_do_not_fit_together) {
  const std::vector<std::pair<std::vector<std::string>, const char*>> wrong{
      {{"--arrivals", "constant"}, "--rate"},
      {{"--rate", "10", "--arrivals", "sometimes"}, "poisson"},
      {{"--rate", "10", "--active", "0"}, "--active"},
      {{"--hot", "10"}, "--rate"},
      {{"--rate", "10", "--hot-moves", "1"}, "--hot"},
      {{"--stall-us", "10"}, "--stall"},
      {{"--http", "/", "--size", "10"}, "leave"},
      {{"--signal-server"}, "--server-pid"},
      {{"--http", "plain text"}, "/plaintext"},
      {{"--stall", "10", "--size", "7"}, "--size"},
  };
  for (auto [arguments, advice] : wrong) {
    arguments.insert(arguments.end(), {"--port", "1"});
    const outcome load = run_load(arguments);
    EXPECT_EQ(load.status, 1);
    const auto now = load.errors.find("now: ");
    ASSERT_NE(now, load.errors.npos) << load.errors;
    EXPECT_TRUE(contains(load.errors.substr(now), advice)) << load.errors;
  }
}

}  // namespace
