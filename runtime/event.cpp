#include <corespun/runtime/event.hpp>

#include <corespun/runtime/detail/fatal.hpp>

namespace corespun {
namespace detail {

const wait_kind event_awaiter::kind{"event", [](root& waiter, void* self) noexcept {
                                      auto& w = *static_cast<event_awaiter*>(self);
                                      // Not in the list any more: open() was first, its wake is on
                                      // the way.
                                      if (w.event_->leave(w)) waiter.stop();
                                    }};

void event_awaiter::begin() noexcept {
  if (!event_->enter(*this)) waiter_->complete();
}

}  // namespace detail

event::~event() {
  const std::lock_guard open_has_let_go(
      mutex_);  // whoever saw is_open() may come before open() released it
  if (waiters_ != nullptr) {
    detail::caller_bug("an event is destroyed while tasks wait on it",
                       "end the scope that waits before the event");
  }
}

bool event::enter(detail::event_awaiter& w) noexcept {
  const std::lock_guard lock(mutex_);
  if (open_.load(std::memory_order_relaxed)) return false;
  w.next_ = waiters_;
  if (waiters_ != nullptr) waiters_->prev_ = &w;
  waiters_ = &w;
  return true;
}

bool event::leave(detail::event_awaiter& w) noexcept {
  const std::lock_guard lock(mutex_);
  if (open_.load(std::memory_order_relaxed)) return false;
  (w.prev_ != nullptr ? w.prev_->next_ : waiters_) = w.next_;
  if (w.next_ != nullptr) w.next_->prev_ = w.prev_;
  return true;
}

void event::open() noexcept {
  detail::event_awaiter* all = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (open_.load(std::memory_order_relaxed)) return;
    open_.store(true, std::memory_order_release);  // E1: publishes all before open()
    all = std::exchange(waiters_, nullptr);
  }
  // The newest waiter is first in the list; the oldest is woken first.
  while (all != nullptr && all->next_ != nullptr) all = all->next_;
  while (all != nullptr) {
    detail::event_awaiter* const newer = all->prev_;
    all->waiter_->complete_from_any_thread();  // from here on the awaiter may be gone
    all = newer;
  }
}

}  // namespace corespun
