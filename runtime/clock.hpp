#pragma once
// clock: the one clock of corespun, and choose(): the one source of chance.
//
// Production reads CLOCK_MONOTONIC and takes the first of several equal choices. A simulation gives
// the runtime an oracle and then decides both, so that one seed replays a whole run.

#include <chrono>
#include <cstdint>

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

namespace detail {

/// Where in the runtime a choice is made. A trace of (site, choice) replays a run.
enum class site : std::uint8_t { next_task };

/// Decides what a machine would decide by chance. Called on the core's own thread only.
class oracle {
 public:
  virtual ~oracle() = default;
  [[nodiscard]] virtual clock::time_point now() noexcept = 0;
  /// A number below n.
  [[nodiscard]] virtual std::uint32_t choose(std::uint32_t n, site where) noexcept = 0;
};

}  // namespace detail
}  // namespace corespun
