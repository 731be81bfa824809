#pragma once
// The suite: services and trees of tasks that are played in many simulated worlds, one per seed.
//
// A scenario builds its machines, lets things go wrong and says what must hold all the same. State
// that its tasks touch is shared with them, since they end after the scenario when that fails.

#include <corespun/io/sim.hpp>

#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>

namespace corespun::suite {

struct scenario {
  const char* name;
  const char* what;
  void (*play)(sim::world&);
  /// What some run must reach with sim::probe(), and none may reach more; at most 64.
  std::span<const char* const> probes;
};

extern const scenario echo;
extern const scenario chat;
extern const scenario timeouts;
extern const scenario scopes;
extern const scenario forks;
extern const scenario shards;

/// What a scenario promises.
inline void require(bool holds, const std::string& otherwise) {
  if (!holds) throw std::runtime_error(otherwise);
}

struct plan {
  std::uint64_t first = 1;
  std::uint64_t seeds = 200;
  unsigned jobs = 1;  ///< worker processes
};

/// Plays a scenario and prints its line of the table. False: a world went wrong, which was said on
/// stderr.
[[nodiscard]] bool play(const scenario& s, const plan& p);

}  // namespace corespun::suite
