#include <corespun/runtime/detail/core.hpp>

#include <corespun/runtime/detail/frame.hpp>
#include <corespun/runtime/detail/machine.hpp>
#include <corespun/runtime/detail/simulation.hpp>

namespace corespun {
namespace detail {
namespace {

constinit thread_local core* current_core = nullptr;

}  // namespace

// Not inlined: a coroutine may be resumed on another thread, and the compiler would keep the
// address of the thread-local.
[[gnu::noinline]] core* core::current() noexcept {
  asm volatile("");
  return current_core;
}

void core::stand_in(core* c) noexcept { current_core = c; }

void core::attach(std::unique_ptr<driver> d) {
  stand_in(this);
  driver_ = std::move(d);
  driver_->attach(*this);
}

void core::preemption_point() noexcept {
  if (simulation_ != nullptr) simulation_->preemption_point();
}

void core::begin_end() noexcept {
  ending_ = true;
  driver_->cancel_all();
}

void core::run() {
  while (!finished()) turn();
  release_free_frames();
}

void core::turn() noexcept {
  sleeping_.store(false, std::memory_order_relaxed);
  run_ready();                      // own tasks, at most one budget
  take_mail();                      // what other threads sent
  timers_.advance(now());           // what has become due
  driver_->poll(sleep_deadline());  // submit, and wait if there is nothing else to do
}

void core::run_ready() noexcept {
  for (unsigned left = run_budget; left > 0 && !ready_.empty(); --left) {
    inline_left_ = inline_budget;
    // A simulation runs the ready roots in any order; production takes the oldest.
    if (simulation_ != nullptr) {
      for (auto skip = simulation_->choose(ready_.size(), sim::site::next_task); skip > 0; --skip)
        ready_.push(ready_.pop());
    }
    running_ = &ready_.pop();
    running_->resume();
    running_ = nullptr;
    while (left_ != nullptr) {
      mail& m = *left_;
      left_ = m.next;
      m.deliver(m);
    }
  }
}

void core::take_mail() noexcept {
  for (mail* m = inbox_.take(); m != nullptr;) {
    mail* const following = m->next;
    m->deliver(*m);
    m = following;
  }
}

clock::time_point core::sleep_deadline() noexcept {
  if (!ready_.empty() || finished()) return clock::time_point::min();
  preemption_point();
  sleeping_.store(true, std::memory_order_seq_cst);  // I1 step 1
  preemption_point();
  if (!inbox_.empty()) return clock::time_point::min();  // I1 step 2
  preemption_point();
  return timers_.next_deadline();
}

bool core::finished() noexcept {
  return ending_ && ready_.empty() && driver_->in_flight() == 0 && inbox_.empty();
}

void core::post(mail& m) noexcept {
  // P1: counted before the mail can be seen, released when this thread has let go of the core.
  std::atomic<unsigned>* const counted = current() == nullptr ? &machine_.posters : nullptr;
  if (counted != nullptr) counted->fetch_add(1, std::memory_order_relaxed);
  inbox_.push(m);  // I1 step 1
  if (counted == nullptr) preemption_point();
  // I1 step 2; the exchange lets one of several posters pay for the wake.
  if (sleeping_.load(std::memory_order_seq_cst) &&
      sleeping_.exchange(false, std::memory_order_seq_cst)) {
    driver_->wake();
  }
  if (counted != nullptr) counted->fetch_sub(1, std::memory_order_release);
}

clock::time_point core::now() const noexcept {
  if (simulation_ != nullptr) return simulation_->now();
  return clock::time_point(std::chrono::steady_clock::now().time_since_epoch());
}

}  // namespace detail

clock::time_point clock::now() noexcept {
  if (const detail::core* const c = detail::core::current(); c != nullptr) return c->now();
  if (const detail::simulation* const s = detail::simulation::playing(); s != nullptr)
    return s->now();
  return time_point(std::chrono::steady_clock::now().time_since_epoch());
}

}  // namespace corespun
