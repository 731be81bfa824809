// CLIENT: what connections there are, and what they call themselves.

#include "../session.hpp"
#include "commands.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>

namespace kv {

bool is_client_name(std::string_view text, reply_writer& reply) {
  const bool right = std::ranges::all_of(text, [](char c) { return c >= '!' && c <= '~'; });
  if (!right) {
    reply.error("ERR Client names cannot contain spaces, newlines or special characters.");
  }
  return right;
}

namespace {

void id(session& self, arguments) { self.reply().integer(self.id()); }

void getname(session& self, arguments) {
  reply_writer reply = self.reply();
  self.name().empty() ? reply.null() : reply.bulk(self.name());
}

void setname(session& self, arguments words) {
  reply_writer reply = self.reply();
  if (!is_client_name(words[2], reply)) return;
  self.set_name(words[2]);
  reply.ok();
}

/// Libraries tell their names; Redis 7.0 does not know it, later versions do.
void setinfo(session& self, arguments) { self.reply().ok(); }

void info(session& self, arguments) { self.reply().verbatim(self.describe()); }

using lines = std::map<std::uint64_t, std::string>;

lines clients_of(shard& s) {
  lines all;
  for (const session* const client : s.sessions) all.emplace(client->id(), client->describe());
  return all;
}

corespun::task<> list(session& self, arguments words) {
  reply_writer reply = self.reply();
  if (words.size() > 2) {
    reply_syntax_error(reply);
    co_return;
  }
  const auto merge = [](lines all, lines more) {
    all.merge(more);
    return all;
  };
  auto asking = self.server().shards.map_reduce(clients_of, lines{}, merge);
  const lines all = co_await std::move(asking);
  std::string text;
  for (const auto& [id, line] : all) text += line;
  reply.verbatim(text);
}

constexpr command parts[] = {
    {.name = "client|id", .arity = 2, .at_once = id},
    {.name = "client|getname", .arity = 2, .at_once = getname},
    {.name = "client|setname", .arity = 3, .at_once = setname},
    {.name = "client|setinfo", .arity = 4, .at_once = setinfo},
    {.name = "client|info", .arity = 2, .at_once = info},
    {.name = "client|list", .arity = -2, .on_server = list},
    {.name = "client|help", .arity = 2, .at_once = help},
};
constexpr command entries[] = {{.name = "client", .arity = -2, .parts = parts}};

}  // namespace

const std::span<const command> client_commands = entries;

}  // namespace kv
