#include "command.hpp"

#include "commands/commands.hpp"
#include "text.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <unordered_map>
#include <vector>

namespace kv {

namespace {

constexpr std::size_t longest_name = 16;

using index = std::unordered_map<std::string_view, const command*>;

const std::vector<const command*>& list() {
  static const std::vector<const command*> all = [] {
    std::vector<const command*> made;
    for (const auto& some :
         {string_commands, number_commands, expiry_commands, key_commands, keyspace_commands,
          connection_commands, client_commands, channel_commands, server_commands}) {
      for (const command& c : some) made.push_back(&c);
    }
    return made;
  }();
  return all;
}

const command* find_part(const command& whole, std::string_view word) {
  const auto is_it = [&](const command& c) {
    return is_word(word, c.name.substr(whole.name.size() + 1));
  };
  const auto found = std::ranges::find_if(whole.parts, is_it);
  return found == whole.parts.end() ? nullptr : &*found;
}

bool has_right_arity(const command& c, std::size_t words) {
  const auto wanted = static_cast<std::size_t>(std::abs(c.arity));
  return c.arity < 0 ? words >= wanted : words == wanted;
}

void reply_unknown(arguments words, reply_writer& reply) {
  constexpr std::size_t shown_bytes = 128;
  std::string shown;
  for (const std::string_view word : words.subspan(1)) {
    if (shown.size() >= shown_bytes) break;
    shown += '\'' + std::string(word.substr(0, shown_bytes - shown.size())) + "' ";
  }
  reply.error("ERR unknown command '" + std::string(words[0].substr(0, shown_bytes)) +
              "', with args beginning with: " + shown);
}

void reply_unknown_part(const command& whole, std::string_view word, reply_writer& reply) {
  reply.error("ERR unknown subcommand '" + std::string(word.substr(0, 128)) + "'. Try " +
              to_upper(whole.name) + " HELP.");
}

}  // namespace

const command* find_command(arguments words, reply_writer reply) {
  const command* found = find_whole(words[0]);
  if (found == nullptr) {
    reply_unknown(words, reply);
    return nullptr;
  }
  if (!found->parts.empty() && words.size() > 1) {
    const command* const part = find_part(*found, words[1]);
    if (part == nullptr) {
      reply_unknown_part(*found, words[1], reply);
      return nullptr;
    }
    found = part;
  }
  if (!has_right_arity(*found, words.size())) {
    reply_wrong_arity(*found, reply);
    return nullptr;
  }
  return found;
}

std::span<const command* const> all_commands() { return list(); }

const command* find_whole(std::string_view name) {
  static const index names = [] {
    index made;
    for (const command* const c : list()) made.emplace(c->name, c);
    return made;
  }();
  std::array<char, longest_name> lower;
  if (name.size() > lower.size()) return nullptr;
  std::ranges::transform(name, lower.begin(), to_lower);
  const auto found = names.find({lower.data(), name.size()});
  return found == names.end() ? nullptr : found->second;
}

void execute(const command& what, store& data, arguments words, const key& first, unsigned cores,
             reply_writer reply) {
  if (what.adds && !data.make_room()) {
    return reply.error("OOM command not allowed when used memory > 'maxmemory'.");
  }
  shard_call call{what, data, reply, words, first, cores};
  what.on_shard(call);
}

void reply_wrong_arity(const command& what, reply_writer& reply) {
  reply.error("ERR wrong number of arguments for '" + std::string(what.name) + "' command");
}

void reply_syntax_error(reply_writer& reply) { reply.error("ERR syntax error"); }

std::optional<std::int64_t> integer_or_error(std::string_view word, reply_writer& reply) {
  const auto n = to_integer(word);
  if (!n) reply.error("ERR value is not an integer or out of range");
  return n;
}

}  // namespace kv
