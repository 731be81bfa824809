#pragma once
// clock: the one clock of corespun.
//
// Production reads CLOCK_MONOTONIC. A simulation (detail/simulation.hpp) has a clock of its own,
// which moves only when nothing can run.

#include <chrono>

namespace corespun {

struct clock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<clock>;
  static constexpr bool is_steady = true;

  /// On a core: the time of that core's runtime. Elsewhere: CLOCK_MONOTONIC.
  [[nodiscard]] static time_point now() noexcept;
};

}  // namespace corespun
