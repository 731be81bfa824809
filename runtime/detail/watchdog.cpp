#include <corespun/runtime/detail/watchdog.hpp>

#include <corespun/runtime/detail/machine.hpp>
#include <corespun/runtime/detail/report.hpp>
#include <corespun/runtime/detail/threads.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <new>
#include <optional>
#include <source_location>
#include <string>
#include <utility>

namespace corespun::detail {
namespace {

/// Nothing if the core goes on meanwhile: then the task may be another one.
void tell(const core& stuck, clock::time_point turn, clock::duration lasts) noexcept {
  const std::optional<std::source_location> site = stuck.site();
  if (stuck.counts.turn_began() != turn) return;
  const long long ms = std::chrono::duration_cast<std::chrono::milliseconds>(lasts).count();
  try {
    std::fprintf(stderr,
                 "corespun: core %u has not turned for %lld ms\n"
                 "  why: %s computes or blocks without an await\n"
                 "  now: %sco_await yield() in its loop, or offload() the blocking call\n",
                 stuck.index(), ms, what_runs(site).c_str(), site ? "" : "send a task instead; ");
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "corespun: core %u has not turned for %lld ms\n", stuck.index(), ms);
  }
}

}  // namespace

stall::verdict stall::look(clock::time_point turn_began, clock::time_point now,
                           clock::time_point running_since, clock::duration waited,
                           clock::duration notice) noexcept {
  if (turn_began == counters::no_turn) return {};
  verdict v;
  v.lasts = std::max(now - std::max(turn_began, running_since), clock::duration(0));
  v.is_news = v.lasts - waited >= notice && turn_began != told_of_ && now >= quiet_until_;
  if (v.is_news) {
    told_of_ = turn_began;
    quiet_until_ = now + pause;
  }
  return v;
}

void watchdog::start(machine& m, clock::duration notice) {
  machine_ = &m;
  notice_ = notice;
  cores_.reserve(m.cores.size());
  for (const auto& c : m.cores) cores_.emplace_back(c->thread);
  running_since_ = clock::now();
  const all_signals_blocked no_signals_there;
  thread_ = std::thread([this] { work(); });
}

void watchdog::stop() noexcept {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void watchdog::work() {
  name_this_thread("corespun-watch");
  const clock::duration period = notice_ / 2;
  std::unique_lock lock(mutex_);
  while (!ending_) {
    if (all_asleep()) doze(lock);
    const clock::time_point before = clock::now();
    if (changed_.wait_for(lock, period, [this] { return ending_; })) return;
    lock.unlock();
    // Late by as much again: a debugger, a container out of its share of time, a machine that has
    // too much to do. The cores stood still for the same reason.
    const clock::time_point now = clock::now();
    if (now - before > 2 * period) running_since_ = now;
    look();
    lock.lock();
  }
}

void watchdog::doze(std::unique_lock<std::mutex>& lock) {
  dozing_.store(true, std::memory_order_seq_cst);  // W1 step 1
  if (all_asleep()) changed_.wait(lock, [this] { return ending_ || !dozing(); });
  dozing_.store(false, std::memory_order_relaxed);
}

bool watchdog::all_asleep() const noexcept {
  return std::ranges::all_of(machine_->cores, [](const auto& c) { return c->asleep(); });
}

clock::duration watchdog::watched::waited(clock::time_point began, clock::time_point now) noexcept {
  const bool again = std::exchange(turn, began) == began;
  if (began == counters::no_turn) return {};
  if (again) return wait.until(now.time_since_epoch());
  wait.begin(now.time_since_epoch());
  return {};
}

void watchdog::look() noexcept {
  looks_.store(looks() + 1, std::memory_order_relaxed);
  const clock::time_point now = clock::now();
  for (std::size_t i = 0; i < cores_.size(); ++i) {
    const core& c = *machine_->cores[i];
    watched& w = cores_[i];
    const clock::time_point turn = c.counts.turn_began();
    const stall::verdict v = w.stalls.look(turn, now, running_since_, w.waited(turn, now), notice_);
    if (v.is_news) tell(c, turn, v.lasts);
    if (v.lasts >= notice_ / 2 && c.has_to_steal()) have_stolen_from(c);
  }
}

/// A core that is stuck calls nobody. Whoever is woken steals, and wakes the next if there is more.
void watchdog::have_stolen_from(const core& stuck) noexcept {
  if (machine_->sleepers.load(std::memory_order_relaxed) == 0) return;
  unsigned none = 0;
  if (!machine_->searching.compare_exchange_strong(none, 1, std::memory_order_relaxed)) return;
  for (const auto& c : machine_->cores) {
    if (c.get() != &stuck && c->wake_if_asleep(true)) return;
  }
  machine_->searching.fetch_sub(1, std::memory_order_relaxed);
}

void watchdog::ring() noexcept {
  if (!dozing_.exchange(false, std::memory_order_relaxed)) return;  // one of several pays
  {
    const std::lock_guard it_waits_or_has_not_looked(mutex_);
  }
  changed_.notify_one();
}

}  // namespace corespun::detail
