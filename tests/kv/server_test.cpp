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
/// The bulk string that comes next.
std::string hear_bulk(const client& c) {
  const std::size_t size = std::stoul(c.line().substr(1));
  return c.hear(size + 2).substr(0, size);
}
std::string ask_bulk(const client& c, const std::string& request) {
  c.say(request + "\r\n");
  return hear_bulk(c);
}
void expect_in(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), text.npos) << '"' << part << "\" is not in\n" << text;
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

TEST_P(kv_on, a_message_is_a_push_for_those_who_speak_resp3) {
  kv_server s(GetParam());
  const client three(s.at());
  const std::string hello = "%7\r\n" + bulk("server") + bulk("redis") + bulk("version") +
                            bulk("7.0.15") + bulk("proto") + ":3\r\n" + bulk("id") + ":1\r\n" +
                            bulk("mode") + bulk("standalone") + bulk("role") + bulk("master") +
                            bulk("modules") + "*0\r\n";
  EXPECT_REPLY(three, "HELLO 3", hello);
  const client two(s.at()), publisher(s.at());
  EXPECT_REPLY(three, "SUBSCRIBE c", ">3\r\n" + bulk("subscribe") + bulk("c") + ":1\r\n");
  EXPECT_REPLY(two, "SUBSCRIBE c", "*3\r\n" + bulk("subscribe") + bulk("c") + ":1\r\n");
  const std::string message = "3\r\n" + bulk("message") + bulk("c") + bulk("m");
  for (int i = 0; i < 10; ++i) {
    EXPECT_REPLY(publisher, "PUBLISH c m", ":2\r\n");
    EXPECT_EQ(three.hear(message.size() + 1), '>' + message);
    EXPECT_REPLY(three, "GET nothing", "_\r\n");
    EXPECT_EQ(two.hear(message.size() + 1), '*' + message);
  }
  s.end();
}

TEST_P(kv_on, a_subscriber_who_is_too_slow_is_cut_off_though_it_reads_nothing) {
  kv_server s(GetParam());
  const client slow(s.at()), publisher(s.at());
  EXPECT_REPLY(slow, "SUBSCRIBE c", "*3\r\n" + bulk("subscribe") + bulk("c") + ":1\r\n");
  const std::string megabyte =
      "*3\r\n" + bulk("PUBLISH") + bulk("c") + bulk(std::string(1'000'000, 'x'));
  std::string listeners = ":1\r";
  for (int i = 0; i < 200 && listeners == ":1\r"; ++i) {
    publisher.say(megabyte);
    listeners = publisher.line();
  }
  EXPECT_EQ(listeners, ":0\r");
  s.end();
}

TEST_P(kv_on, a_request_that_is_too_large_ends_its_connection) {
  kv_server s(GetParam(), {"--client-query-buffer-limit", "1mb"});
  const client c(s.at()), other(s.at());
  c.say("PING\r\n*2\r\n$4\r\nECHO\r\n$5000000\r\n" + std::string(2'000'000, 'x'));
  EXPECT_EQ(c.hear(8), "+PONG\r\n");
  EXPECT_REPLY(other, "PING", "+PONG\r\n");
  s.end();
}

TEST_P(kv_on, a_value_does_not_grow_beyond_its_limit) {
  kv_server s(GetParam(), {"--proto-max-bulk-len", "10"});
  const client c(s.at());
  EXPECT_REPLY(c, "APPEND a 1234567890", ":10\r\n");
  EXPECT_REPLY(c, "APPEND a 1",
               "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n");
  EXPECT_REPLY(c, "GET a", bulk("1234567890"));
  EXPECT_REPLY(c, "*1\r\n$11", "-ERR Protocol error: invalid bulk length\r\n");
  s.end();
}

