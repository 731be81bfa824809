#pragma once
// stalls: which messages make the server compute before it answers, and for how long. The message
// says so in its first four bytes, little-endian, in µs. The pick is pseudo-random and the same in
// each run.

#include <cstdint>

#include "protocol.hpp"

namespace load {

class stalls {
 public:
  stalls(double percent, std::uint32_t us) : share_(percent / 100), us_(us) {}

  /// 0 for the first message of a connection, which measures the connecting.
  [[nodiscard]] std::uint32_t us_of(const stream& s, std::uint64_t message) const noexcept {
    if (message == s.greeting) return 0;
    const auto random = mixed(std::uint64_t{s.number} << 40 ^ message);
    return static_cast<double>(random >> 11) * 0x1p-53 < share_ ? us_ : 0;
  }

 private:
  /// The finalizer of splitmix64: each bit of the input changes half of the output.
  static constexpr std::uint64_t mixed(std::uint64_t x) noexcept {
    x += 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
  }

  double share_;
  std::uint32_t us_;
};

}  // namespace load
