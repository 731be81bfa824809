#pragma once
// key: the name of a value, and its place among all keys of the server.
//
// The hash of a key decides its place, a number of 64 bits: the upper half is the core that owns
// it, the lower half orders the keys of that core. SCAN goes through the places of all cores in
// order.

#include <cstdint>
#include <functional>
#include <string_view>

namespace kv {

struct key {
  std::string_view text;
  std::uint64_t place;

  [[nodiscard]] unsigned core() const { return static_cast<unsigned>(place >> 32); }
  [[nodiscard]] std::uint32_t on_core() const { return static_cast<std::uint32_t>(place); }
};

/// The product of 32 mixed bits and the number of cores: its upper half is below that number, all
/// cores alike (Lemire, "Fast Random Integer Generation in an Interval", 2019).
inline key locate(std::string_view text, unsigned cores) {
  const std::uint64_t hash = std::hash<std::string_view>{}(text);
  return {text, ((hash * 0x9e3779b97f4a7c15U) >> 32) * cores};
}

}  // namespace kv
