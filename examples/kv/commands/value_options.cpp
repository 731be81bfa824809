#include "value_options.hpp"

#include "../text.hpp"

#include <algorithm>
#include <array>

namespace kv {

namespace {

using lifetime = value_options::lifetime;

constexpr std::array<lifetime, 4> with_time{{{"ex", true, unit::s, from::now},
                                             {"px", true, unit::ms, from::now},
                                             {"exat", true, unit::s, from::epoch},
                                             {"pxat", true, unit::ms, from::epoch}}};
constexpr lifetime keepttl{"keepttl", false};
constexpr lifetime persist{"persist", false};

const lifetime* find_lifetime(std::string_view word, const lifetime& own) {
  if (is_word(word, own.word)) return &own;
  const auto found =
      std::ranges::find_if(with_time, [&](const lifetime& l) { return is_word(word, l.word); });
  return found == with_time.end() ? nullptr : &*found;
}

bool take_condition(std::string_view word, value_options& o) {
  if (is_word(word, "nx") && !o.only_there) return o.only_new = true;
  if (is_word(word, "xx") && !o.only_new) return o.only_there = true;
  if (is_word(word, "get")) return o.get = true;
  return false;
}

/// Two lifetimes do not go together; of the same one the last time counts.
bool take_lifetime(const shard_call& call, std::size_t& i, const lifetime& own, value_options& o) {
  const lifetime* const found = find_lifetime(call.words[i], own);
  if (found == nullptr || (o.life != nullptr && o.life != found)) return false;
  if (found->has_time) {
    if (++i == call.words.size()) return false;
    o.time = call.words[i];
  }
  o.life = found;
  return true;
}

}  // namespace

std::optional<value_options> parse_set_options(shard_call& call, std::size_t first) {
  value_options o;
  for (std::size_t i = first; i < call.words.size(); ++i) {
    if (!take_condition(call.words[i], o) && !take_lifetime(call, i, keepttl, o)) {
      reply_syntax_error(call.reply);
      return {};
    }
  }
  return o;
}

std::optional<value_options> parse_getex_options(shard_call& call, std::size_t first) {
  value_options o;
  for (std::size_t i = first; i < call.words.size(); ++i) {
    if (!take_lifetime(call, i, persist, o)) {
      reply_syntax_error(call.reply);
      return {};
    }
  }
  return o;
}

std::optional<unix_ms> deadline_or_error(const value_options& o, shard_call& call) {
  if (o.life == nullptr || !o.life->has_time) return never;
  return deadline_or_error(o.time, o.life->in, o.life->base, call);
}

}  // namespace kv
