#pragma once
// The suite: services and trees of tasks that are played in many simulated worlds, one per seed.
//
// A scenario builds its machines, lets things go wrong and says what must hold all the same. State
// that its tasks touch is shared with them, since they end after the scenario when that fails.

#include <corespun/io/sim.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
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

/// Plays rounds() on a machine of its own, of one to four cores; it says so when it has come to its
/// end.
inline void play_rounds(sim::world& w, task<> (*rounds)(std::shared_ptr<bool> ended)) {
  const auto ended = std::make_shared<bool>(false);
  (void)w.host("10.0.0.1", [rounds, ended] { return rounds(ended); }, 1 + w.choose(4));
  w.run(std::chrono::hours(1));
  require(*ended, "a round did not end");
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
