#include <corespun/net/detail/connections.hpp>

#include <corespun/runtime/detail/machine.hpp>
#include <corespun/runtime/on_core.hpp>
#include <corespun/runtime/sleep.hpp>
#include <corespun/runtime/this_core.hpp>

#include <algorithm>
#include <array>
#include <functional>
#include <mutex>
#include <span>
#include <utility>

namespace corespun::detail {

connections::entry::entry(connections& all, unsigned core) noexcept
    : all_(all), list_(core), counted_on_(core) {
  per_core& mine = all.cores_[core];
  mine.count.fetch_add(1, std::memory_order_relaxed);
  const std::lock_guard hold(mine.lock);
  next_ = std::exchange(mine.first, this);
  place_ = &mine.first;
  if (next_ != nullptr) next_->place_ = &next_;
}

connections::entry::~entry() {
  per_core& mine = all_.cores_[list_];
  const std::lock_guard hold(mine.lock);
  if (mine.look_next == this) mine.look_next = next_;
  *place_ = next_;
  if (next_ != nullptr) next_->place_ = place_;
  all_.cores_[counted_on_].count.fetch_sub(1, std::memory_order_relaxed);
}

void connections::entry::begins(const tcp_stream& stream) noexcept {
  const std::lock_guard hold(all_.cores_[list_].lock);
  file_ = &stream.inner();
  generation_ = file_->generation;
  task_ = core::current()->running();
}

void connections::count(std::span<unsigned> by_core) const noexcept {
  std::ranges::transform(cores_, by_core.begin(),
                         [](const per_core& c) { return c.count.load(std::memory_order_relaxed); });
}

void connections::count_on(entry& e, unsigned core) noexcept {
  cores_[e.counted_on_].count.fetch_sub(1, std::memory_order_relaxed);
  cores_[core].count.fetch_add(1, std::memory_order_relaxed);
  e.counted_on_ = core;
}

// What waits for data on this core cannot end before this core lets it, so its entry stays also
// when the lock is given back; send_away may not be called under it, since it wakes.
unsigned connections::move_some(unsigned most, unsigned to) noexcept {
  core& here = *core::current();
  core& there = *here.all().cores[to];
  std::array<entry*, 64> found;
  unsigned moved = 0;
  for (per_core& c : cores_) {
    const std::size_t n =
        find_here(c, std::span(found).first(std::min<std::size_t>(most - moved, found.size())));
    for (entry* const e : std::span(found).first(n)) {
      const unsigned before = e->counted_on_;
      count_on(*e, to);  // once it has been sent it may end there
      if (send_away(*e->file_, e->generation_, *e->task_, there)) {
        ++moved;
      } else {
        count_on(*e, before);
      }
    }
  }
  return moved;
}

/// Looks at some, and at others the next time.
std::size_t connections::find_here(per_core& c, std::span<entry*> found) noexcept {
  const core* const here = core::current();
  std::size_t n = 0;
  const std::lock_guard hold(c.lock);
  for (int left = 1000; left > 0 && n < found.size(); --left) {
    entry* const e = c.look_next != nullptr ? c.look_next : c.first;
    if (e == nullptr) break;
    c.look_next = e->next_;
    // in this order: what waited elsewhere before has come home by now, or is not taken for one of
    // ours
    if (e->task_ != nullptr && waits_for_data(*e->task_) && &e->task_->home() == here)
      found[n++] = e;
    if (c.look_next == nullptr) break;
  }
  return n;
}

task<std::vector<clock::duration>> connections::cpu_times() const {
  std::vector<clock::duration> times;
  for (unsigned core = 0; core < cores_.size(); ++core) {
    const auto ask = [] { return detail::core::current()->cpu_time(); };
    auto asking = on_core(core, ask);
    times.push_back(co_await std::move(asking));
  }
  co_return times;
}

task<> connections::balance(std::chrono::milliseconds every) {
  std::vector<clock::duration> before;
  while (true) {
    try {
      auto once = balance_once(before, every);
      co_await std::move(once);
    } catch (const std::bad_alloc&) {  // next time
    }
    co_await sleep_for(every);
  }
}

task<> connections::balance_once(std::vector<clock::duration>& last, clock::duration every) {
  std::vector<clock::duration> spent = co_await cpu_times();
  std::swap(spent, last);
  if (spent.empty()) co_return;  // the first time
  std::ranges::transform(last, spent, spent.begin(), std::minus<>());
  const auto [idlest, busiest] = std::ranges::minmax_element(spent);
  const clock::duration difference = *busiest - *idlest;
  if (difference < every / 10) co_return;
  const auto from = static_cast<unsigned>(busiest - spent.begin());
  const auto to = static_cast<unsigned>(idlest - spent.begin());
  const unsigned count = cores_[from].count.load(std::memory_order_relaxed);
  const auto worth = static_cast<unsigned>(count * (difference / 2).count() / busiest->count());
  const auto move = [this, worth, to] { return move_some(worth, to); };
  auto moving = on_core(from, move);
  (void)co_await std::move(moving);
}

}  // namespace corespun::detail
