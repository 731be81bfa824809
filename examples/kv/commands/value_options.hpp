#pragma once
// value_options: the words behind SET key value and GETEX key.

#include "../command.hpp"
#include "../expiry.hpp"

#include <cstddef>
#include <optional>
#include <string_view>

namespace kv {

struct value_options {
  /// How the deadline is set.
  struct lifetime {
    std::string_view word;
    bool has_time;
    unit in = unit::ms;
    from base = from::now;
  };

  bool only_new = false;    // NX
  bool only_there = false;  // XX
  bool get = false;
  const lifetime* life = nullptr;  // none: a set key gets no deadline, a read one keeps its own
  std::string_view time;

  [[nodiscard]] bool is(std::string_view word) const {
    return life != nullptr && life->word == word;
  }
};

/// From word `first` on. Empty: that has been said.
std::optional<value_options> parse_set_options(shard_call& call, std::size_t first);
std::optional<value_options> parse_getex_options(shard_call& call, std::size_t first);

/// The deadline that they ask for. Empty: the time is none; that has been said.
std::optional<unix_ms> deadline_or_error(const value_options& options, shard_call& call);

}  // namespace kv
