// EXPIRE, TTL and their kin.

#include "../expiry.hpp"

#include "../text.hpp"
#include "commands.hpp"

#include <string>

namespace kv {

namespace {

/// When EXPIRE changes a deadline.
struct condition {
  bool nx = false, xx = false, gt = false, lt = false;

  [[nodiscard]] bool allows(unix_ms before, unix_ms after) const {
    if (nx && before != never) return false;
    if ((xx || gt) && before == never) return false;
    return !(gt && after <= before) && !(lt && after >= before);
  }
};

std::optional<condition> parse_condition(shard_call& call) {
  condition c;
  for (const std::string_view word : call.words.subspan(3)) {
    bool* const known = is_word(word, "nx")   ? &c.nx
                        : is_word(word, "xx") ? &c.xx
                        : is_word(word, "gt") ? &c.gt
                        : is_word(word, "lt") ? &c.lt
                                              : nullptr;
    if (known == nullptr) {
      call.reply.error("ERR Unsupported option " + std::string(word));
      return {};
    }
    *known = true;
  }
  if (c.nx && (c.xx || c.gt || c.lt)) {
    call.reply.error("ERR NX and XX, GT or LT options at the same time are not compatible");
    return {};
  }
  if (c.gt && c.lt) {
    call.reply.error("ERR GT and LT options at the same time are not compatible");
    return {};
  }
  return c;
}

void expire(shard_call& call, unit in, from base) {
  const auto allowed = parse_condition(call);
  if (!allowed) return;
  const auto deadline = any_deadline_or_error(call.words[2], in, base, call);
  if (!deadline) return;
  item* const i = call.data.find(call.first);
  if (i == nullptr || !allowed->allows(i->expires, *deadline)) return call.reply.integer(false);
  if (*deadline <= call.data.now()) {
    call.data.erase(*i);
  } else {
    call.data.expire_at(*i, *deadline);
  }
  call.reply.integer(true);
}
void expire(shard_call& call) { expire(call, unit::s, from::now); }
void pexpire(shard_call& call) { expire(call, unit::ms, from::now); }
void expireat(shard_call& call) { expire(call, unit::s, from::epoch); }
void pexpireat(shard_call& call) { expire(call, unit::ms, from::epoch); }

void reply_deadline(shard_call& call, unit in, from base) {
  const item* const i = call.data.find(call.first);
  if (i == nullptr) return call.reply.integer(std::int64_t{-2});
  if (i->expires == never) return call.reply.integer(std::int64_t{-1});
  const unix_ms ms = i->expires - (base == from::now ? call.data.now() : 0);
  call.reply.integer(in == unit::ms ? ms : (ms + 500) / 1000);
}
void ttl(shard_call& call) { reply_deadline(call, unit::s, from::now); }
void pttl(shard_call& call) { reply_deadline(call, unit::ms, from::now); }
void expiretime(shard_call& call) { reply_deadline(call, unit::s, from::epoch); }
void pexpiretime(shard_call& call) { reply_deadline(call, unit::ms, from::epoch); }

void persist(shard_call& call) {
  item* const i = call.data.find(call.first);
  const bool had_one = i != nullptr && i->expires != never;
  if (had_one) call.data.expire_at(*i, never);
  call.reply.integer(had_one);
}

constexpr keys one = keys::first;
constexpr command entries[] = {
    {.name = "expire", .arity = -3, .keys = one, .writes = true, .on_shard = expire},
    {.name = "pexpire", .arity = -3, .keys = one, .writes = true, .on_shard = pexpire},
    {.name = "expireat", .arity = -3, .keys = one, .writes = true, .on_shard = expireat},
    {.name = "pexpireat", .arity = -3, .keys = one, .writes = true, .on_shard = pexpireat},
    {.name = "ttl", .arity = 2, .keys = one, .on_shard = ttl},
    {.name = "pttl", .arity = 2, .keys = one, .on_shard = pttl},
    {.name = "expiretime", .arity = 2, .keys = one, .on_shard = expiretime},
    {.name = "pexpiretime", .arity = 2, .keys = one, .on_shard = pexpiretime},
    {.name = "persist", .arity = 2, .keys = one, .writes = true, .on_shard = persist},
};

}  // namespace

const std::span<const command> expiry_commands = entries;

}  // namespace kv
