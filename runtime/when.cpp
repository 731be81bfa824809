#include <corespun/runtime/when.hpp>

namespace corespun::detail {

const wait_kind group::kind{
    "group", [](root&, void* self) noexcept { static_cast<group*>(self)->cancel_branches(); },
    [](void* self, child_visitor visitor, void* context) {
      for (root& b : static_cast<group*>(self)->branches_) visitor(context, b);
    }};

std::coroutine_handle<> group::start(root& parent, std::coroutine_handle<> leaf,
                                     std::span<root> branches,
                                     std::span<std::coroutine_handle<>> bodies) noexcept {
  if (!parent.begin_wait(leaf, this, kind)) return std::noop_coroutine();
  if (branches.empty()) return parent.complete_inline();
  parent_ = &parent;
  branches_ = branches;
  left_ = branches.size();
  core& home = parent.home();
  for (std::size_t i = 0; i < branches.size(); ++i) {
    branches[i].adopt(home, *this, bodies[i]);
    if (i > 0) branches[i].complete();
  }
  return bodies[0];
}

std::coroutine_handle<> group::child_ended(root& child) noexcept {
  const bool decides = rule_ == until::first || (rule_ == until::all_or_failure && child.error());
  if (decides && decisive_ == none) {
    decisive_ = static_cast<std::size_t>(&child - branches_.data());
    cancel_branches();
  }
  if (--left_ > 0) return std::noop_coroutine();

  const auto stopped = [](const root& r) { return r.was_stopped(); };
  bool lost = false;
  if (decisive_ != none) {
    lost = branches_[decisive_].was_stopped();
  } else if (rule_ == until::all_or_failure || parent_->cancelled()) {
    for (const root& b : branches_) lost = lost || stopped(b);
  }
  if (lost) {
    parent_->stop();
    return std::noop_coroutine();
  }
  return parent_->complete_inline();
}

void group::cancel_branches() noexcept {
  for (root& b : branches_) b.cancel();
}

}  // namespace corespun::detail
