// How cores share work (core.hpp): who has more than it can do calls one that sleeps, and who has
// nothing to do steals.

#include <corespun/runtime/detail/core.hpp>
#include <corespun/runtime/detail/machine.hpp>
#include <corespun/runtime/detail/simulation.hpp>

#include <algorithm>
#include <array>

namespace corespun::detail {

/// What a task costs of late. The kernel does the most of what an I/O-bound one needs, and does it
/// in the driver, so the CPU time of this thread counts; it is asked for now and then.
clock::duration core::cost_of_a_task(clock::time_point at) noexcept {
  if (at - measured_at_ >= std::chrono::milliseconds(1)) {
    const clock::duration cpu = cpu_time();
    const std::uint64_t tasks = counts.tasks_run.get();
    if (tasks != measured_tasks_)
      cost_ = (cpu - measured_cpu_) / static_cast<clock::rep>(tasks - measured_tasks_);
    measured_at_ = at;
    measured_cpu_ = cpu;
    measured_tasks_ = tasks;
  }
  return std::max(cost_, per_task_);
}

void core::refill_lanes() noexcept {
  if (forks_.size() < fork_lane::capacity / 2) {
    for (std::size_t room = fork_lane::capacity / 2; room > 0 && !spilled_.empty(); --room)
      (void)forks_.push(spilled_.pop());
  }
  if (woken_.size() < ready_lane::capacity / 2) {
    for (std::size_t room = ready_lane::capacity / 2; room > 0 && !late_.empty(); --room)
      (void)woken_.push(late_.pop());
  }
}

/// Wakes a sleeping core if the oldest fork has been lying here for a while, or if the tasks in
/// woken_ will take longer than a wake.
void core::share(clock::time_point at) noexcept {
  if (forks_.oldest() != oldest_fork_ || forks_.size() == 0) {
    oldest_fork_ = forks_.oldest();
    oldest_since_ = at;
  }
  oldest_is_due_ = at - oldest_since_ >= patience;
  refill_lanes();
  if (machine_.sleepers.load(std::memory_order_relaxed) == 0 || machine_.cores.size() == 1) return;
  if (!has_to_steal()) return;
  const bool old_fork = forks_.size() != 0 && at - oldest_since_ >= worth_a_wake;
  const bool by_chance = simulation_ != nullptr && simulation_->one_in(4, sim::site::order);
  if (old_fork || woken_.size() * cost_of_a_task(at) >= worth_a_wake || by_chance) wake_a_thief();
}

void core::wake_a_thief() noexcept {
  unsigned none = 0;  // one wake at a time; who is woken wakes the next
  if (!machine_.searching.compare_exchange_strong(none, 1, std::memory_order_relaxed)) return;
  const auto others = static_cast<std::uint32_t>(machine_.cores.size() - 1);
  const std::uint32_t first = choose_other();
  for (std::uint32_t i = 0; i < others; ++i) {
    if (other(first + i).wake_if_asleep(true)) return;
  }
  machine_.searching.fetch_sub(1, std::memory_order_relaxed);
}

void core::steal_some() noexcept {
  if (has_ready()) return;
  take_injected();
  const auto count = static_cast<std::uint32_t>(machine_.cores.size());
  if (count == 1 || has_ready() || !anything_to_steal()) return;
  if (machine_.searching.load(std::memory_order_relaxed) >= (count + 1) / 2) return;
  machine_.searching.fetch_add(1, std::memory_order_relaxed);
  const std::uint32_t first = choose_other();
  bool more = false;
  for (std::uint32_t i = 0; i < count - 1 && !has_ready(); ++i) {
    core& victim = other(first + i);
    if (!victim.has_to_steal()) continue;
    preemption_point();
    steal_from(victim);
    more = has_ready() && victim.has_to_steal();
  }
  machine_.searching.fetch_sub(1, std::memory_order_relaxed);
  if (more && machine_.sleepers.load(std::memory_order_relaxed) != 0) wake_a_thief();
}

bool core::anything_to_steal() const noexcept {
  return std::ranges::any_of(
      machine_.cores, [this](const auto& c) { return c.get() != this && c->has_to_steal(); });
}

/// Up to half of a lane. One of these runs here in any case, so that each theft is progress.
void core::steal_from(core& victim) noexcept {
  std::array<root*, std::max(fork_lane::capacity, ready_lane::capacity) / 2> some;
  if (const std::size_t forks = victim.forks_.steal(some); forks != 0) {
    stolen_ = some[0];
    for (root* const r : std::span(some).first(forks).subspan(1)) fork(*r);
    counts.stolen.add(forks);
  } else if (const std::size_t woken = victim.woken_.steal(some); woken != 0) {
    stolen_ = some[0];
    for (root* const r : std::span(some).first(woken).subspan(1)) make_ready(*r);
    counts.stolen.add(woken);
  }
}

/// A fair part of the shared queue.
void core::take_injected() noexcept {
  const std::size_t there = machine_.injected.size();
  if (there == 0) return;
  std::size_t n = std::min(there / machine_.cores.size() + 1,
                           static_cast<std::size_t>(ready_lane::capacity / 2));
  for (; n > 0; --n) {
    root* const r = machine_.injected.pop();
    if (r == nullptr) return;
    counts.injected.add();
    make_ready(*r);
  }
}

core& core::other(std::uint32_t i) const noexcept {
  const auto count = static_cast<std::uint32_t>(machine_.cores.size());
  return *machine_.cores[(index_ + 1 + i % (count - 1)) % count];
}

std::uint32_t core::choose_other() noexcept {
  const auto count = static_cast<std::uint32_t>(machine_.cores.size() - 1);
  if (simulation_ != nullptr) return simulation_->choose(count, sim::site::order);
  random_ ^= random_ << 13;  // Marsaglia, "Xorshift RNGs", 2003
  random_ ^= random_ >> 17;
  random_ ^= random_ << 5;
  return random_ % count;
}

}  // namespace corespun::detail
