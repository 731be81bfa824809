#include <corespun/net/detail/connections.hpp>

#include <corespun/runtime/detail/machine.hpp>
#include <corespun/runtime/on_core.hpp>
#include <corespun/runtime/sleep.hpp>
#include <corespun/runtime/this_core.hpp>

#include <algorithm>
#include <mutex>

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
  const std::lock_guard hold(all_.cores_[list_].lock);
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

std::vector<unsigned> connections::counts() const {
  std::vector<unsigned> counts;
  counts.reserve(cores_.size());
  for (const per_core& c : cores_) counts.push_back(c.count.load(std::memory_order_relaxed));
  return counts;
}

void connections::count_on(entry& e, unsigned core) noexcept {
  cores_[e.counted_on_].count.fetch_sub(1, std::memory_order_relaxed);
  cores_[core].count.fetch_add(1, std::memory_order_relaxed);
  e.counted_on_ = core;
}

unsigned connections::move_some(unsigned most, unsigned to) noexcept {
  core& here = *core::current();
  core& there = *here.all().cores[to];
  unsigned moved = 0;
  for (per_core& c : cores_) {
    const std::lock_guard hold(c.lock);
    for (entry* e = c.first; e != nullptr && moved < most; e = e->next_) {
      if (e->task_ == nullptr || &e->task_->home() != &here) continue;
      if (e->counted_on_ != here.index()) count_on(*e, here.index());  // data kept it here
      if (!send_away(*e->file_, e->generation_, *e->task_, there)) continue;
      count_on(*e, to);
      ++moved;
    }
  }
  return moved;
}

task<> connections::balance(std::chrono::milliseconds every) {
  const auto ask = [] { return core::current()->cpu_time(); };
  std::vector<clock::duration> before(cores_.size());
  std::vector<clock::duration> spent(cores_.size());
  while (true) {
    co_await sleep_for(every);
    for (unsigned core = 0; core < cores_.size(); ++core) {
      auto asking = on_core(core, ask);
      const clock::duration now = co_await std::move(asking);
      spent[core] = now - std::exchange(before[core], now);
    }
    const auto [idlest, busiest] = std::ranges::minmax_element(spent);
    const clock::duration difference = *busiest - *idlest;
    if (difference < every / 10) continue;
    const auto from = static_cast<unsigned>(busiest - spent.begin());
    const auto to = static_cast<unsigned>(idlest - spent.begin());
    const unsigned count = cores_[from].count.load(std::memory_order_relaxed);
    const auto worth = static_cast<unsigned>(count * (difference / 2).count() / busiest->count());
    const auto move = [this, worth, to] { return move_some(worth, to); };
    auto moving = on_core(from, move);
    (void)co_await std::move(moving);
  }
}

}  // namespace corespun::detail
