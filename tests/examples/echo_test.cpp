// The echo example as a program: its options, its end under load, and the tools of others as
// clients.

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/io_process.hpp"
#include "tests/support/io_server.hpp"

namespace corespun::test {
namespace {

struct ending {
  int code;
  std::string out;
  std::string err;
};

ending run_echo(program::words options) {
  options.insert(options.begin(), example("echo"));
  program run(std::move(options));
  ending e;
  e.out = run.output();
  e.err = run.errors();
  e.code = run.wait();
  return e;
}

TEST(echo, sends_back_what_it_gets_on_many_connections_at_once) {
  server echo("echo", {"--cores", "2"});
  std::vector<client> clients;
  for (int i = 0; i < 50; ++i) clients.emplace_back(echo.at());
  for (int round = 0; round < 3; ++round) {
    for (std::size_t i = 0; i < clients.size(); ++i)
      clients[i].say("message " + std::to_string(100 + i));
    for (std::size_t i = 0; i < clients.size(); ++i) {
      EXPECT_EQ(clients[i].hear(11), "message " + std::to_string(100 + i));
    }
  }
  echo.end();
}

TEST(echo, sends_back_megabytes_byte_by_byte) {
  server echo("echo");
  const client c(echo.at());
  const std::string sent = text_of(pattern(5'000'000));
  std::string got;
  std::jthread reader([&] { got = c.hear(sent.size()); });
  c.say(sent);
  reader.join();
  EXPECT_TRUE(got == sent);
  echo.end();
}

TEST(echo, works_with_one_receive_armed_for_many_messages) {
  server echo("echo", {"--multishot"});
  const client c(echo.at());
  for (int i = 0; i < 100; ++i) {
    c.say("hello");
    EXPECT_EQ(c.hear(5), "hello");
  }
  echo.end();
}

TEST(echo, works_with_slots_of_the_rings_and_with_a_file_table_per_core) {
  for (const char* how : {"--direct", "--tables"}) {
    server echo("echo", {how, "--cores", "3"});
    std::vector<client> clients;
    for (int i = 0; i < 20; ++i) clients.emplace_back(echo.at());
    for (const client& c : clients) {
      c.say("hello");
      EXPECT_EQ(c.hear(5), "hello") << how;
    }
    clients.clear();
    echo.end();
  }
}

TEST(echo, tells_its_driver_and_cores) {
  server echo("echo", {"--cores", "3"});
  EXPECT_NE(echo.greeting().find("3 cores"), std::string::npos) << echo.greeting();
  const std::string wanted = on_uring() ? "(uring," : "(epoll,";
  EXPECT_NE(echo.greeting().find(wanted), std::string::npos) << echo.greeting();
  echo.end(SIGINT);
}

TEST(echo, help_lists_the_options_and_is_no_error) {
  const ending e = run_echo({"--help"});
  EXPECT_EQ(e.code, 0);
  for (const char* option : {"--port", "--cores", "--stats", "--help", "CORESPUN_DRIVER"}) {
    EXPECT_NE(e.out.find(option), e.out.npos) << option << " is missing in\n" << e.out;
  }
}

TEST(echo, an_option_that_it_does_not_know_is_an_error) {
  const ending e = run_echo({"--quickly"});
  EXPECT_EQ(e.code, 2);
  EXPECT_NE(e.err.find("unknown option '--quickly'"), e.err.npos) << e.err;
  EXPECT_NE(e.err.find("--port"), e.err.npos) << e.err;
}

TEST(echo, a_port_that_is_no_number_in_range_is_an_error) {
  for (const char* port : {"70000", "-1", "http", "80x", ""}) {
    const ending e = run_echo({"--port", port});
    EXPECT_EQ(e.code, 2) << port;
    EXPECT_NE(e.err.find("--port needs a number in range"), e.err.npos) << e.err;
  }
  EXPECT_EQ(run_echo({"--port"}).code, 2);
}

TEST(echo, a_port_in_use_is_an_error_that_says_so) {
  server first("echo");
  const ending second = run_echo({"--port", first.port()});
  EXPECT_EQ(second.code, 1);
  EXPECT_NE(second.err.find("bind 127.0.0.1:" + first.port() + " failed: EADDRINUSE"),
            second.err.npos)
      << second.err;
  EXPECT_NE(second.err.find("choose another port"), second.err.npos) << second.err;
  first.end();
}

TEST(echo, a_driver_that_is_none_is_an_error_that_says_so) {
  program run({example("echo")}, {"CORESPUN_DRIVER=kqueue"});
  EXPECT_NE(run.errors().find("CORESPUN_DRIVER is 'kqueue'"), std::string::npos);
  EXPECT_NE(run.wait(), 0);
}

TEST(echo, stats_count_what_happened_as_json) {
  server echo("echo", {"--stats", "--cores", "2"});
  for (int i = 0; i < 3; ++i) {
    const client c(echo.at());
    c.say("x");
    EXPECT_EQ(c.hear(1), "x");
  }
  echo.send(SIGTERM);
  const std::string json = echo.read_line();
  EXPECT_TRUE(json.starts_with("{\"requests\":3,\"connections\":3,\"syscalls\":")) << json;
  EXPECT_TRUE(json.ends_with(on_uring() ? "\"driver\":\"uring\"}" : "\"driver\":\"epoll\"}"))
      << json;
  EXPECT_EQ(echo.wait(), 0);
}

TEST(echo, stats_are_told_at_sigusr1_as_often_as_asked_for) {
  server echo("echo", {"--stats", "--cores", "2"});
  const client c(echo.at());
  for (const char* requests : {"1", "2"}) {
    c.say("x");
    EXPECT_EQ(c.hear(1), "x");
    echo.send(SIGUSR1);
    const std::string json = echo.read_line();
    EXPECT_TRUE(json.starts_with(std::string("{\"requests\":") + requests + ",")) << json;
  }
  echo.end();
}

// Each client sees the end of the stream, or a reset because of what it had just sent; none sees a
// wrong byte, and none hangs.
TEST(echo, ends_in_good_order_at_sigterm_under_the_load_of_two_hundred_connections) {
  server echo("echo", {"--cores", "2"});
  std::vector<client> clients;
  for (int i = 0; i < 200; ++i) clients.emplace_back(echo.at());
  const std::string ping(64, 'p');
  std::size_t answered = 0;
  std::size_t ended = 0;
  const auto exchange = [&](const client& c) {
    char got[64];
    if (::send(c.socket().get(), ping.data(), ping.size(), MSG_NOSIGNAL) < 0) return false;
    const ssize_t n = ::recv(c.socket().get(), got, sizeof got, MSG_WAITALL);
    if (n == 64) return ping == std::string_view(got, 64);
    EXPECT_TRUE(n >= 0 || errno == ECONNRESET || errno == EPIPE) << errno;
    return false;
  };
  for (const client& c : clients) answered += exchange(c) ? 1 : 0;
  EXPECT_EQ(answered, clients.size());
  std::jthread killer([&] { echo.send(SIGTERM); });
  std::vector<std::jthread> threads;
  std::atomic<std::size_t> over{0};
  for (std::size_t part = 0; part < 4; ++part) {
    threads.emplace_back([&, part] {
      for (std::size_t i = part; i < clients.size(); i += 4) {
        while (exchange(clients[i])) {
        }
        ++over;
      }
    });
  }
  threads.clear();
  killer.join();
  ended = over;
  EXPECT_EQ(ended, clients.size());
  EXPECT_EQ(echo.wait(), 0);
}

// --- the tools of others ---

struct tool {
  const char* name;
  const char* command;  // reads stdin; PORT is replaced
};
void PrintTo(const tool& t, std::ostream* out) { *out << t.name; }

class foreign_client : public testing::TestWithParam<tool> {};
INSTANTIATE_TEST_SUITE_P(echo, foreign_client,
                         testing::Values(tool{"nc", "nc -N 127.0.0.1 PORT"},
                                         tool{"socat", "socat -t 30 - TCP:127.0.0.1:PORT"},
                                         tool{"curl",
                                              "curl -sSN --max-time 30 telnet://127.0.0.1:PORT"}),
                         [](const auto& p) { return p.param.name; });

TEST_P(foreign_client, gets_its_lines_back) {
  if (!installed(GetParam().name)) GTEST_SKIP() << GetParam().name << " is not installed";
  server echo("echo");
  std::string command = GetParam().command;
  command.replace(command.find("PORT"), 4, echo.port());
  program run({"sh", "-c", "exec " + command});
  run.write("hello\nworld\n");
  EXPECT_EQ(run.read_line(), "hello");
  EXPECT_EQ(run.read_line(), "world");
  run.end_input();
  echo.end();  // curl waits for the end of the connection
  EXPECT_EQ(run.output(), "");
}

}  // namespace
}  // namespace corespun::test
