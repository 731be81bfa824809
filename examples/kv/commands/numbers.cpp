// INCR and its kin: a number is a string of digits.

#include "../text.hpp"
#include "commands.hpp"

#include <array>
#include <charconv>
#include <cstdint>
#include <limits>

namespace kv {

namespace {

void add(shard_call& call, std::int64_t n) {
  item* const i = call.data.find(call.first);
  std::int64_t sum = 0;
  if (i != nullptr) {
    const auto before = integer_or_error(i->value, call.reply);
    if (!before) return;
    sum = *before;
  }
  if (__builtin_add_overflow(sum, n, &sum)) {
    return call.reply.error("ERR increment or decrement would overflow");
  }
  std::array<char, 24> text;
  const char* const end = std::to_chars(text.data(), text.data() + text.size(), sum).ptr;
  const std::string_view value(text.data(), end);
  if (i != nullptr) {
    call.data.set(*i, value);
  } else {
    call.data.insert(call.first, value);
  }
  call.reply.integer(sum);
}

void incr(shard_call& call) { add(call, 1); }
void decr(shard_call& call) { add(call, -1); }

void incrby(shard_call& call) {
  if (const auto n = integer_or_error(call.words[2], call.reply)) add(call, *n);
}

void decrby(shard_call& call) {
  const auto n = integer_or_error(call.words[2], call.reply);
  if (!n) return;
  if (*n == std::numeric_limits<std::int64_t>::min()) {
    return call.reply.error("ERR decrement would overflow");
  }
  add(call, -*n);
}

constexpr keys one = keys::first;
constexpr command entries[] = {
    {.name = "incr", .arity = 2, .keys = one, .writes = true, .adds = true, .on_shard = incr},
    {.name = "decr", .arity = 2, .keys = one, .writes = true, .adds = true, .on_shard = decr},
    {.name = "incrby", .arity = 3, .keys = one, .writes = true, .adds = true, .on_shard = incrby},
    {.name = "decrby", .arity = 3, .keys = one, .writes = true, .adds = true, .on_shard = decrby},
};

}  // namespace

const std::span<const command> number_commands = entries;

}  // namespace kv
