// PUBLISH, SUBSCRIBE, UNSUBSCRIBE.

#include "../channels.hpp"

#include "../session.hpp"
#include "commands.hpp"

#include <cstddef>
#include <functional>
#include <optional>
#include <set>
#include <string>

namespace kv {

namespace {

void confirm(session& self, std::string_view what, std::optional<std::string_view> name) {
  reply_writer reply = self.reply();
  reply.push(3);
  reply.bulk(what);
  name ? reply.bulk(*name) : reply.null();
  reply.integer(self.subscriptions());
}

void subscribe(session& self, arguments words) {
  for (const std::string_view name : words.subspan(1)) {
    self.here().channels.add(self.listener(), name);
    confirm(self, "subscribe", name);
  }
  self.push_replies();
}

void leave(session& self, std::string_view name) {
  if (self.subscriptions() > 0) self.here().channels.remove(self.listener(), name);
  confirm(self, "unsubscribe", name);
}

void unsubscribe(session& self, arguments words) {
  if (words.size() == 1) {
    const auto names =
        self.subscriptions() > 0 ? self.listener().names : std::set<std::string, std::less<>>{};
    for (const std::string& name : names) leave(self, name);
    if (names.empty()) confirm(self, "unsubscribe", {});
  } else {
    for (const std::string_view name : words.subspan(1)) leave(self, name);
  }
  self.push_replies();
}

corespun::task<> publish(session& self, arguments words) {
  const auto here = [name = words[1], message = words[2]](shard& s) {
    return s.channels.publish(name, message);
  };
  auto publishing = self.server().shards.map_reduce(here, std::size_t{0}, std::plus{});
  self.reply().integer(co_await std::move(publishing));
}

constexpr command entries[] = {
    {.name = "subscribe", .arity = -2, .in_subscriber = true, .at_once = subscribe},
    {.name = "unsubscribe", .arity = -1, .in_subscriber = true, .at_once = unsubscribe},
    {.name = "publish", .arity = 3, .on_server = publish},
};

}  // namespace

const std::span<const command> channel_commands = entries;

}  // namespace kv
