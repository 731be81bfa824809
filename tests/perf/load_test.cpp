// The load generator and the servers of perf/floor, run as programs: what they promise to the
// scripts of perf/bench.

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "test_server.hpp"

namespace {

constexpr int patience_ms = 30'000;

class descriptor {
 public:
  explicit descriptor(int fd) : fd_(fd) { EXPECT_GE(fd, 0); }
  descriptor(descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~descriptor() { reset(); }
  void reset() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

/// A program of the build, with its output in pipes. Killed if it is still running at the end.
class program {
 public:
  /// `descriptors`: its hard limit, if it is to have one of its own.
  program(const std::string& path, std::vector<std::string> arguments, rlim_t descriptors = 0)
      : program(pipe_pair(), pipe_pair(), path, std::move(arguments), descriptors) {}
  program(program&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)),
        out_(std::move(other.out_)),
        err_(std::move(other.err_)) {}
  ~program() {
    if (pid_ < 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  [[nodiscard]] pid_t pid() const { return pid_; }
  void terminate() const { kill(pid_, SIGTERM); }

  std::string read_line() {
    std::string line;
    for (char c = 0; c != '\n' && read_some(out_.get(), &c, 1) == 1;) line += c;
    return line;
  }
  /// All that is left of it until the program closes it.
  std::string read_output() { return read_all(out_.get()); }
  std::string read_errors() { return read_all(err_.get()); }

  int wait() {
    int status = 0;
    waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  using ends = std::pair<descriptor, descriptor>;  // read, write

  static ends pipe_pair() {
    std::array<int, 2> fds{};
    EXPECT_EQ(pipe2(fds.data(), O_CLOEXEC), 0);
    return {descriptor(fds[0]), descriptor(fds[1])};
  }

  program(ends out, ends err, const std::string& path, std::vector<std::string> arguments,
          rlim_t descriptors)
      : out_(std::move(out.first)), err_(std::move(err.first)) {
    const std::string file = std::string(CORESPUN_BIN_DIR) + "/" + path;
    std::vector<char*> argv{const_cast<char*>(file.c_str())};
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ != 0) return;
    const rlimit limit{.rlim_cur = descriptors, .rlim_max = descriptors};
    if (descriptors > 0) setrlimit(RLIMIT_NOFILE, &limit);
    dup2(out.second.get(), STDOUT_FILENO);
    dup2(err.second.get(), STDERR_FILENO);
    execv(file.c_str(), argv.data());
    _exit(127);
  }

  static ssize_t read_some(int fd, char* to, std::size_t bytes) {
    pollfd ready{.fd = fd, .events = POLLIN, .revents = 0};
    if (poll(&ready, 1, patience_ms) != 1) {
      ADD_FAILURE() << "the program said nothing for " << patience_ms << " ms";
      return 0;
    }
    return read(fd, to, bytes);
  }

  static std::string read_all(int fd) {
    std::string all;
    std::array<char, 4096> buffer{};
    for (ssize_t n = 0; (n = read_some(fd, buffer.data(), buffer.size())) > 0;)
      all.append(buffer.data(), static_cast<std::size_t>(n));
    return all;
  }

  pid_t pid_ = -1;
  descriptor out_;
  descriptor err_;
};

struct outcome {
  int status;
  std::string output;
  std::string errors;
};

outcome run_load(std::vector<std::string> arguments, rlim_t descriptors = 0) {
  program load("load", std::move(arguments), descriptors);
  std::string errors = load.read_errors();
  std::string output = load.read_output();
  return {.status = load.wait(), .output = std::move(output), .errors = std::move(errors)};
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

/// The first number with this name in a JSON text.
std::optional<double> number(std::string_view json, std::string_view name) {
  const std::string key = "\"" + std::string(name) + "\":";
  const auto at = json.find(key);
  if (at == json.npos) return {};
  return std::strtod(json.data() + at + key.size(), nullptr);
}

/// The same within the object with this name.
std::optional<double> number_in(std::string_view json, std::string_view object,
                                std::string_view name) {
  const auto at = json.find("\"" + std::string(object) + "\":");
  if (at == json.npos) return {};
  return number(json.substr(at, json.find('}', at) - at), name);
}

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

/// An echo of messages of 64 bytes; `before` is called before each answer.
template <class Fn>
auto echo_after(Fn before) {
  return [before](test_server::peer& peer) mutable {
    for (std::string message; peer.take(64, message);) {
      before();
      peer.answer(message);
    }
  };
}

TEST(open_loop, asks_for_its_rate_whatever_the_number_of_processes) {
  test_server server(echo_after([] {}));
  const outcome load =
      run_load({"--port", server.port(), "--connections", "10", "--processes", "3", "--rate",
                "1000", "--arrivals", "constant", "--warmup", "0.1", "--seconds", "0.5", "--json"});
  ASSERT_EQ(load.status, 0) << load.errors;
  EXPECT_EQ(number(load.output, "rate"), 1000);
  EXPECT_TRUE(contains(load.output, R"("arrivals":"constant")")) << load.output;
  EXPECT_GT(number(load.output, "due"), 250) << load.output;  // 500 in a window without delays
  EXPECT_LT(number(load.output, "due"), 1000) << load.output;
  EXPECT_EQ(number(load.output, "unanswered"), 0) << load.output;
  EXPECT_TRUE(number(load.output, "late_sends")) << load.output;
}

// In a closed loop one request waits for the pause, and the others are not even sent. Here those
// that would have been sent meanwhile count as well: 150 of 500, and the 5 worst nearly all of it.
TEST(open_loop, counts_the_wait_of_all_that_are_due_while_the_server_pauses) {
  constexpr std::chrono::milliseconds pause{300};
  test_server server(echo_after([answers = 0, pause]() mutable {
    if (++answers == 100) std::this_thread::sleep_for(pause);
  }));
  const outcome load =
      run_load({"--port", server.port(), "--connections", "1", "--rate", "500", "--arrivals",
                "constant", "--warmup", "0", "--seconds", "1", "--json"});
  ASSERT_EQ(load.status, 0) << load.errors;
  const double pause_us = std::chrono::microseconds(pause).count();
  EXPECT_GT(number_in(load.output, "latency_us", "p99"), pause_us / 2) << load.output;
  EXPECT_LT(number_in(load.output, "latency_us", "p99"), pause_us * 10) << load.output;
  EXPECT_EQ(number(load.output, "unanswered"), 0) << load.output;
}

TEST(open_loop, tells_how_many_requests_a_silent_server_left_unanswered) {
  test_server server([greeted = std::set<unsigned>()](test_server::peer& peer) mutable {
    std::string message;
    if (peer.take(64, message) && greeted.insert(peer.number).second) peer.answer(message);
  });
  const outcome load =
      run_load({"--port", server.port(), "--connections", "2", "--rate", "500", "--warmup", "0",
                "--seconds", "0.2", "--timeout", "0.3", "--json"});
  EXPECT_EQ(load.status, 2) << load.errors;
  EXPECT_GT(number(load.output, "due"), 0) << load.output;
  EXPECT_EQ(number(load.output, "unanswered"), number(load.output, "due")) << load.output;
  EXPECT_EQ(number(load.output, "timeout"), 2) << load.output;
}

TEST(open_loop, a_server_that_is_too_slow_leaves_requests_unanswered_but_is_not_silent) {
  test_server server(
      echo_after([] { std::this_thread::sleep_for(std::chrono::milliseconds(30)); }));
  const outcome load =
      run_load({"--port", server.port(), "--connections", "1", "--rate", "500", "--warmup", "0",
                "--seconds", "0.3", "--timeout", "0.5", "--json"});
  EXPECT_EQ(load.status, 0) << load.errors;
  EXPECT_GT(number(load.output, "unanswered"), 0) << load.output;
  EXPECT_LT(number(load.output, "unanswered"), number(load.output, "due")) << load.output;
}

// The server decodes what it is asked for, and does so: it sees the share, the report the times.
TEST(stall, asks_the_server_to_compute_for_a_share_of_the_messages_and_reports_both_kinds) {
  constexpr std::size_t size = 20;
  constexpr std::uint32_t stall_us = 20'000;
  unsigned messages = 0;
  unsigned stalls = 0;
  unsigned others = 0;  // neither 0 nor what was asked for
  test_server server([&](test_server::peer& peer) {
    for (std::string message; peer.take(size, message);) {
      std::uint32_t us = 0;
      for (unsigned i = 4; i-- > 0;) us = us << 8 | static_cast<unsigned char>(message[i]);
      ++messages;
      if (us == stall_us) {
        ++stalls;
        std::this_thread::sleep_for(std::chrono::microseconds(us));
      } else if (us != 0) {
        ++others;
      }
      peer.answer(message);
    }
  });
  const outcome load = run_load({"--port", server.port(), "--connections", "1", "--size", "20",
                                 "--stall", "2.5", "--stall-us", std::to_string(stall_us),
                                 "--warmup", "0", "--seconds", "1", "--json"});
  server.stop();
  ASSERT_EQ(load.status, 0) << load.errors;
  EXPECT_EQ(others, 0u);
  EXPECT_GT(stalls, messages / 100) << messages;
  EXPECT_LT(stalls, messages / 20) << messages;
  EXPECT_EQ(number(load.output, "stall_percent"), 2.5);
  EXPECT_EQ(number(load.output, "stall_us"), stall_us);
  const auto stalled_p50 = number_in(load.output, "stall_latency_us", "p50");
  EXPECT_GE(stalled_p50, stall_us) << load.output;
  EXPECT_LT(number_in(load.output, "plain_latency_us", "p50"), stalled_p50) << load.output;
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

TEST(churn, also_reaches_connections_that_are_never_idle) {
  test_server server(echo_after([] { std::this_thread::sleep_for(std::chrono::milliseconds(1)); }));
  for (const char* rate : {"none", "4000"}) {
    std::vector<std::string> arguments{
        "--port",   server.port(), "--connections", "2",   "--pipeline", "4",   "--churn", "1000",
        "--warmup", "0",           "--seconds",     "0.3", "--timeout",  "0.5", "--json"};
    if (rate != std::string_view("none")) arguments.insert(arguments.end(), {"--rate", rate});
    const outcome load = run_load(arguments);
    ASSERT_EQ(load.status, 0) << load.errors;
    EXPECT_GT(number(load.output, "reconnects"), 1) << load.output;
  }
}

TEST(open_loop, sends_the_share_of_a_hot_connection_there) {
  std::array<unsigned, 8> messages{};
  test_server server([&](test_server::peer& peer) {
    for (std::string message; peer.take(64, message); peer.answer(message))
      ++messages.at(peer.number);
  });
  const outcome load = run_load({"--port", server.port(), "--connections", "8", "--rate", "1000",
                                 "--hot", "70", "--warmup", "0", "--seconds", "0.4", "--json"});
  server.stop();
  ASSERT_EQ(load.status, 0) << load.errors;
  EXPECT_EQ(number(load.output, "hot_percent"), 70);
  const unsigned all = std::accumulate(messages.begin(), messages.end(), 0u);
  EXPECT_GT(*std::ranges::max_element(messages), all / 2);
  EXPECT_LT(*std::ranges::max_element(messages), all * 9 / 10);
}

/// Answers each request for /path with what `answer` returns, in two pieces.
auto http_answers(auto answer) {
  return [answer](test_server::peer& peer) mutable {
    const std::string request = "GET /path HTTP/1.1\r\nHost: 127.0.0.1:" + peer.port + "\r\n\r\n";
    for (std::string came; peer.take(request.size(), came);) {
      EXPECT_EQ(came, request);
      const std::string text = answer();
      peer.answer(text.substr(0, text.size() / 2));
      peer.answer(text.substr(text.size() / 2));
    }
  };
}

TEST(http_load, asks_for_a_path_and_counts_what_the_server_answered) {
  std::uint64_t answers = 0;
  test_server server(http_answers([&] {
    ++answers;
    return "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
  }));
  const outcome load =
      run_load({"--port", server.port(), "--connections", "4", "--http", "/path", "--pipeline", "3",
                "--churn", "200", "--warmup", "0", "--seconds", "0.3", "--json"});
  server.stop();
  ASSERT_EQ(load.status, 0) << load.errors;
  EXPECT_TRUE(contains(load.output, R"("http":"/path")")) << load.output;
  EXPECT_GT(number(load.output, "requests"), 0) << load.output;
  EXPECT_EQ(number(load.output, "requests_total"), answers) << load.output;
}

TEST(http_load, tells_what_came_instead_of_a_good_answer) {
  test_server server(http_answers([answers = 0]() mutable -> std::string {
    if (++answers == 5) return "HTTP/1.1 503 Overloaded\r\nContent-Length: 0\r\n\r\n";
    return "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
  }));
  const outcome load = run_load({"--port", server.port(), "--connections", "1", "--http", "/path",
                                 "--warmup", "0", "--seconds", "0.1", "--json"});
  EXPECT_EQ(load.status, 2);
  EXPECT_EQ(number(load.output, "mismatch"), 1) << load.output;
  EXPECT_TRUE(contains(load.errors, "after 4 answers")) << load.errors;
  EXPECT_TRUE(contains(load.errors, "503 Overloaded")) << load.errors;
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
