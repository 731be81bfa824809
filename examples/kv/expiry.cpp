#include "expiry.hpp"

#include <limits>
#include <string>

namespace kv {

namespace {

using numbers = std::numeric_limits<std::int64_t>;

}  // namespace

void reply_invalid_expire_time(shard_call& call) {
  call.reply.error("ERR invalid expire time in '" + std::string(call.what.name) + "' command");
}

std::optional<unix_ms> any_deadline_or_error(std::string_view word, unit in, from base,
                                             shard_call& call) {
  const auto n = integer_or_error(word, call.reply);
  if (!n) return {};
  const auto factor = static_cast<std::int64_t>(in);
  const unix_ms start = base == from::now ? call.data.now() : 0;
  if (*n > numbers::max() / factor || *n < numbers::min() / factor ||
      *n * factor > numbers::max() - start) {
    reply_invalid_expire_time(call);
    return {};
  }
  return start + *n * factor;
}

std::optional<unix_ms> deadline_or_error(std::string_view word, unit in, from base,
                                         shard_call& call) {
  const auto n = integer_or_error(word, call.reply);
  if (!n) return {};
  if (*n <= 0) {
    reply_invalid_expire_time(call);
    return {};
  }
  return any_deadline_or_error(word, in, base, call);
}

}  // namespace kv
