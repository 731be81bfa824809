// GET, SET and their kin.

#include "commands.hpp"
#include "value_options.hpp"

#include <string>

namespace kv {

namespace {

void reply_value(shard_call& call, const item* i) {
  i == nullptr ? call.reply.null() : call.reply.bulk(i->value);
}

void put(store& data, const key& k, item* there, std::string_view value, unix_ms deadline) {
  if (there != nullptr) {
    data.set(*there, value);
  } else {
    there = &data.insert(k, value);
  }
  data.expire_at(*there, deadline);
}

void get(shard_call& call) { reply_value(call, call.data.find(call.first)); }

void set(shard_call& call) {
  const auto o = parse_set_options(call, 3);
  if (!o) return;
  auto deadline = deadline_or_error(*o, call);
  if (!deadline) return;
  item* const there = call.data.find(call.first);
  if (o->get) reply_value(call, there);
  if (there != nullptr ? o->only_new : o->only_there) {
    if (!o->get) call.reply.null();
    return;
  }
  if (o->is("keepttl") && there != nullptr) deadline = there->expires;
  put(call.data, call.first, there, call.words[2], *deadline);
  if (!o->get) call.reply.ok();
}

void set_with_time(shard_call& call, unit in) {
  const auto deadline = deadline_or_error(call.words[2], in, from::now, call);
  if (!deadline) return;
  put(call.data, call.first, call.data.find(call.first), call.words[3], *deadline);
  call.reply.ok();
}
void setex(shard_call& call) { set_with_time(call, unit::s); }
void psetex(shard_call& call) { set_with_time(call, unit::ms); }

void setnx(shard_call& call) {
  const bool there = call.data.find(call.first) != nullptr;
  if (!there) call.data.insert(call.first, call.words[2]);
  call.reply.integer(!there);
}

void getdel(shard_call& call) {
  item* const i = call.data.find(call.first);
  reply_value(call, i);
  if (i != nullptr) call.data.erase(*i);
}

void getex(shard_call& call) {
  const auto o = parse_getex_options(call, 2);
  if (!o) return;
  item* const i = call.data.find(call.first);
  if (i == nullptr) return call.reply.null();
  const auto deadline = deadline_or_error(*o, call);
  if (!deadline) return;
  call.reply.bulk(i->value);
  if (o->life == nullptr) return;
  if (*deadline <= call.data.now()) {
    call.data.erase(*i);
  } else {
    call.data.expire_at(*i, *deadline);
  }
}

void mget(shard_call& call) {
  call.reply.array(call.words.size() - 1);
  for (std::size_t i = 1; i < call.words.size(); ++i) {
    reply_value(call, call.data.find(call.key_at(i)));
  }
}

void mset(shard_call& call) {
  for (std::size_t i = 1; i < call.words.size(); i += 2) {
    const key k = call.key_at(i);
    put(call.data, k, call.data.find(k), call.words[i + 1], never);
  }
  call.reply.ok();
}

void append(shard_call& call) {
  item* i = call.data.find(call.first);
  const std::string_view more = call.words[2];
  if (i == nullptr) {
    i = &call.data.insert(call.first, more);
  } else if (!call.data.append(*i, more)) {
    return call.reply.error("ERR string exceeds maximum allowed size (proto-max-bulk-len)");
  }
  call.reply.integer(i->value.size());
}

void strlen(shard_call& call) {
  const item* const i = call.data.find(call.first);
  call.reply.integer(i == nullptr ? 0 : i->value.size());
}

constexpr keys one = keys::first;
constexpr command entries[] = {
    {.name = "get", .arity = 2, .keys = one, .on_shard = get},
    {.name = "set", .arity = -3, .keys = one, .writes = true, .adds = true, .on_shard = set},
    {.name = "setex", .arity = 4, .keys = one, .writes = true, .adds = true, .on_shard = setex},
    {.name = "psetex", .arity = 4, .keys = one, .writes = true, .adds = true, .on_shard = psetex},
    {.name = "setnx", .arity = 3, .keys = one, .writes = true, .adds = true, .on_shard = setnx},
    {.name = "getdel", .arity = 2, .keys = one, .writes = true, .on_shard = getdel},
    {.name = "getex", .arity = -2, .keys = one, .writes = true, .on_shard = getex},
    {.name = "mget", .arity = -2, .keys = keys::all, .joined = joined::elements, .on_shard = mget},
    {.name = "mset",
     .arity = -3,
     .keys = keys::every_other,
     .writes = true,
     .adds = true,
     .joined = joined::any,
     .on_shard = mset},
    {.name = "append", .arity = 3, .keys = one, .writes = true, .adds = true, .on_shard = append},
    {.name = "strlen", .arity = 2, .keys = one, .on_shard = strlen},
};

}  // namespace

const std::span<const command> string_commands = entries;

}  // namespace kv
