#include <corespun/runtime/detail/root.hpp>

#include <corespun/runtime/detail/core.hpp>

namespace corespun::detail {

void root::complete() noexcept {
  if (const std::uintptr_t word = wait_.load(std::memory_order_relaxed); (word & busy) != 0) {
    wait_.store(word | woken, std::memory_order_relaxed);  // cancel_pinned() goes on
    return;
  }
  wait_.store(0, std::memory_order_relaxed);
  home().make_ready(*this);
}

bool root::claim_wait() noexcept {
  if (core::current() == &home()) {
    const std::uintptr_t word = wait_.load(std::memory_order_relaxed);
    const bool claimed = (word & busy) == 0;
    wait_.store(claimed ? 0 : word | woken, std::memory_order_relaxed);
    return claimed;
  }
  // C2: acquires what the home core wrote, and tells it not to look any more
  std::uintptr_t word = wait_.load(std::memory_order_relaxed);
  while (!wait_.compare_exchange_weak(word, (word & busy) == 0 ? 0 : word | woken,
                                      std::memory_order_acq_rel, std::memory_order_relaxed)) {
  }
  return (word & busy) == 0;
}

void root::wake() noexcept {
  core& home = this->home();
  core* const here = core::current();
  if (here == &home || (here != nullptr && !bound_ && here->is_beside(home))) {
    here->make_ready(*this);
  } else if (!bound_ && here == nullptr) {
    home.inject(*this);
  } else {
    deliver = [](mail& m) noexcept {
      root& r = static_cast<root&>(m);
      r.home().make_ready(r);
    };
    home.post(*this);
  }
}

void root::go_to(std::coroutine_handle<> leaf, void* what, core& there,
                 void (*arrived)(mail&) noexcept) noexcept {
  leaf_ = leaf;
  what_ = what;
  move_to(there);
  deliver = arrived;
  there.post(*this);
}

core* root::cancel() noexcept {
  if (cancelled_.exchange(true, std::memory_order_seq_cst)) return nullptr;  // C1 step 1
  core* const where = waits_on();
  if (where == nullptr || where != core::current()) return where;
  carry_out_cancel();
  return nullptr;
}

// A wait that begins after the mark was set stops by itself, before it touches wait_ (C1). So the
// wait that is seen here, on its home, is the one that was marked, or it has ended.
bool root::pin_wait() noexcept {
  std::uintptr_t word = wait_.load(std::memory_order_seq_cst);
  if (word == 0 || (word & busy) != 0 || core::current() != &home()) return false;
  if (kind_of(word)->cancel == nullptr) return false;
  if (!wait_.compare_exchange_strong(word, word | busy, std::memory_order_acq_rel,
                                     std::memory_order_relaxed))  // C2
    return false;
  home().pin(*this);
  return true;
}

void root::carry_out_cancel() noexcept {
  if (pin_wait()) home().cancel_pinned();
}

void root::cancel_pinned() noexcept {
  const std::uintptr_t word = wait_.load(std::memory_order_relaxed) & ~woken;
  kind_of(word)->cancel(*this, what_);
  std::uintptr_t expected = word;
  if (wait_.compare_exchange_strong(expected, word & ~busy, std::memory_order_acq_rel,
                                    std::memory_order_acquire))
    return;
  wait_.store(0, std::memory_order_relaxed);
  home().make_ready(*this);
}

void root::resume() noexcept {
  if (above_ != nullptr) (void)cancelled_here_or_above();
  if (stopping_) {
    unwind();
  } else {
    leaf_.resume();
  }
}

void root::unwind() noexcept {
  stopping_ = false;
  std::coroutine_handle<> frame = leaf_;
  while (task_await* const awaited_by = promise_base::of(frame).awaited_by) {
    // the frame ends here, not in the destructor of the await: no recursion
    awaited_by->child = nullptr;
    frame.destroy();
    frame = awaited_by->parent;
    if (awaited_by->catches_stop) {
      frame.resume();
      return;
    }
  }
  destroy_frames();
  owner_->child_ended(*this).resume();
}

}  // namespace corespun::detail
