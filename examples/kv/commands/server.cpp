// INFO, CONFIG, COMMAND: what tools ask a server.

#include "../server.hpp"

#include "../glob.hpp"
#include "../session.hpp"
#include "../text.hpp"
#include "commands.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace kv {

namespace {

/// Sums over all shards.
struct census {
  std::size_t clients = 0, keys = 0, with_deadline = 0, bytes = 0;
  store::statistics stats;
};

census count(shard& s) {
  return {s.sessions.size(), s.data.size(), s.data.with_deadline(), s.data.bytes(), s.data.stats()};
}

census add(census a, const census& b) {
  a.clients += b.clients;
  a.keys += b.keys;
  a.with_deadline += b.with_deadline;
  a.bytes += b.bytes;
  a.stats.hits += b.stats.hits;
  a.stats.misses += b.stats.misses;
  a.stats.expired += b.stats.expired;
  a.stats.evicted += b.stats.evicted;
  return a;
}

/// The sections of INFO that somebody asked for.
class info_text {
 public:
  explicit info_text(arguments wanted) : wanted_(wanted) {}

  /// Whether the lines that follow are wanted.
  bool begin(std::string_view section) {
    const auto names_it = [&](std::string_view word) {
      return is_word(word, "all") || is_word(word, "default") || is_word(word, "everything") ||
             std::ranges::equal(word, section, {}, to_lower, to_lower);
    };
    if (!wanted_.empty() && std::ranges::none_of(wanted_, names_it)) return false;
    if (!text_.empty()) text_ += "\r\n";
    text_ += "# " + std::string(section) + "\r\n";
    return true;
  }
  void line(std::string_view name, const std::string& value) {
    text_ += std::string(name) + ':' + value + "\r\n";
  }
  void line(std::string_view name, std::uint64_t value) { line(name, std::to_string(value)); }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  arguments wanted_;
  std::string text_;
};

corespun::task<> info(session& self, arguments words) {
  server& all = self.server();
  auto counting = all.shards.map_reduce(count, census{}, add);
  const census sum = co_await std::move(counting);
  info_text out(words.subspan(1));
  if (out.begin("Server")) {
    out.line("redis_version", std::string(redis_version));
    out.line("redis_mode", "standalone");
    out.line("multiplexing_api", corespun::this_core::driver_name());
    out.line("cores", corespun::this_core::count());
    out.line("tcp_port", self.port());
    out.line("uptime_in_seconds", static_cast<std::uint64_t>(unix_now() - all.started) / 1000);
  }
  if (out.begin("Clients")) out.line("connected_clients", sum.clients);
  if (out.begin("Memory")) {
    out.line("used_memory", sum.bytes);
    out.line("maxmemory", all.settings.memory.max_bytes);
    out.line("maxmemory_policy", std::string(policy_name(all.settings.memory.policy)));
  }
  if (out.begin("Stats")) {
    out.line("total_connections_received", all.last_client.load(std::memory_order_relaxed));
    out.line("expired_keys", sum.stats.expired);
    out.line("evicted_keys", sum.stats.evicted);
    out.line("keyspace_hits", sum.stats.hits);
    out.line("keyspace_misses", sum.stats.misses);
  }
  if (out.begin("Replication")) out.line("role", "master");
  if (out.begin("Keyspace") && sum.keys > 0) {
    out.line("db0", "keys=" + std::to_string(sum.keys) +
                        ",expires=" + std::to_string(sum.with_deadline) + ",avg_ttl=0");
  }
  self.reply().verbatim(out.text());
}

void config_get(session& self, arguments words) {
  const settings& s = self.server().settings;
  const std::pair<std::string_view, std::string> all[] = {
      {"appendonly", "no"},
      {"client-query-buffer-limit", std::to_string(s.requests.bytes)},
      {"databases", "1"},
      {"maxmemory", std::to_string(s.memory.max_bytes)},
      {"maxmemory-policy", std::string(policy_name(s.memory.policy))},
      {"port", std::to_string(s.at.port())},
      {"proto-max-bulk-len", std::to_string(s.requests.word_bytes)},
      {"save", ""},
      {"timeout", "0"},
  };
  std::vector<std::pair<std::string_view, std::string>> found;
  for (const auto& [name, value] : all) {
    const auto fits = [&](std::string_view pattern) {
      std::string lower(pattern);
      std::ranges::transform(lower, lower.begin(), to_lower);
      return matches(lower, name);
    };
    const auto first = std::ranges::find_if(words.subspan(2), fits);
    if (first == words.end()) continue;
    found.emplace_back(is_word(*first, name) ? *first : name, value);  // a name as it was asked for
  }
  reply_writer reply = self.reply();
  reply.map(found.size());
  for (const auto& [name, value] : found) {
    reply.bulk(name);
    reply.bulk(value);
  }
}

void describe(const command& c, reply_writer& reply) {
  std::vector<std::string_view> flags;
  if (c.keys != keys::none) flags.push_back(c.writes ? "write" : "readonly");
  if (c.adds) flags.push_back("denyoom");
  if (c.in_subscriber) flags.push_back("pubsub");
  reply.array(10);
  reply.bulk(c.name);
  reply.integer(std::int64_t{c.arity});
  reply.set(flags.size());
  for (const std::string_view flag : flags) reply.simple(flag);
  const bool many = c.keys == keys::all || c.keys == keys::every_other;
  reply.integer(c.keys != keys::none);  // the first key, the last, and the way from one to the next
  reply.integer(std::int64_t{many ? -1 : c.keys != keys::none});
  reply.integer(std::int64_t{c.keys == keys::every_other ? 2 : c.keys != keys::none});
  reply.set(0);  // categories of access control
  reply.array(0);  // hints
  reply.array(0);  // where keys are, for commands that cannot say it by three numbers
  reply.array(c.parts.size());
  for (const command& part : c.parts) describe(part, reply);
}

void command_list(session& self, arguments) {
  reply_writer reply = self.reply();
  reply.array(all_commands().size());
  for (const command* const c : all_commands()) describe(*c, reply);
}

void command_count(session& self, arguments) { self.reply().integer(all_commands().size()); }

/// There is no text; tools then offer none.
void command_docs(session& self, arguments) { self.reply().map(0); }

void command_info(session& self, arguments words) {
  if (words.size() == 2) return command_list(self, words);
  reply_writer reply = self.reply();
  reply.array(words.size() - 2);
  for (const std::string_view name : words.subspan(2)) {
    const command* const found = find_whole(name);
    found == nullptr ? reply.null() : describe(*found, reply);
  }
}

constexpr command config_parts[] = {
    {.name = "config|get", .arity = -3, .at_once = config_get},
    {.name = "config|help", .arity = 2, .at_once = help},
};
constexpr command command_parts[] = {
    {.name = "command|count", .arity = 2, .at_once = command_count},
    {.name = "command|docs", .arity = -2, .at_once = command_docs},
    {.name = "command|help", .arity = 2, .at_once = help},
    {.name = "command|info", .arity = -2, .at_once = command_info},
};
constexpr command entries[] = {
    {.name = "info", .arity = -1, .on_server = info},
    {.name = "config", .arity = -2, .parts = config_parts},
    {.name = "command", .arity = -1, .at_once = command_list, .parts = command_parts},
};

}  // namespace

void help(session& self, arguments words) {
  const command& whole = *find_whole(words[0]);
  const std::string name = to_upper(whole.name);
  reply_writer reply = self.reply();
  reply.array(whole.parts.size() + 1);
  reply.simple(name + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
  for (const command& part : whole.parts) {
    reply.simple(to_upper(part.name.substr(name.size() + 1)));
  }
}

const std::span<const command> server_commands = entries;

}  // namespace kv
