// The http example as a program: what a client gets for what it sends. Which requests it finds in
// the bytes, http_request_test.cpp checks.

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/io_process.hpp"
#include "tests/support/io_server.hpp"

namespace corespun::test {
namespace {

const std::string get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

struct answer {
  std::string status;
  std::string fields;  // a line each
  std::string body;
};

bool operator==(const answer& a, std::string_view status_and_body) {
  return a.status + (a.body.empty() ? "" : ": " + a.body) == status_and_body;
}
void PrintTo(const answer& a, std::ostream* out) {
  *out << a.status << ": " << a.body << "\n" << a.fields;
}

/// With the body that its Content-Length promises, unless the request was a HEAD.
answer next_answer(const client& c, bool to_head = false) {
  answer a;
  const auto line = [&] {
    std::string text = c.line();
    EXPECT_TRUE(text.ends_with('\r')) << text;
    return text.substr(0, text.empty() ? 0 : text.size() - 1);
  };
  a.status = line();
  if (a.status.starts_with("HTTP/1.1 ")) a.status.erase(0, 9);
  constexpr std::string_view length = "Content-Length: ";
  std::size_t bytes = 0;
  for (std::string field; !(field = line()).empty(); a.fields += field + "\n")
    if (field.starts_with(length)) bytes = std::stoul(field.substr(length.size()));
  if (!to_head) a.body = c.hear(bytes);
  return a;
}

/// Nothing more comes, and no reset either.
bool has_ended(const client& c) {
  char byte = 0;
  const ssize_t n = ::recv(c.socket().get(), &byte, 1, 0);
  EXPECT_GE(n, 0) << errno;
  return n == 0;
}

TEST(http, answers_again_and_again) {
  server http("http", {"--cores", "2"});
  std::vector<client> clients;
  for (int i = 0; i < 20; ++i) clients.emplace_back(http.at());
  for (int round = 0; round < 3; ++round) {
    for (const client& c : clients) c.say(get);
    for (const client& c : clients) EXPECT_EQ(next_answer(c), "200 OK: hello\n");
  }
  http.end();
}

TEST(http, answers_with_one_receive_armed_for_many_messages) {
  server http("http", {"--multishot"});
  const client c(http.at());
  for (int i = 0; i < 100; ++i) {
    c.say(get);
    EXPECT_EQ(next_answer(c), "200 OK: hello\n");
  }
  http.end();
}

TEST(http, answers_a_request_that_comes_in_two_parts_cut_at_any_byte) {
  server http("http", {"--cores", "1"});
  for (std::size_t at = 1; at < get.size(); ++at) {
    const client halves(http.at());
    const client whole(http.at());
    halves.say(get.substr(0, at));
    whole.say(get);  // when it is answered, the server has seen the first half, or is about to
    EXPECT_EQ(next_answer(whole), "200 OK: hello\n");
    halves.say(get.substr(at));
    EXPECT_EQ(next_answer(halves), "200 OK: hello\n") << at;
  }
  http.end();
}

TEST(http, answers_all_that_was_sent_without_waiting_in_order) {
  server http("http");
  const client c(http.at());
  std::string requests;
  for (int i = 0; i < 500; ++i)
    requests += get + "GET /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab";
  c.say(requests);
  for (int i = 0; i < 500; ++i) {
    ASSERT_EQ(next_answer(c), "200 OK: hello\n");
    ASSERT_EQ(next_answer(c), "404 Not Found");
  }
  http.end();
}

TEST(http, answers_requests_of_one_read_by_one_write) {
  server http("http", {"--stats", "--cores", "1"});
  const client c(http.at());
  std::string requests;
  for (int i = 0; i < 100; ++i) requests += get;
  for (int round = 0; round < 10; ++round) {
    c.say(requests);
    for (int i = 0; i < 100; ++i) ASSERT_EQ(next_answer(c), "200 OK: hello\n");
  }
  http.send(SIGTERM);
  const std::string json = http.read_line();
  EXPECT_TRUE(json.starts_with("{\"requests\":1000,\"connections\":1,\"syscalls\":")) << json;
  const std::size_t calls = std::stoul(json.substr(json.find("calls\":") + 7));
  EXPECT_LT(calls, 300U) << json;
  EXPECT_EQ(http.wait(), 0);
}

TEST(http, says_the_date_and_the_length) {
  server http("http");
  const client c(http.at());
  c.say(get);
  const answer a = next_answer(c);
  EXPECT_NE(a.fields.find("Date: "), a.fields.npos) << a.fields;
  EXPECT_NE(a.fields.find(" GMT\n"), a.fields.npos) << a.fields;
  EXPECT_NE(a.fields.find("Content-Length: 6\n"), a.fields.npos) << a.fields;
  http.end();
}

TEST(http, answers_head_as_get_but_without_the_body) {
  server http("http");
  const client c(http.at());
  c.say(get + "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + get);
  const answer whole = next_answer(c);
  const answer head = next_answer(c, true);
  EXPECT_EQ(head, "200 OK");
  EXPECT_EQ(times("Content-Length: 6\n", head.fields), 1U) << head.fields;
  EXPECT_EQ(next_answer(c), "200 OK: hello\n");
  http.end();
}

TEST(http, closes_after_the_answer_where_the_client_does_not_ask_for_more) {
  for (const char* last :
       {"GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"}) {
    server http("http");
    const client c(http.at());
    c.say(last + get);
    const answer a = next_answer(c);
    EXPECT_EQ(a, "200 OK: hello\n");
    EXPECT_EQ(times("Connection: close\n", a.fields), 1U) << a.fields;
    EXPECT_TRUE(has_ended(c)) << last;
    http.end();
  }
}

TEST(http, keeps_connections_of_1_0_that_ask_for_it) {
  server http("http");
  const client c(http.at());
  for (int i = 0; i < 3; ++i) {
    c.say("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    const answer a = next_answer(c);
    EXPECT_EQ(a, "200 OK: hello\n");
    EXPECT_EQ(times("Connection: keep-alive\n", a.fields), 1U) << a.fields;
  }
  http.end();
}

TEST(http, answers_what_came_before_the_client_ended_its_side) {
  server http("http");
  const client c(http.at());
  c.say(get + get);
  ::shutdown(c.socket().get(), SHUT_WR);
  EXPECT_EQ(next_answer(c), "200 OK: hello\n");
  EXPECT_EQ(next_answer(c), "200 OK: hello\n");
  EXPECT_TRUE(has_ended(c));
  http.end();
}

struct refusal {
  const char* name;
  std::string request;
  const char* status;
  bool goes_on;
};
void PrintTo(const refusal& r, std::ostream* out) { *out << r.name; }

class refused : public testing::TestWithParam<refusal> {};
INSTANTIATE_TEST_SUITE_P(
    http, refused,
    testing::Values(
        refusal{"garbage", "hello\n", "400 Bad Request", false},
        refusal{"no_host", "GET / HTTP/1.1\r\n\r\n", "400 Bad Request", false},
        refusal{"another_path", "GET /x HTTP/1.1\r\nHost: x\r\n\r\n", "404 Not Found", true},
        refusal{"another_method", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab",
                "405 Method Not Allowed", true},
        refusal{"unknown_method", "BREW / HTTP/1.1\r\nHost: x\r\n\r\n", "501 Not Implemented",
                true},
        refusal{"large_body", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n",
                "413 Content Too Large", false},
        refusal{"expectation", "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n",
                "417 Expectation Failed", false},
        refusal{"chunked", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
                "501 Not Implemented", false},
        refusal{"version", "GET / HTTP/2.0\r\n\r\n", "505 HTTP Version Not Supported", false},
        refusal{"large_head", "GET / HTTP/1.1\r\nA: " + std::string(1'000'000, 'a'),
                "431 Request Header Fields Too Large", false}),
    [](const auto& p) { return p.param.name; });

// Also if the client has sent more than the server wants to read: a reset would destroy the answer.
TEST_P(refused, gets_a_status_that_says_why) {
  server http("http");
  const client c(http.at());
  c.say(GetParam().request);
  EXPECT_EQ(next_answer(c), GetParam().status);
  if (GetParam().goes_on) {
    c.say(get);
    EXPECT_EQ(next_answer(c), "200 OK: hello\n");
  } else {
    EXPECT_TRUE(has_ended(c));
  }
  http.end();
}

TEST(http, drops_who_says_nothing_but_not_who_asks) {
  server http("http", {"--limit-ms", "2000"});
  const client silent(http.at());
  const client asking(http.at());
  while (true) {
    asking.say(get);
    ASSERT_EQ(next_answer(asking), "200 OK: hello\n");
    pollfd end{silent.socket().get(), POLLIN, 0};
    if (::poll(&end, 1, 5) == 1) break;
  }
  EXPECT_TRUE(has_ended(silent));
  asking.say(get);
  EXPECT_EQ(next_answer(asking), "200 OK: hello\n");
  http.end();
}

TEST(http, drops_who_sends_its_head_byte_by_byte) {
  server http("http", {"--limit-ms", "300"});
  const client slow(http.at());
  slow.say("GET / HTTP/1.1\r\nHost: x\r\nA: ");
  for (int bytes = 0;; ++bytes) {
    ASSERT_LT(bytes, 1'000);
    slow.say("a");
    pollfd end{slow.socket().get(), POLLIN, 0};
    if (::poll(&end, 1, 10) == 1) break;
  }
  EXPECT_EQ(slow.hear(1), "");
  http.end();
}

TEST(http, drops_who_does_not_read) {
  server http("http", {"--limit-ms", "300"});
  const client c(http.at());
  std::string requests;
  for (int i = 0; i < 1000; ++i) requests += get;
  // Until the server, whose answers fill the way back, reads no more and closes.
  while (::send(c.socket().get(), requests.data(), requests.size(), MSG_NOSIGNAL) > 0) {
  }
  EXPECT_TRUE(errno == ECONNRESET || errno == EPIPE) << errno;
  http.end();
}

TEST(http, help_lists_the_options) {
  program run({example("http"), "--help"});
  const std::string help = run.output();
  for (const char* option : {"--port N", "--cores N", "--stats", "--multishot", "--limit-ms N"})
    EXPECT_NE(help.find(option), help.npos) << option << " is missing in\n" << help;
  EXPECT_EQ(run.wait(), 0);
}

TEST(http, a_limit_that_is_no_number_is_an_error) {
  program run({example("http"), "--limit-ms", "soon"});
  EXPECT_NE(run.errors().find("--limit-ms needs a number in range, not 'soon'"), std::string::npos);
  EXPECT_EQ(run.wait(), 2);
}

TEST(http, talks_to_curl) {
  if (!installed("curl")) GTEST_SKIP() << "curl is not installed";
  server http("http");
  const std::string url = "http://127.0.0.1:" + http.port() + "/";
  program run({"curl", "-sS", "--max-time", "30", url, url + "?again"});
  EXPECT_EQ(run.output(), "hello\nhello\n");
  EXPECT_EQ(run.errors(), "");
  EXPECT_EQ(run.wait(), 0);
  http.end();
}

}  // namespace
}  // namespace corespun::test
