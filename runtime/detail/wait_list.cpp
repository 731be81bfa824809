#include <corespun/runtime/detail/wait_list.hpp>

#include <corespun/runtime/detail/fatal.hpp>
#include <corespun/runtime/detail/simulation.hpp>

#include <cstdint>
#include <functional>
#include <string>

namespace corespun::detail {
namespace {

waiter* const given_up = reinterpret_cast<waiter*>(1);

/// Which of several is asked first.
unsigned choose(unsigned n, const root& task) noexcept {
  if (n == 1) return 0;
  if (simulation* const s = task.home().simulated(); s != nullptr)
    return s->choose(n, sim::site::order);
  thread_local std::uint32_t random = 1;
  random = random * 1664525 + 1013904223;  // Knuth's and Lewis's, good enough to be fair
  return (random >> 16) % n;
}

}  // namespace

void granted::wake_all() noexcept {
  while (first_ != nullptr) {
    waiter& w = *first_;
    first_ = w.next_;
    w.of_->wake();  // from here on it may be gone
  }
}

void waiter::enter() noexcept { list_->push(*this); }

void waiter::leave(granted& g) noexcept {
  list_->remove(*this);
  list_->grant(g);
}

// --- the list ---

void wait_list::push(waiter& w) noexcept {
  w.prev_ = last_;
  w.next_ = nullptr;
  (last_ != nullptr ? last_->next_ : first_) = &w;
  last_ = &w;
}

void wait_list::remove(waiter& w) noexcept {
  if (w.prev_ == nullptr && first_ != &w) return;
  (w.prev_ != nullptr ? w.prev_->next_ : first_) = w.next_;
  (w.next_ != nullptr ? w.next_->prev_ : last_) = w.prev_;
  w.prev_ = nullptr;
}

waiter* wait_list::claim_first() noexcept {
  while (first_ != nullptr) {
    waiter& w = *first_;
    remove(w);
    if (w.of_->claim(&w)) return &w;
  }
  return nullptr;
}

void wait_list::grant_some(granted& g) noexcept {
  while (first_ != nullptr && first_->possible()) {
    waiter& w = *first_;
    remove(w);
    if (!w.of_->claim(&w)) continue;
    w.take(g);
    g.add(w);
  }
}

void wait_list::destroyed_too_early() const noexcept {
  caller_bug(std::string(of_) + " is destroyed while tasks wait on it",
             "end the scope that waits before it");
}

// --- the await ---

/// All locks of an await, each once, in the order of their addresses.
class awaiting::all_locked {
 public:
  explicit all_locked(const waiter* first) noexcept : first_(first) {
    for (spin_lock* l = after(nullptr); l != nullptr; l = after(l)) l->lock();
  }
  all_locked(const all_locked&) = delete;
  all_locked& operator=(const all_locked&) = delete;
  // With the last lock the await may go, not before: its task has to leave that list, too.
  ~all_locked() {
    for (spin_lock* l = after(nullptr); l != nullptr;) {
      spin_lock* const next = after(l);
      std::exchange(l, next)->unlock();
    }
  }

 private:
  spin_lock* after(const spin_lock* last) const noexcept {
    constexpr std::less<const spin_lock*> before;
    spin_lock* next = nullptr;
    for (const waiter* w = first_; w != nullptr; w = w->also_) {
      spin_lock* const l = w->guard();
      if (before(last, l) && (next == nullptr || before(l, next))) next = l;
    }
    return next;
  }

  const waiter* first_;
};

void awaiting::add(waiter& w) noexcept {
  w.of_ = this;
  waiter** end = &first_;
  while (*end != nullptr) end = &(*end)->also_;
  *end = &w;
}

bool awaiting::settle(bool stay) noexcept {
  granted g;
  const all_locked hold(first_);
  unsigned n = 0;
  for (const waiter* w = first_; w != nullptr; w = w->also_) ++n;
  waiter* next = first_;
  for (unsigned skip = choose(n, *task_); skip > 0; --skip) next = next->also_;
  for (unsigned left = n; left > 0; --left) {
    if (next->try_now(g)) {
      decided_.store(next, std::memory_order_relaxed);
      return true;
    }
    next = next->also_ != nullptr ? next->also_ : first_;
  }
  if (stay) {
    entered_ = true;
    for (waiter* w = first_; w != nullptr; w = w->also_) w->enter();
  }
  return false;
}

void awaiting::suspend(root& task, std::coroutine_handle<> leaf, const wait_kind& kind) noexcept {
  task_ = &task;
  if (task.begin_wait(leaf, this, kind) && settle(true)) task.complete();
}

void awaiting::leave_lists() noexcept {
  if (!entered_) return;
  granted g;
  const all_locked hold(first_);
  for (waiter* w = first_; w != nullptr; w = w->also_) {
    if (w != decided_.load(std::memory_order_relaxed) && w->guard() != nullptr) w->leave(g);
  }
}

void awaiting::cancel(root& task, void* self) noexcept {
  auto& a = *static_cast<awaiting*>(self);
  {
    granted g;
    const all_locked hold(a.first_);
    if (!a.claim(given_up)) return;  // its wake is on the way
    for (waiter* w = a.first_; w != nullptr; w = w->also_) w->leave(g);
  }
  task.stop();
}

}  // namespace corespun::detail