TEST_P(kv_on, connections_have_numbers_and_names) {
  kv_server s(GetParam());
  const client one(s.at());
  EXPECT_REPLY(one, "CLIENT ID", ":1\r\n");
  const client two(s.at());
  EXPECT_REPLY(two, "CLIENT ID", ":2\r\n");
  EXPECT_REPLY(one, "CLIENT GETNAME", "$-1\r\n");
  EXPECT_REPLY(one, "CLIENT SETNAME me", "+OK\r\n");
  EXPECT_REPLY(one, "CLIENT GETNAME", bulk("me"));
  EXPECT_REPLY(two, "CLIENT GETNAME", "$-1\r\n");
  EXPECT_REPLY(two, "CLIENT SETINFO lib-name mine", "+OK\r\n");
  s.end();
}

TEST_P(kv_on, tells_who_is_connected) {
  kv_server s(GetParam());
  const client one(s.at());
  EXPECT_REPLY(one, "CLIENT SETNAME me", "+OK\r\n");
  const client two(s.at());
  EXPECT_REPLY(two, "SUBSCRIBE c", "*3\r\n" + bulk("subscribe") + bulk("c") + ":1\r\n");
  const auto ends = [&](const client& c) {
    return " addr=" + bound_address(c.socket()).to_string() + " laddr=" + s.at().to_string() + ' ';
  };
  const std::string info = ask_bulk(one, "CLIENT INFO");
  expect_in(info, "id=1" + ends(one));
  expect_in(info, " name=me ");
  expect_in(info, " flags=N db=0 sub=0 resp=2\n");
  const std::string list = ask_bulk(one, "CLIENT LIST");
  EXPECT_EQ(times("\n", list), 2u);
  EXPECT_EQ(list.find(info), 0u) << list;
  expect_in(list, "\nid=2" + ends(two));
  expect_in(list, " flags=P db=0 sub=1 resp=2\n");
  s.end();
}

TEST_P(kv_on, info_has_what_tools_look_for) {
  kv_server s(GetParam(), {"--maxmemory", "1gb", "--maxmemory-policy", "allkeys-lru"});
  const client c(s.at()), idle(s.at());
  EXPECT_REPLY(c, "MSET a 1 b 2 c 3", "+OK\r\n");
  EXPECT_REPLY(c, "EXPIRE a 1000", ":1\r\n");
  EXPECT_REPLY(c, "GET nothing", "$-1\r\n");
  EXPECT_REPLY(idle, "PING", "+PONG\r\n");
  const std::string info = ask_bulk(c, "INFO");
  for (const std::string field :
       {"# Server", "redis_version:7.0.15", "redis_mode:standalone", "# Clients",
        "connected_clients:2", "# Memory", "maxmemory:1073741824", "maxmemory_policy:allkeys-lru",
        "# Stats", "total_connections_received:2", "evicted_keys:0", "expired_keys:0",
        "# Replication", "role:master", "# Keyspace", "db0:keys=3,expires=1,avg_ttl=0"}) {
    expect_in("\r\n" + info, "\r\n" + field + "\r\n");
  }
  expect_in(info, "\r\ntcp_port:" + s.port() + "\r\n");
  for (const std::string field : {"uptime_in_seconds:", "used_memory:", "keyspace_hits:"}) {
    expect_in(info, "\r\n" + field);
  }
  EXPECT_EQ(ask_bulk(c, "INFO replication"), "# Replication\r\nrole:master\r\n");
  EXPECT_EQ(ask_bulk(c, "INFO nothing"), "");
  s.end();
}

TEST(kv_commands, are_counted_and_described) {
  kv_server s("1");
  const client c(s.at());
  c.say("COMMAND COUNT\r\nCOMMAND\r\nPING end\r\n");
  const std::string count = c.line().substr(1);
  EXPECT_EQ(c.line(), '*' + count);
  const auto hear_until_end = [&] {
    for (std::string line; (line = c.line()) != "end\r" && !line.empty();) continue;
  };
  hear_until_end();
  const std::string rest = "*0\r\n*0\r\n*0\r\n*0\r\n";
  EXPECT_REPLY(c, "COMMAND INFO get foo MSET",
               "*3\r\n*10\r\n" + bulk("get") + ":2\r\n*1\r\n+readonly\r\n:1\r\n:1\r\n:1\r\n" +
                   rest + "$-1\r\n*10\r\n" + bulk("mset") +
                   ":-3\r\n*2\r\n+write\r\n+denyoom\r\n:1\r\n:-1\r\n:2\r\n" + rest);
  EXPECT_REPLY(c, "COMMAND DOCS get", "*0\r\n");
  s.end();
}

