#pragma once
// expiry: how commands say when a key shall end.

#include "command.hpp"

#include <cstdint>
#include <optional>

namespace kv {

enum class unit : std::int64_t { ms = 1, s = 1000 };
enum class from { now, epoch };

/// For SET and its kin: a time above zero. Empty if it is none; then that has been said.
std::optional<unix_ms> deadline_or_error(std::string_view word, unit in, from base,
                                         shard_call& call);

/// For EXPIRE and its kin: any time, also one that has passed.
std::optional<unix_ms> any_deadline_or_error(std::string_view word, unit in, from base,
                                             shard_call& call);

void reply_invalid_expire_time(shard_call& call);

}  // namespace kv
