// The shapes of load beyond a closed loop of echoes: what the server sees of them, and what is
// reported. The servers are of the tests' own making.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <fstream>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "program.hpp"
#include "test_server.hpp"

namespace {

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

/// The only child of a program.
pid_t child_of(pid_t parent) {
  const auto number = std::to_string(parent);
  pid_t child = 0;
  std::ifstream("/proc/" + number + "/task/" + number + "/children") >> child;
  EXPECT_GT(child, 0);
  return child;
}

// Its client is stopped for a fifth of the window. What was due meanwhile it could not send in
// time, and no server is to blame.
TEST(open_loop, tells_when_the_load_generator_itself_was_late) {
  std::atomic<pid_t> parent{0};
  test_server server(echo_after([&, answers = 0]() mutable {
    if (++answers != 100) return;
    parent.wait(0);
    const pid_t client = child_of(parent);
    kill(client, SIGSTOP);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    kill(client, SIGCONT);
  }));
  program load("load", {"--port", server.port(), "--connections", "4", "--rate", "1000", "--warmup",
                        "0", "--seconds", "0.5", "--json"});
  parent = load.pid();
  parent.notify_one();
  const std::string output = load.read_output();
  EXPECT_EQ(load.wait(), 0) << load.read_errors();
  EXPECT_GT(number(output, "late_sends"), 0.1) << output;
  EXPECT_LE(number(output, "late_sends"), 1) << output;
}

TEST(active, takes_a_fraction_of_a_percent_of_the_connections_of_all_processes) {
  std::array<unsigned, 400> messages{};
  test_server server([&](test_server::peer& peer) {
    for (std::string message; peer.take(64, message); peer.answer(message))
      ++messages.at(peer.number);
  });
  const outcome load =
      run_load({"--port", server.port(), "--connections", "400", "--processes", "3", "--active",
                "0.5", "--warmup", "0", "--seconds", "0.1", "--json"});
  server.stop();
  ASSERT_EQ(load.status, 0) << load.errors;
  EXPECT_EQ(number(load.output, "active_percent"), 0.5);
  EXPECT_EQ(std::ranges::count(messages, 1u), 398);  // only their first one
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

// Connection 0 gets the answer to its second message only when the others have been made anew after
// it had become due for that: they are the connections 3, 4 and, one turn later, 5.
TEST(churn, goes_on_while_a_connection_that_is_due_waits_for_an_answer) {
  unsigned messages = 0;  // of connection 0
  std::optional<test_server::peer> waits;
  std::string unanswered;
  test_server server([&](test_server::peer& peer) {
    for (std::string message; peer.take(64, message);) {
      if (peer.number == 0 && ++messages == 2) {
        waits = peer;
        unanswered = message;
        return;
      }
      peer.answer(message);
      if (peer.number != 5 || !waits) continue;
      waits->answer(unanswered);
      waits.reset();
    }
  });
  const outcome load =
      run_load({"--port", server.port(), "--connections", "3", "--connecting", "1", "--churn",
                "1000", "--warmup", "0", "--seconds", "1", "--timeout", "5", "--json"});
  ASSERT_EQ(load.status, 0) << load.errors;
  EXPECT_GT(number(load.output, "renewals_due"), 0) << load.output;
  EXPECT_GT(number(load.output, "renewals_made"), 2) << load.output;
}

TEST(load_report, tells_who_starved_all_through_the_window_and_how_long_the_oldest_request_waited) {
  std::set<unsigned> greeted;
  test_server server([&](test_server::peer& peer) {
    for (std::string message; peer.take(64, message);)
      if (greeted.insert(peer.number).second || peer.number == 0) peer.answer(message);
  });
  const outcome load = run_load({"--port", server.port(), "--connections", "3", "--warmup", "0.5",
                                 "--seconds", "0.2", "--timeout", "1", "--json"});
  EXPECT_EQ(load.status, 2) << load.errors;  // two were silent for too long
  EXPECT_GT(number(load.output, "requests"), 0) << load.output;
  EXPECT_EQ(number(load.output, "starved"), 2) << load.output;
  const double window_us = number(load.output, "seconds").value_or(0) * 1e6;
  EXPECT_GT(number(load.output, "oldest_us"), window_us) << load.output;
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

}  // namespace
