#pragma once
// chance: what decides, in a simulation, all that a machine would decide by chance: which core runs
// next, which task, how late an answer is, how many bytes move, what fails.
//
//   seeded      random; the same seed gives the same run
//   replayed    the choices of an earlier run
//   exhaustive  all runs, one after the other; for small cases
//
// Threads: one at a time.

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <vector>

namespace corespun::sim {

/// What a choice is about. Site and choice together are the trace of a run.
enum class site : std::uint8_t {
  next_turn,  // which core runs, or which event of the world happens
  preemption,  // whether another core gets ahead in the middle of a turn
  next_task,  // which of the ready tasks of a core
  delay,  // how late an answer is
  size,  // how many bytes a transfer moves
  fault,  // whether something fails
  order,  // which of several equals
  user,  // sim::choose() and buggify()
};

/// A simulation found something wrong: what, and which tasks wait.
class failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class chance {
 public:
  chance() = default;
  chance(const chance&) = delete;
  chance& operator=(const chance&) = delete;
  virtual ~chance() = default;
  /// A number below n; n is at least 2.
  [[nodiscard]] virtual std::uint32_t choose(std::uint32_t n, site where) = 0;
};

/// Method: splitmix64 (Steele, Lea and Flood, 2014).
class seeded final : public chance {
 public:
  explicit seeded(std::uint64_t seed) noexcept : state_(seed) {}
  [[nodiscard]] std::uint32_t choose(std::uint32_t n, site) noexcept override;

 private:
  std::uint64_t state_;
};

/// Repeats the choices of world::choices(). Behind their end it chooses 0.
class replayed final : public chance {
 public:
  explicit replayed(std::span<const std::uint32_t> choices)
      : choices_(choices.begin(), choices.end()) {}
  [[nodiscard]] std::uint32_t choose(std::uint32_t n, site) noexcept override;

 private:
  std::vector<std::uint32_t> choices_;
  std::size_t at_ = 0;
};

/// Depth first through the tree of all choices, but in each run a core is overtaken in the middle
/// of a turn at most so many times. Method: preemption bounding (Musuvathi and Qadeer, "Iterative
/// context bounding", 2007): few preemptions find nearly every mistake.
///   exhaustive all;
///   do { world w(all); … } while (all.next());
class exhaustive final : public chance {
 public:
  explicit exhaustive(unsigned preemptions = 2) noexcept : bound_(preemptions) {}
  [[nodiscard]] std::uint32_t choose(std::uint32_t n, site) override;
  /// Prepares the next run; false: there was every one.
  [[nodiscard]] bool next();

 private:
  struct branch {
    std::uint32_t taken;
    std::uint32_t of;
  };
  std::vector<branch> path_;
  std::size_t depth_ = 0;  // in path_, of this run
  const unsigned bound_;
  unsigned preempted_ = 0;  // in this run
};

}  // namespace corespun::sim