TEST(kv_commands, with_parts_tell_them) {
  kv_server s("1");
  const client c(s.at());
  EXPECT_REPLY(c, "client help",
               "*8\r\n+CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:\r\n+ID\r\n"
               "+GETNAME\r\n+SETNAME\r\n+SETINFO\r\n+INFO\r\n+LIST\r\n+HELP\r\n");
  for (const std::string name : {"CLIENT", "CONFIG", "COMMAND"}) {
    EXPECT_REPLY(c, name + " FOO", "-ERR unknown subcommand 'FOO'. Try " + name + " HELP.\r\n");
    c.say(name + " HELP\r\nPING\r\n");
    std::string line = c.line();
    EXPECT_EQ(line[0], '*') << line;
    while ((line = c.line()) != "+PONG\r" && !line.empty()) continue;
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

/// What a tool of Redis says, started with these words and what it shall read.
std::string output_of(program::words command, const std::string& input = "") {
  program tool(std::move(command));
  tool.write(input);
  tool.end_input();
  std::string text = tool.output();
  EXPECT_EQ(tool.errors(), "");
  EXPECT_EQ(tool.wait(), 0);
  return text;
}

TEST_P(kv_on, redis_cli_talks_to_it) {
  if (!installed("redis-cli")) GTEST_SKIP() << "redis-cli is not installed";
  kv_server s(GetParam());
  EXPECT_EQ(output_of({"redis-cli", "-p", s.port(), "set", "greeting", "two words"}), "OK\n");
  EXPECT_EQ(output_of({"redis-cli", "-p", s.port(), "-3", "get", "greeting"}), "two words\n");
  EXPECT_EQ(output_of({"redis-cli", "-p", s.port()}, "incr n\nincr n\nget nothing\n"), "1\n2\n\n");
  EXPECT_EQ(output_of({"redis-cli", "-p", s.port(), "--scan", "--pattern", "g*"}), "greeting\n");
  expect_in(output_of({"redis-cli", "-p", s.port(), "--bigkeys"}), "Sampled 2 keys");
  expect_in(output_of({"redis-cli", "-p", s.port(), "--pipe"}, "SET a b\r\nDBSIZE\r\n"),
            "errors: 0, replies: 2");
  s.end();
}

TEST_P(kv_on, redis_benchmark_loads_it) {
  if (!installed("redis-benchmark")) GTEST_SKIP() << "redis-benchmark is not installed";
  kv_server s(GetParam());
  const client c(s.at());
  for (const std::string pipeline : {"1", "16"}) {
    const std::string table =
        output_of({"redis-benchmark", "-p", s.port(), "-t", "ping,set,get,incr,mset", "-n", "800",
                   "-c", "10", "-P", pipeline, "--csv"});
    EXPECT_EQ(times("\n", table), 7u) << table;  // ping is measured twice, below the head
    EXPECT_EQ(ask_bulk(c, "GET counter:__rand_int__"), "800");
    EXPECT_REPLY(c, "DEL counter:__rand_int__", ":1\r\n");
    EXPECT_REPLY(c, "STRLEN key:__rand_int__", ":3\r\n");
  }
  s.end();
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
      {{"--proto-max-bulk-len", "x"}, "--proto-max-bulk-len needs a number of bytes"},
      {{"--client-query-buffer-limit"}, "--client-query-buffer-limit needs a number of bytes"},
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
