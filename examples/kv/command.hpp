#pragma once
// command: what the server can do, one entry for each. The entries stand in commands/.

#include "key.hpp"
#include "reply.hpp"
#include "request.hpp"
#include "store.hpp"

#include <corespun/runtime/task.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace kv {

class session;
struct command;

/// A request on a shard that owns its keys, or the part of one for the keys that it owns.
struct shard_call {
  const command& what;
  store& data;
  reply_writer& reply;
  arguments words;
  key first;  // words[1]
  unsigned cores;

  [[nodiscard]] key key_at(std::size_t i) const { return locate(words[i], cores); }
};

/// The Redis whose answers these are.
inline constexpr std::string_view redis_version = "7.0.15";

/// Which words behind the name are keys.
enum class keys { none, first, all, every_other };

/// How the replies of several shards become one.
enum class joined { never, sum, any, elements };

/// Of on_shard, at_once and on_server, one is there.
struct command {
  std::string_view name;  // "get"; "client|id" for what is a part of "client"
  int arity;              // words, the name is one; negative: at least
  kv::keys keys = keys::none;
  bool writes = false;
  bool adds = false;  // refused when memory is full
  bool in_subscriber = false;  // allowed while subscribed in RESP2
  kv::joined joined = joined::never;

  /// A function of one shard; it does not wait.
  void (*on_shard)(shard_call&) = nullptr;
  /// Concerns the connection alone.
  void (*at_once)(session&, arguments) = nullptr;
  /// May ask all shards, after all that came before it has been done.
  corespun::task<> (*on_server)(session&, arguments) = nullptr;

  std::span<const command> parts = {};  // the next word chooses
};

/// The command of a request with the right number of words; if there is none, says so and returns
/// nullptr.
const command* find_command(arguments words, reply_writer reply);

/// All, without their parts.
std::span<const command* const> all_commands();
/// nullptr: there is none.
const command* find_whole(std::string_view name);

/// Executes it on the shard, unless memory is full.
void execute(const command& what, store& data, arguments words, const key& first, unsigned cores,
             reply_writer reply);

// --- replies that many commands give ---

void reply_wrong_arity(const command& what, reply_writer& reply);
void reply_syntax_error(reply_writer& reply);
/// Empty if it is none; then that has been said.
std::optional<std::int64_t> integer_or_error(std::string_view word, reply_writer& reply);

/// Whether a connection may call itself so; if not, says so.
bool is_client_name(std::string_view text, reply_writer& reply);

}  // namespace kv
