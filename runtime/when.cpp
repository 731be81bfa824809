#include <corespun/runtime/when.hpp>

#include <algorithm>

namespace corespun::detail {

const wait_kind group::kind{
    "group", [](root&, void* self) noexcept { static_cast<group*>(self)->cancel_branches(); },
    [](void* self, child_visitor visitor, void* context) {
      for (root& b : static_cast<group*>(self)->branches()) visitor(context, b);
    }};

std::coroutine_handle<> group::child_ended(root& child) noexcept {
  if (child.was_stopped()) any_stopped_.store(true, std::memory_order_relaxed);
  if (rule_ == until::first || (rule_ == until::all_or_failure && child.failed())) decide_by(child);
  core& here = child.home();
  const std::uint32_t ended = child.ended_before + 1;
  // Those that start and end meanwhile know nothing of us; but if we were all, there are none.
  const bool all = ended == count_ && &here == home_ && !cancelled_.load(std::memory_order_relaxed);
  if (!all) {
    if (root* const next = here.take_fork_of(branches()); next != nullptr) {
      next->ended_before = ended;
      here.goes_on(*next);
      return next->leaf();
    }
    if (left_.fetch_sub(ended, std::memory_order_acq_rel) != ended) return std::noop_coroutine();
  }
  return &here == home_ ? finish_at_home() : finish_on(here);
}

[[gnu::noinline]] void group::decide_by(const root& branch) noexcept {
  std::size_t nobody = none;
  const auto self = static_cast<std::size_t>(&branch - first_);
  if (decisive_.compare_exchange_strong(nobody, self, std::memory_order_relaxed)) cancel_branches();
}

bool group::is_lost() const noexcept {
  if (decisive() != none) return first_[decisive()].was_stopped();
  return any_stopped_.load(std::memory_order_relaxed) &&
         (rule_ == until::all_or_failure || parent_->cancelled());
}

std::coroutine_handle<> group::finish_at_home() noexcept {
  if (is_lost()) {
    parent_->stop();
    return std::noop_coroutine();
  }
  home_->goes_on(*parent_);
  return parent_->complete_inline();
}

/// Another core than the one where the parent waits.
std::coroutine_handle<> group::finish_on(core& here) noexcept {
  root& parent = *parent_;
  const bool lost = is_lost();
  if (lost) parent.will_stop();
  if (!parent.claim_wait()) return std::noop_coroutine();
  if (lost || parent.bound()) {
    parent.wake();
    return std::noop_coroutine();
  }
  here.goes_on(parent);
  return parent.leaf();
}

void group::cancel_branches() noexcept {
  if (cancelled_.exchange(true, std::memory_order_relaxed)) return;
  // J1: not if the last branch has ended on another core, which ends the wait at this very time.
  std::size_t left = left_.load(std::memory_order_relaxed);
  do {
    if (left == 0) return;
  } while (!left_.compare_exchange_weak(left, left + 1, std::memory_order_relaxed));
  for (root& b : branches()) b.mark_cancelled();
  carry_out_cancel();
}

void group::carry_out_cancel() noexcept {
  const auto all = [this](auto visit) { std::ranges::for_each(branches(), visit); };
  if (!tour_.ends_here<&group::carry_out_cancel>(*this, all)) return;
  if (left_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;  // J1
  root& parent = *parent_;
  if (is_lost()) parent.will_stop();
  if (parent.claim_wait()) parent.wake();
}

}  // namespace corespun::detail
