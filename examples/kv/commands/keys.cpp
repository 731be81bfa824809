// DEL, EXISTS, TYPE: keys, whatever their values.

#include "commands.hpp"

namespace kv {

namespace {

template <typename Fn>
void count(shard_call& call, Fn fn) {
  std::size_t n = 0;
  for (std::size_t i = 1; i < call.words.size(); ++i) {
    item* const found = call.data.find(call.key_at(i));
    if (found == nullptr) continue;
    fn(*found);
    ++n;
  }
  call.reply.integer(n);
}

void del(shard_call& call) {
  count(call, [&](item& i) { call.data.erase(i); });
}

void exists(shard_call& call) {
  count(call, [](item&) {});
}

void type(shard_call& call) {
  call.reply.simple(call.data.find(call.first) == nullptr ? "none" : "string");
}

constexpr keys all = keys::all;
constexpr joined sum = joined::sum;
constexpr command entries[] = {
    {.name = "del", .arity = -2, .keys = all, .writes = true, .joined = sum, .on_shard = del},
    {.name = "unlink", .arity = -2, .keys = all, .writes = true, .joined = sum, .on_shard = del},
    {.name = "exists", .arity = -2, .keys = all, .joined = sum, .on_shard = exists},
    {.name = "touch", .arity = -2, .keys = all, .joined = sum, .on_shard = exists},
    {.name = "type", .arity = 2, .keys = keys::first, .on_shard = type},
};

}  // namespace

const std::span<const command> key_commands = entries;

}  // namespace kv
