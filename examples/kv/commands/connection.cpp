// PING, HELLO and what else concerns one connection.

#include "../session.hpp"
#include "../text.hpp"
#include "commands.hpp"

#include <string>

namespace kv {

namespace {

constexpr std::string_view wrong_password =
    "WRONGPASS invalid username-password pair or user is disabled.";

void ping(session& self, arguments words) {
  reply_writer reply = self.reply();
  if (words.size() > 2) return reply.error("ERR wrong number of arguments for 'ping' command");
  if (self.subscriptions() > 0 && self.protocol() == 2) {
    reply.array(2);
    reply.bulk("pong");
    return reply.bulk(words.size() == 2 ? words[1] : "");
  }
  words.size() == 2 ? reply.bulk(words[1]) : reply.simple("PONG");
}

void echo(session& self, arguments words) { self.reply().bulk(words[1]); }

/// There is one user, default, and any password is right.
bool is_user(std::string_view name) { return name == "default"; }

void auth(session& self, arguments words) {
  reply_writer reply = self.reply();
  if (words.size() > 3) return reply_syntax_error(reply);
  if (words.size() == 2) {
    return reply.error(
        "ERR AUTH <password> called without any password configured for the default user. Are you "
        "sure your configuration is correct?");
  }
  is_user(words[1]) ? reply.ok() : reply.error(wrong_password);
}

/// Each option takes effect when it is read, also if a later one is wrong.
bool take_hello_options(session& self, arguments words, reply_writer& reply) {
  for (std::size_t i = 2; i < words.size(); ++i) {
    const std::size_t more = words.size() - 1 - i;
    if (is_word(words[i], "auth") && more >= 2) {
      if (!is_user(words[i + 1])) {
        reply.error(wrong_password);
        return false;
      }
      i += 2;
    } else if (is_word(words[i], "setname") && more >= 1) {
      if (!is_client_name(words[++i], reply)) return false;
      self.set_name(words[i]);
    } else {
      reply.error("ERR Syntax error in HELLO option '" + std::string(words[i]) + "'");
      return false;
    }
  }
  return true;
}

void hello(session& self, arguments words) {
  reply_writer before = self.reply();
  int protocol = self.protocol();
  if (words.size() > 1) {
    const auto n = to_integer(words[1]);
    if (!n) return before.error("ERR Protocol version is not an integer or out of range");
    if (*n != 2 && *n != 3) return before.error("NOPROTO unsupported protocol version");
    protocol = static_cast<int>(*n);
  }
  if (!take_hello_options(self, words, before)) return;
  self.use_protocol(protocol);
  reply_writer reply = self.reply();
  reply.map(7);
  reply.bulk("server");
  reply.bulk("redis");  // whose answers these are; clients look for it
  reply.bulk("version");
  reply.bulk(redis_version);
  reply.bulk("proto");
  reply.integer(std::int64_t{self.protocol()});
  reply.bulk("id");
  reply.integer(self.id());
  reply.bulk("mode");
  reply.bulk("standalone");
  reply.bulk("role");
  reply.bulk("master");
  reply.bulk("modules");
  reply.array(0);
}

void select(session& self, arguments words) {
  reply_writer reply = self.reply();
  const auto n = integer_or_error(words[1], reply);
  if (!n) return;
  *n == 0 ? reply.ok() : reply.error("ERR DB index is out of range");
}

void quit(session& self, arguments) {
  self.reply().ok();
  self.close();
}

void reset(session& self, arguments) {
  if (self.subscriptions() > 0) self.here().channels.remove_all(self.listener());
  self.use_protocol(2);
  self.set_name({});
  self.reply().simple("RESET");
}

constexpr command entries[] = {
    {.name = "ping", .arity = -1, .in_subscriber = true, .at_once = ping},
    {.name = "echo", .arity = 2, .at_once = echo},
    {.name = "auth", .arity = -2, .at_once = auth},
    {.name = "hello", .arity = -1, .at_once = hello},
    {.name = "select", .arity = 2, .at_once = select},
    {.name = "quit", .arity = -1, .in_subscriber = true, .at_once = quit},
    {.name = "reset", .arity = 1, .in_subscriber = true, .at_once = reset},
};

}  // namespace

const std::span<const command> connection_commands = entries;

}  // namespace kv
