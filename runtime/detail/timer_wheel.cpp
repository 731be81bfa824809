#include <corespun/runtime/detail/timer_wheel.hpp>

#include <algorithm>

namespace corespun::detail {
namespace {

void unlink(timer_link& t) noexcept {
  t.prev->next = t.next;
  t.next->prev = t.prev;
  t.prev = t.next = nullptr;
}

std::uint64_t ticks(clock::duration d) noexcept {
  return static_cast<std::uint64_t>(d / timer_wheel::tick_length);
}

}  // namespace

timer_wheel::timer_wheel() noexcept {
  for (timer_link& head : heads_) head.prev = head.next = &head;
}

void timer_wheel::arm(timer& t, clock::time_point deadline) noexcept {
  const clock::duration since = std::max(deadline.time_since_epoch(), clock::duration::zero());
  const std::uint64_t rounded_up =
      ticks(since) + (since % tick_length == clock::duration::zero() ? 0 : 1);
  // rounding up would pass the end of time
  const std::uint64_t last = ticks(clock::duration::max());
  t.tick = std::max(std::min(rounded_up, last), current_ + 1);
  insert(t);
}

void timer_wheel::insert(timer& t) noexcept {
  const std::uint64_t differs = t.tick ^ current_;
  const unsigned level = (static_cast<unsigned>(std::bit_width(differs | 1)) - 1) / bits;
  const unsigned slot = (t.tick >> (level * bits)) % slots;
  timer_link& head = heads_[level * slots + slot];
  t.prev = head.prev;
  t.next = &head;
  head.prev->next = &t;
  head.prev = &t;
  occupied_[level] |= std::uint64_t{1} << slot;
}

void timer_wheel::cancel(timer& t) noexcept {
  if (!t.armed()) return;
  timer_link* const before = t.prev;
  unlink(t);
  // The last of a slot: its neighbour was the head, which tells the slot. (A list being fired has a
  // head elsewhere.)
  if (before->next == before && before >= heads_.data() && before < heads_.data() + heads_.size()) {
    const auto index = static_cast<std::size_t>(before - heads_.data());
    occupied_[index / slots] &= ~(std::uint64_t{1} << (index % slots));
  }
}

bool timer_wheel::next_expiry(expiry& e) const noexcept {
  // A lower level always comes first: its timers differ from now in a lower digit only.
  for (unsigned level = 0; level < levels; ++level) {
    if (occupied_[level] == 0) continue;
    const auto slot = static_cast<unsigned>(std::countr_zero(occupied_[level]));
    const unsigned above = (level + 1) * bits;
    e = {level, slot, (current_ >> above << above) | (std::uint64_t{slot} << (level * bits))};
    return true;
  }
  return false;
}

void timer_wheel::advance(clock::time_point now) noexcept {
  const std::uint64_t target = ticks(now.time_since_epoch());
  expiry e;
  while (next_expiry(e) && e.tick <= target) {
    current_ = e.tick;
    timer_link& head = heads_[e.level * slots + e.slot];
    timer_link due{head.prev, head.next};
    due.prev->next = due.next->prev = &due;
    head.prev = head.next = &head;
    occupied_[e.level] &= ~(std::uint64_t{1} << e.slot);
    while (due.next != &due) {
      auto& t = static_cast<timer&>(*due.next);
      unlink(t);
      if (t.tick <= current_) {
        t.fire(t);
      } else {
        insert(t);
      }
    }
  }
  current_ = std::max(current_, target);
}

clock::time_point timer_wheel::next_deadline() const noexcept {
  expiry e;
  if (!next_expiry(e)) return clock::time_point::max();
  return clock::time_point(static_cast<clock::rep>(e.tick) * tick_length);
}

}  // namespace corespun::detail
