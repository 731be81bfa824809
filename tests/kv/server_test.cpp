// The server as a program, on one core and on two: what differs from Redis, or what the comparison
// with it (differential) cannot see.

#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/io_process.hpp"
#include "tests/support/io_server.hpp"

namespace corespun::test {
namespace {

struct kv_server : server {
  explicit kv_server(const std::string& cores, words options = {})
      : server("kv", with_port(cores, std::move(options))) {}

 private:
  static words with_port(const std::string& cores, words options) {
    options.insert(options.end(), {"--port", "0", "--cores", cores});
    return options;
  }
};

std::string ask(const client& c, const std::string& request, const std::string& reply) {
  c.say(request + "\r\n");
  return c.hear(reply.size());
}
#define EXPECT_REPLY(client, request, reply) EXPECT_EQ(ask(client, request, reply), reply)

std::string bulk(const std::string& text) {
  return '$' + std::to_string(text.size()) + "\r\n" + text + "\r\n";
}
std::string keys(const std::string& before, int n, const std::string& after = "") {
  std::string all;
  for (int i = 0; i < n; ++i) all += ' ' + before + std::to_string(i) + after;
  return all;
}

struct kv_on : testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(cores, kv_on, testing::Values("1", "2", "3"),
                         [](const auto& p) { return p.param; });

TEST_P(kv_on, replies_of_a_pipeline_come_in_the_order_of_the_requests) {
  kv_server s(GetParam());
  const client c(s.at());
  std::string requests, replies;
  for (int i = 0; i < 300; ++i) {
    const std::string n = std::to_string(i);
    requests += "SET k" + n + " v" + n + "\r\nGET k" + n + "\r\nPING " + n + "\r\nINCR k\r\n";
    replies += "+OK\r\n" + bulk('v' + n) + bulk(n) + ':' + std::to_string(i + 1) + "\r\n";
    if (i % 10 != 0) continue;
    requests += "FOO\r\nMGET k" + n + " nothing k\r\nDBSIZE\r\n";
    replies += "-ERR unknown command 'FOO', with args beginning with: \r\n*3\r\n" + bulk('v' + n) +
               "$-1\r\n" + bulk(std::to_string(i + 1)) + ':' + std::to_string(i + 2) + "\r\n";
  }
  std::jthread sender([&] { c.say(requests); });
  EXPECT_EQ(c.hear(replies.size()), replies);
  sender.join();
  s.end();
}

TEST_P(kv_on, commands_with_many_keys_answer_as_one) {
  kv_server s(GetParam());
  const client c(s.at());
  EXPECT_REPLY(c, "MSET" + keys("k", 50, " x"), "+OK\r\n");
  EXPECT_REPLY(c, "EXISTS k0 nothing" + keys("k", 50), ":51\r\n");
  EXPECT_REPLY(c, "DEL" + keys("k", 60), ":50\r\n");
  EXPECT_REPLY(c, "DBSIZE", ":0\r\n");
  s.end();
}

TEST_P(kv_on, scan_goes_through_all_keys_once) {
  kv_server s(GetParam());
  const client c(s.at());
  EXPECT_REPLY(c, "MSET" + keys("key", 500, " x"), "+OK\r\n");
  std::vector<std::string> found;
  std::string cursor = "0";
  do {
    c.say("SCAN " + cursor + " COUNT 7\r\n");
    EXPECT_EQ(c.line(), "*2\r");
    (void)c.line();
    cursor = c.line();
    cursor.pop_back();
    for (int left = std::stoi(c.line().substr(1)); left > 0; --left) {
      (void)c.line();
      found.push_back(c.line());
    }
  } while (cursor != "0");
  std::sort(found.begin(), found.end());
  EXPECT_EQ(found.size(), 500u);
  EXPECT_EQ(std::unique(found.begin(), found.end()), found.end());
  s.end();
}

TEST_P(kv_on, a_message_reaches_subscribers_on_all_cores) {
  kv_server s(GetParam());
  std::vector<client> listeners;
  const std::string subscribed = "*3\r\n" + bulk("subscribe") + bulk("news") + ":1\r\n";
  for (int i = 0; i < 20; ++i) {
    listeners.emplace_back(s.at());
    EXPECT_REPLY(listeners.back(), "SUBSCRIBE news", subscribed);
  }
  const client c(s.at());
  EXPECT_REPLY(c, "PUBLISH news hello", ":20\r\n");
  EXPECT_REPLY(c, "PUBLISH other hello", ":0\r\n");
  const std::string message = "*3\r\n" + bulk("message") + bulk("news") + bulk("hello");
  for (const client& l : listeners) EXPECT_EQ(l.hear(message.size()), message);
  EXPECT_REPLY(listeners[0], "QUIT", "+OK\r\n");
  EXPECT_EQ(listeners[0].hear(1), "");
  EXPECT_REPLY(listeners[1], "PING", "*2\r\n" + bulk("pong") + bulk(""));
  s.end();
}

TEST_P(kv_on, what_was_set_before_a_message_is_seen_after_it) {
  kv_server s(GetParam());
  const client writer(s.at()), reader(s.at());
  const std::string subscribed = "*3\r\n" + bulk("subscribe") + bulk("c") + ":1\r\n";
  const std::string message = "*3\r\n" + bulk("message") + bulk("c") + bulk("m");
  EXPECT_REPLY(reader, "SUBSCRIBE c", subscribed);
  const client third(s.at());
  for (int i = 0; i < 50; ++i) {
    const std::string n = std::to_string(i);
    writer.say("SET k" + n + " v\r\nPUBLISH c m\r\n");
    EXPECT_EQ(reader.hear(message.size()), message);
    EXPECT_REPLY(third, "GET k" + n, bulk("v"));
    EXPECT_EQ(writer.hear(9), "+OK\r\n:1\r\n");
  }
  s.end();
}

TEST_P(kv_on, large_values_come_back_byte_by_byte) {
  kv_server s(GetParam());
  const client c(s.at());
  const std::string value = text_of(pattern(3'000'000));
  for (const std::string key : {"a", "b", "c"}) {
    c.say("*3\r\n$3\r\nSET\r\n$1\r\n" + key + "\r\n" + bulk(value));
    EXPECT_EQ(c.hear(5), "+OK\r\n");
    EXPECT_TRUE(ask(c, "GET " + key, bulk(value)) == bulk(value));
  }
  s.end();
}

TEST_P(kv_on, a_reader_that_is_slow_delays_nobody_else) {
  kv_server s(GetParam());
  const client slow(s.at()), quick(s.at());
  slow.say("*3\r\n$3\r\nSET\r\n$1\r\na\r\n" + bulk(std::string(1'000'000, 'x')));
  EXPECT_EQ(slow.hear(5), "+OK\r\n");
  for (int i = 0; i < 100; ++i) slow.say("GET a\r\n");
  for (int i = 0; i < 100; ++i) EXPECT_REPLY(quick, "PING", "+PONG\r\n");
  s.end();
}

TEST_P(kv_on, an_error_of_the_protocol_is_answered_and_ends_the_connection) {
  kv_server s(GetParam());
  const client c(s.at());
  const std::string error = "+PONG\r\n-ERR Protocol error: invalid multibulk length\r\n";
  EXPECT_REPLY(c, "PING\r\n*x\r\nPING", error);
  EXPECT_EQ(c.hear(1), "");
  s.end();
}

TEST_P(kv_on, memory_that_is_full_refuses_writes_and_allows_reads) {
  kv_server s(GetParam(), {"--maxmemory", "100kb"});
  const client c(s.at());
  const std::string oom = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";
  int i = 0;
  const auto set = [&] {
    c.say("SET k" + std::to_string(i++) + ' ' + std::string(1000, 'x') + "\r\n");
    return c.line();
  };
  while (i < 1000 && set() == "+OK\r") continue;
  EXPECT_LT(i, 200);
  EXPECT_GT(i, 30);
  EXPECT_REPLY(c, "STRLEN k0", ":1000\r\n");
  s.end();
}

TEST_P(kv_on, memory_that_is_full_evicts_if_it_may) {
  kv_server s(GetParam(), {"--maxmemory", "100kb", "--maxmemory-policy", "allkeys-lru"});
  const client c(s.at());
  for (int i = 0; i < 500; ++i)
    EXPECT_REPLY(c, "SET k" + std::to_string(i) + ' ' + std::string(1000, 'x'), "+OK\r\n");
  c.say("DBSIZE\r\n");
  EXPECT_LT(std::stoi(c.line().substr(1)), 120);
  s.end();
}

TEST_P(kv_on, ends_while_clients_wait_and_listen) {
  kv_server s(GetParam());
  std::vector<client> clients;
  for (int i = 0; i < 50; ++i) {
    clients.emplace_back(s.at());
    if (i % 2 == 0) {
      EXPECT_REPLY(clients.back(), "SET k v EX 1000", "+OK\r\n");
    } else {
      clients.back().say("SUBSCRIBE c\r\n");
    }
  }
  s.end(SIGINT);
}

std::string errors_of(program::words options) {
  options.insert(options.begin(), example("kv"));
  program run(std::move(options));
  std::string text = run.errors();
  EXPECT_EQ(run.wait(), 2);
  return text;
}

TEST(kv_options, that_are_wrong_are_said) {
  const struct {
    program::words options;
    std::string why;
  } cases[] = {
      {{"--port", "70000"}, "--port needs a number up to 65535, not '70000'"},
      {{"--cores"}, "--cores needs a number, not ''"},
      {{"--address", "localhost"}, "--address needs an IPv4 or IPv6 address or unix:PATH"},
      {{"--maxmemory", "1tb"}, "--maxmemory needs a number of bytes, not '1tb'"},
      {{"--maxmemory-policy", "lru"}, "--maxmemory-policy needs noeviction, allkeys-lru"},
      {{"--quickly"}, "unknown option '--quickly'"},
  };
  for (const auto& c : cases) {
    const std::string text = errors_of(c.options);
    EXPECT_NE(text.find(c.why), text.npos) << text;
    EXPECT_NE(text.find("--maxmemory-policy P"), text.npos) << text;
  }
}

TEST(kv_options, help_is_no_error) {
  program run({example("kv"), "--help"});
  EXPECT_NE(run.output().find("--maxmemory N"), std::string::npos);
  EXPECT_EQ(run.wait(), 0);
}

}  // namespace
}  // namespace corespun::test
