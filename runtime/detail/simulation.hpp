#pragma once
// simulation: one thread plays all cores of all runtimes of a test, one loop turn at a time, with a
// clock of its own and one source of chance. The runtime does not know what the world outside looks
// like; io/sim.hpp adds that.
//
// Invariants
//   - Whatever could happen in another order, or not at all, is a choice (chance.hpp).
//   - The clock moves only when no core can run and nothing is due; it then stands at the next
//     deadline. Only where that does not come for a hundred turns, as with a core that never
//     sleeps, each further turn takes a microsecond.
//   - A core may be overtaken by others in the middle of its turn, at each preemption_point():
//     these stand where it posts mail and where it goes to sleep (I1, core.hpp).

#include <corespun/runtime/chance.hpp>
#include <corespun/runtime/clock.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace corespun::detail {

class core;

class simulation {
 public:
  explicit simulation(sim::chance& c) : chance_(c) { choices_.reserve(1024); }
  simulation(const simulation&) = delete;
  simulation& operator=(const simulation&) = delete;

  // --- time and chance ---

  [[nodiscard]] clock::time_point now() const noexcept { return now_; }
  /// The one in which an event happens on this thread, outside of all cores; else nullptr.
  [[nodiscard]] static const simulation* playing() noexcept;
  /// As if a task had computed for so long.
  void pass(clock::duration d) noexcept { now_ += d; }
  /// A number below n; 0 where there is no choice.
  [[nodiscard]] std::uint32_t choose(std::uint32_t n, sim::site where);
  /// n 0: never.
  [[nodiscard]] bool one_in(std::uint32_t n, sim::site where) {
    return n != 0 && choose(n, where) == n - 1;
  }
  /// Every choice so far that had an alternative.
  [[nodiscard]] const std::vector<std::uint32_t>& choices() const noexcept { return choices_; }
  /// Of all that has happened: choices, turns, and what was noted.
  [[nodiscard]] std::uint64_t hash() const noexcept { return hash_; }
  void note(std::uint64_t value) noexcept;

  // --- what user code asks (buggify.hpp) ---

  [[nodiscard]] bool buggify(std::uint64_t where);
  void reach(const char* probe) { probes_.insert(probe); }
  [[nodiscard]] const std::set<std::string>& probes() const noexcept { return probes_; }

  // --- the world outside of the cores ---

  struct event {
    const void* owner;
    std::function<void()> happen;
  };
  using events = std::multimap<clock::time_point, event>;
  /// Calls fn at that time; of several at once, in any order. `owner` is who may forget it.
  events::iterator at(clock::time_point when, const void* owner, std::function<void()> fn);
  events::iterator after(clock::duration d, const void* owner, std::function<void()> fn) {
    return at(now_ + d, owner, std::move(fn));
  }
  /// It has not happened yet, and does not.
  void forget(events::iterator e) noexcept { events_.erase(e); }
  /// What this owner has asked for does not happen.
  void forget(const void* owner) noexcept;

  // --- the cores ---

  /// What the simulation knows of a core. Its driver sets both times.
  struct place {
    core* who = nullptr;
    /// the driver was told to wake
    bool woken = false;
    /// runs at this time at the latest; min(): it does not sleep
    clock::time_point sleeps_until = clock::time_point::min();
    bool inside = false;  ///< in the middle of a turn
    bool halted = false;  ///< its machine stands still
  };
  [[nodiscard]] place& add(core& c);
  void remove(const core& c) noexcept;

  /// A machine stands still, or goes on.
  void halt(const core& c, bool halted) noexcept;

  /// Other cores may get ahead here.
  void preemption_point();

  /// One turn, or one event, or the clock moves on. False: nothing will ever happen. Inside a turn:
  /// that core stands still meanwhile, as in a call that blocks.
  bool step();
  /// False: it is not done, and nothing will ever happen.
  template <typename Done>
  [[nodiscard]] bool run_until(Done done) {
    while (!done()) {
      if (!step()) return false;
    }
    return true;
  }
  /// Wakes all cores, as if every sleep had ended early.
  void wake_all() noexcept;

 private:
  [[nodiscard]] bool can_run(const place& p) const noexcept;
  void turn(place& p);
  bool advance();

  static constexpr unsigned free_turns = 100;

  sim::chance& chance_;
  clock::time_point now_{};
  unsigned turns_now_ = 0;  // since the clock moved
  std::uint64_t hash_ = 0xcbf29ce484222325;
  std::vector<std::uint32_t> choices_;
  std::vector<std::unique_ptr<place>> places_;
  events events_;
  std::vector<place*> runnable_;  // scratch
  std::map<std::uint64_t, bool> faulty_;  // places of buggify(): can they fire in this run
  std::set<std::string> probes_;
};

}  // namespace corespun::detail
