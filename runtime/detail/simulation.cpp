#include <corespun/runtime/detail/simulation.hpp>

#include <corespun/runtime/detail/core.hpp>

#include <algorithm>
#include <utility>

namespace corespun::detail {

namespace {
constinit thread_local const simulation* played = nullptr;
}

const simulation* simulation::playing() noexcept { return played; }

std::uint32_t simulation::choose(std::uint32_t n, sim::site where) {
  if (n < 2) return 0;
  const std::uint32_t taken = chance_.choose(n, where);
  choices_.push_back(taken);
  note(static_cast<std::uint64_t>(where) << 56 | std::uint64_t{n} << 28 | taken);
  return taken;
}

// FNV-1a, a word at a time.
void simulation::note(std::uint64_t value) noexcept {
  hash_ = (hash_ ^ value) * 0x100000001b3;
  hash_ ^= hash_ >> 32;
}

simulation::events::iterator simulation::at(clock::time_point when, const void* owner,
                                            std::function<void()> fn) {
  return events_.emplace(std::max(when, now_), event{owner, std::move(fn)});
}

void simulation::forget(const void* owner) noexcept {
  std::erase_if(events_, [&](const auto& e) { return e.second.owner == owner; });
}

// Two levels, so that a run has few kinds of faults and these often (Zhou et al., "FoundationDB: A
// Distributed Unbundled Transactional Key Value Store", 2021).
bool simulation::buggify(std::uint64_t where) {
  auto at = faulty_.find(where);
  if (at == faulty_.end()) at = faulty_.emplace(where, one_in(4, sim::site::user)).first;
  return at->second && one_in(4, sim::site::user);
}

simulation::place& simulation::add(core& c) {
  places_.push_back(std::make_unique<place>());
  places_.back()->who = &c;
  return *places_.back();
}

void simulation::remove(const core& c) noexcept {
  std::erase_if(places_, [&](const auto& p) { return p->who == &c; });
}

void simulation::halt(const core& c, bool halted) noexcept {
  for (const auto& p : places_) {
    if (p->who == &c) p->halted = halted;
  }
}

void simulation::turn(place& p) {
  core* const before = core::current();
  p.inside = true;
  p.woken = false;
  note(p.who->index());
  note(static_cast<std::uint64_t>(now_.time_since_epoch().count()));
  core::stand_in(p.who);
  p.who->turn();
  core::stand_in(before);
  p.inside = false;
}

void simulation::preemption_point() {
  while (true) {
    const auto may = [&](const auto& p) { return !p->inside && can_run(*p); };
    const auto n = static_cast<std::uint32_t>(std::ranges::count_if(places_, may));
    std::uint32_t ahead = choose(n + 1, sim::site::preemption);
    if (ahead == 0) return;
    turn(**std::ranges::find_if(places_, [&](const auto& p) { return may(p) && --ahead == 0; }));
  }
}

bool simulation::step() {
  runnable_.clear();
  for (const auto& p : places_) {
    if (!p->inside && can_run(*p)) runnable_.push_back(p.get());
  }
  // Of several that are due the earlier ones happen first; only equals are a choice.
  const auto first = events_.begin();
  const bool any_due = first != events_.end() && first->first <= now_;
  const auto due = static_cast<std::uint32_t>(any_due ? events_.count(first->first) : 0);
  const auto cores = static_cast<std::uint32_t>(runnable_.size());
  if (cores + due == 0) return advance();
  if (++turns_now_ > free_turns) now_ += std::chrono::microseconds(1);
  // Whoever always takes the first is still fair.
  const std::uint32_t next =
      (choose(cores + due, sim::site::next_turn) + turns_now_) % (cores + due);
  if (next < cores) {
    turn(*runnable_[next]);
  } else {
    const auto which = std::next(first, next - cores);
    const std::function<void()> happen = std::move(which->second.happen);
    events_.erase(which);
    const simulation* const before = std::exchange(played, this);
    happen();
    played = before;
  }
  return true;
}

bool simulation::can_run(const place& p) const noexcept {
  return !p.halted && (p.woken || p.sleeps_until <= now_) && !p.who->finished();
}

bool simulation::advance() {
  auto next = clock::time_point::max();
  for (const auto& p : places_) {
    if (!p->inside && !p->halted && !p->who->finished()) next = std::min(next, p->sleeps_until);
  }
  if (!events_.empty()) next = std::min(next, events_.begin()->first);
  if (next == clock::time_point::max()) return false;
  now_ = next;
  turns_now_ = 0;
  return true;
}

void simulation::wake_all() noexcept {
  for (const auto& p : places_) p->woken = true;
}

}  // namespace corespun::detail
