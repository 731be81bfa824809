// KEYS, SCAN, DBSIZE, FLUSHALL: all keys of all cores.

#include "../glob.hpp"
#include "../session.hpp"
#include "../text.hpp"
#include "commands.hpp"

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace kv {

namespace {

using names = std::vector<std::string>;

names append(names all, names more) {
  all.insert(all.end(), std::move_iterator(more.begin()), std::move_iterator(more.end()));
  return all;
}

void reply_names(reply_writer reply, const names& all) {
  reply.array(all.size());
  for (const std::string& name : all) reply.bulk(name);
}

corespun::task<> keys_like(session& self, arguments words) {
  const auto of_shard = [pattern = words[1]](shard& s) {
    s.begin();
    names found;
    const auto keep = [&](const item& i) {
      if (matches(pattern, i.key)) found.push_back(i.key);
    };
    for (std::uint64_t place = 0; place != table::end;) place = s.data.visit(place, keep);
    return found;
  };
  auto asking = self.server().shards.map_reduce(of_shard, names{}, append);
  const names all = co_await std::move(asking);
  reply_names(self.reply(), all);
}

struct scan_options {
  std::uint64_t cursor = 0;
  std::size_t count = 10;
  std::string_view pattern = "*";
  bool strings = true;  // there are no others
};

/// As strtoul(3) reads it, which takes more than it should.
std::optional<std::uint64_t> to_cursor(const std::string& text) {
  char* end = nullptr;
  errno = 0;
  const std::uint64_t n = std::strtoull(text.c_str(), &end, 10);
  const bool blank = !text.empty() && (text[0] == ' ' || (text[0] >= '\t' && text[0] <= '\r'));
  if (blank || *end != '\0' || errno == ERANGE) return {};
  return n;
}

std::optional<scan_options> parse_scan(arguments words, reply_writer& reply) {
  const auto cursor = to_cursor(std::string(words[1]));
  if (!cursor) {
    reply.error("ERR invalid cursor");
    return {};
  }
  scan_options o;
  o.cursor = *cursor;
  for (std::size_t i = 2; i < words.size(); i += 2) {
    const bool has_value = i + 1 < words.size();
    if (has_value && is_word(words[i], "count")) {
      const auto n = integer_or_error(words[i + 1], reply);
      if (n && *n < 1) reply_syntax_error(reply);
      if (!n || *n < 1) return {};
      o.count = static_cast<std::size_t>(*n);
    } else if (has_value && is_word(words[i], "match")) {
      o.pattern = words[i + 1];
    } else if (has_value && is_word(words[i], "type")) {
      o.strings = is_word(words[i + 1], "string");
    } else {
      reply_syntax_error(reply);
      return {};
    }
  }
  return o;
}

struct scanned {
  std::uint64_t next = table::end;  // place
  std::size_t seen = 0;
  names found;
};

/// Goes on from a place until `count` keys have been seen, or ten times as many buckets.
scanned scan_shard(shard& s, std::uint64_t place, std::size_t count, std::string_view pattern) {
  s.begin();
  scanned result;
  std::size_t buckets = 0;
  do {
    place = s.data.visit(place, [&](const item& i) {
      ++result.seen;
      if (matches(pattern, i.key)) result.found.push_back(i.key);
    });
  } while (place != table::end && result.seen < count && ++buckets / 10 < count);
  result.next = place;
  return result;
}

/// The cursor is a place among those of all cores, so it says where to go on by itself.
corespun::task<> scan(session& self, arguments words) {
  reply_writer reply = self.reply();
  const auto o = parse_scan(words, reply);
  if (!o) co_return;
  const unsigned cores = corespun::this_core::count();
  std::uint64_t cursor = o->cursor;
  std::size_t seen = 0;
  names found;
  do {
    const std::uint64_t core = cursor >> 32;
    if (core >= cores) break;  // it has never been one
    const std::uint64_t place = cursor & 0xffffffff;
    auto asking = self.server().shards.on(static_cast<unsigned>(core), scan_shard, place,
                                          o->count - seen, o->pattern);
    scanned part = co_await std::move(asking);
    seen += part.seen;
    found = append(std::move(found), std::move(part.found));
    cursor = (core << 32) + part.next;
  } while (seen < o->count && (cursor & 0xffffffff) == 0);
  if (cursor >> 32 >= cores) cursor = 0;
  if (!o->strings) found.clear();
  reply.array(2);
  reply.bulk(std::to_string(cursor));
  reply_names(reply, found);
}

corespun::task<> dbsize(session& self, arguments) {
  const auto of_shard = [](shard& s) { return s.data.size(); };
  auto counting = self.server().shards.map_reduce(of_shard, std::size_t{0}, std::plus{});
  self.reply().integer(co_await std::move(counting));
}

corespun::task<> flush(session& self, arguments words) {
  reply_writer reply = self.reply();
  const bool right =
      words.size() == 1 ||
      (words.size() == 2 && (is_word(words[1], "sync") || is_word(words[1], "async")));
  if (!right) {
    reply_syntax_error(reply);
    co_return;
  }
  auto flushing = self.server().shards.on_all([](shard& s) { return s.clear(); });
  co_await std::move(flushing);
  reply.ok();
}

constexpr command entries[] = {
    {.name = "keys", .arity = 2, .on_server = keys_like},
    {.name = "scan", .arity = -2, .on_server = scan},
    {.name = "dbsize", .arity = 1, .on_server = dbsize},
    {.name = "flushall", .arity = -1, .writes = true, .on_server = flush},
    {.name = "flushdb", .arity = -1, .writes = true, .on_server = flush},
};

}  // namespace

const std::span<const command> keyspace_commands = entries;

}  // namespace kv
