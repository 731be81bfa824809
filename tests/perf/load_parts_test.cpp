// Parts of the load generator that can be tried without a server.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "perf/load/echo.hpp"
#include "perf/load/http.hpp"
#include "perf/load/picker.hpp"
#include "perf/load/schedule.hpp"
#include "perf/load/time_queue.hpp"

namespace {

constexpr std::uint64_t second_ns = 1'000'000'000;

/// The times that are due before the end.
std::vector<std::uint64_t> due_until(load::schedule& s, std::uint64_t end_ns) {
  std::vector<std::uint64_t> times;
  for (; s.next_ns() < end_ns; s.advance()) times.push_back(s.next_ns());
  return times;
}

TEST(schedule, is_never_due_before_its_start_nor_after_its_stop_nor_at_a_rate_of_0) {
  load::schedule s{load::arrivals::constant, 100, 0, 1};
  EXPECT_EQ(s.next_ns(), load::schedule::never);
  s.start(5);
  EXPECT_EQ(s.next_ns(), 5u);
  s.stop();
  EXPECT_EQ(s.next_ns(), load::schedule::never);
  for (const auto kind : {load::arrivals::poisson, load::arrivals::constant}) {
    load::schedule none{kind, 0, 0.5, 1};
    none.start(5);
    EXPECT_EQ(none.next_ns(), load::schedule::never);
  }
}

TEST(schedule, keeps_constant_distances_and_does_not_drift) {
  load::schedule s{load::arrivals::constant, 3, 0, 1};  // 1/3 s is no whole number of ns
  s.start(0);
  const auto times = due_until(s, 1000 * second_ns);
  ASSERT_NEAR(static_cast<double>(times.size()), 3000, 1);
  for (std::size_t i = 0; i < times.size(); ++i)
    ASSERT_NEAR(static_cast<double>(times[i]), static_cast<double>(i) * 1e9 / 3, 2);
}

TEST(schedule, shares_of_several_processes_are_constant_together) {
  std::vector<std::uint64_t> all;
  for (unsigned i = 0; i < 4; ++i) {
    load::schedule s{load::arrivals::constant, 250, i / 4.0, i};
    s.start(0);
    const auto times = due_until(s, second_ns);
    EXPECT_EQ(times.size(), 250u);
    all.insert(all.end(), times.begin(), times.end());
  }
  std::ranges::sort(all);
  for (std::size_t i = 1; i < all.size(); ++i) EXPECT_EQ(all[i] - all[i - 1], 1'000'000u);
}

// The number of Poisson arrivals in a second has its mean as variance; constant ones have none.
TEST(schedule, poisson_arrivals_have_the_rate_as_mean_and_as_variance) {
  constexpr double rate = 400;
  constexpr std::size_t seconds = 1000;
  load::schedule s{load::arrivals::poisson, rate, 0, 7};
  s.start(0);
  std::vector<double> in_second(seconds);
  for (auto time : due_until(s, seconds * second_ns)) ++in_second[time / second_ns];
  double mean = 0;
  double variance = 0;
  for (double n : in_second) mean += n / seconds;
  for (double n : in_second) variance += (n - mean) * (n - mean) / seconds;
  EXPECT_NEAR(mean, rate, rate * 0.02);
  EXPECT_NEAR(variance, rate, rate * 0.3);
}

TEST(schedule, processes_differ_and_runs_do_not) {
  load::schedule one{load::arrivals::poisson, 10, 0, 1};
  load::schedule again{load::arrivals::poisson, 10, 0, 1};
  load::schedule other{load::arrivals::poisson, 10, 0, 2};
  for (auto* s : {&one, &again, &other}) s->start(0);
  EXPECT_EQ(one.next_ns(), again.next_ns());
  EXPECT_NE(one.next_ns(), other.next_ns());
}

/// How often each connection was picked, at one request per ms from 1 ms on.
std::vector<unsigned> picks(load::picker picker, std::size_t connections, unsigned requests) {
  std::vector<unsigned> counts(connections);
  for (std::uint64_t ms = 1; ms <= requests; ++ms) ++counts.at(picker.next(ms * 1'000'000));
  return counts;
}

TEST(picker, connections_take_turns) {
  EXPECT_EQ(picks({5, 0, 0, 1}, 5, 100), std::vector<unsigned>(5, 20));
}

TEST(picker, a_hot_connection_gets_its_share_and_the_others_take_turns) {
  const auto counts = picks({5, 0.6, 0, 1}, 5, 10'000);
  EXPECT_NEAR(counts[0], 6000, 300);
  for (std::size_t i = 1; i < 5; ++i) EXPECT_NEAR(counts[i], (10'000 - counts[0]) / 4, 1);
  EXPECT_EQ(picks({1, 0.6, 0, 1}, 1, 10), std::vector<unsigned>{10});
}

TEST(picker, the_hot_connection_moves) {
  const auto at_first = picks({5, 1, 100'000'000, 1}, 5, 150);
  EXPECT_EQ(at_first, (std::vector<unsigned>{100, 50, 0, 0, 0}));
  EXPECT_EQ(picks({5, 1, 100'000'000, 1}, 5, 1000), std::vector<unsigned>(5, 200));
}

constexpr std::string_view hello =
    "HTTP/1.1 200 OK\r\nServer: x\r\ncontent-LENGTH: 5 \r\n\r\nhello";
constexpr std::string_view empty = "HTTP/1.1 200 OK\r\nContent-Length:0\r\n\r\n";

TEST(http, asks_for_its_path_again_and_again) {
  load::http protocol{"here:80", "/path"};
  const std::string request = "GET /path HTTP/1.1\r\nHost: here:80\r\n\r\n";
  EXPECT_EQ(protocol.request_bytes(), request.size());
  const std::string twice = request + request;
  EXPECT_EQ(std::string(protocol.outgoing({}, request.size() * 1000 + 3, twice.size() - 3),
                        twice.size() - 3),
            twice.substr(3));
}

TEST(http, counts_answers_that_come_in_pieces_of_any_length) {
  for (const std::string_view answer : {hello, empty}) {
    std::string three;
    for (int i = 0; i < 3; ++i) three += answer;
    for (std::size_t piece = 1; piece <= three.size(); ++piece) {
      load::http protocol{"here", "/"};
      load::stream s;
      std::uint64_t answers = 0;
      for (std::size_t at = 0; at < three.size(); at += piece) {
        const auto complete = protocol.incoming(s, std::string_view(three).substr(at, piece));
        ASSERT_TRUE(complete) << complete.error();
        answers += *complete;
        // No answer is complete before its last byte.
        ASSERT_EQ(answers, std::min(at + piece, three.size()) / answer.size()) << piece;
      }
      EXPECT_EQ(answers, 3u);
    }
  }
}

TEST(http, says_what_came_instead_of_a_good_answer) {
  const std::pair<std::string, const char*> wrong[] = {
      {"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello", "404 Not Found"},
      {"HTTP/1.1 2000 OK\r\nContent-Length: 5\r\n\r\nhello", "2000 OK"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "Content-Length"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\nhello", "Content-Length"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhell", "4 bytes"},
      {"SSH-2.0-x\r\n\r\n", "SSH-2.0-x"},
      {std::string(100'000, 'x'), "xxx"},
  };
  for (const auto& [answer, words] : wrong) {
    load::http protocol{"here", "/"};
    load::stream s;
    ASSERT_EQ(protocol.incoming(s, hello), 1u);
    const auto complete = protocol.incoming(s, answer);
    ASSERT_FALSE(complete) << answer;
    EXPECT_NE(complete.error().find(words), std::string::npos) << complete.error();
  }
}

// Whatever the pieces in which bytes are sent and come back.
TEST(echo, writes_and_checks_stalls_in_pieces_of_any_length) {
  constexpr std::size_t size = 11;
  constexpr std::uint64_t messages = 200;
  const load::stalls half{50, 0x04030201};
  load::echo protocol{size, half};
  load::stream s{.number = 3};
  const std::string whole{protocol.outgoing(s, 0, messages * size), messages * size};
  std::uint64_t stalled = 0;
  for (std::uint64_t m = 0; m < messages; ++m) {
    const bool asked = half.us_of(s, m) > 0;
    stalled += asked;
    EXPECT_EQ(whole.substr(m * size, 4), asked ? "\1\2\3\4" : std::string(4, '\0'));
  }
  EXPECT_NEAR(static_cast<double>(stalled), messages / 2.0, messages / 5.0);
  EXPECT_EQ(half.us_of(s, 0), 0u);  // the greeting

  for (std::size_t piece = 1; piece < 3 * size; ++piece) {
    load::stream t{.number = 3, .sent_bytes = whole.size()};
    std::uint64_t answers = 0;
    for (std::size_t at = 0; at < whole.size(); at += piece) {
      const std::string part = whole.substr(at, piece);
      ASSERT_EQ(std::string(protocol.outgoing(t, at, part.size()), part.size()), part);
      const auto complete = protocol.incoming(t, part);
      ASSERT_TRUE(complete) << complete.error();
      answers += *complete;
    }
    EXPECT_EQ(answers, messages);
  }
}

TEST(time_queue, is_first_in_first_out_however_pushes_and_pops_mix) {
  load::time_queue queue;
  std::uint64_t in = 0;
  std::uint64_t out = 0;
  for (unsigned turn = 0; turn < 200; ++turn) {
    for (unsigned i = 0; i < turn * 7 % 13; ++i) queue.push(in++);
    for (unsigned i = 0; i < turn * 5 % 11 && queue.size() > 0; ++i) {
      ASSERT_EQ(queue.first(), out);
      ASSERT_EQ(queue.pop(), out++);
    }
    ASSERT_EQ(queue.size(), in - out);
  }
  while (queue.size() > 0) ASSERT_EQ(queue.pop(), out++);
  EXPECT_EQ(in, out);
}

}  // namespace
