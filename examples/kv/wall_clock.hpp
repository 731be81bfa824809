#pragma once
// wall_clock: the time that deadlines of keys are written in.

#include <corespun/runtime/clock.hpp>

#include <chrono>
#include <cstdint>
#include <limits>

namespace kv {

/// Milliseconds since 1970, as clients say and read them.
using unix_ms = std::int64_t;
inline constexpr unix_ms never = std::numeric_limits<unix_ms>::max();

/// The wall clock is read once and goes on as corespun's clock does: somebody who sets it changes
/// no deadline, and in a simulation time is simulated.
inline unix_ms unix_now() {
  using std::chrono::milliseconds;
  const auto since = [](auto time) {
    return std::chrono::duration_cast<milliseconds>(time.time_since_epoch()).count();
  };
  static const unix_ms offset =
      since(std::chrono::system_clock::now()) - since(corespun::clock::now());
  return offset + since(corespun::clock::now());
}

}  // namespace kv
