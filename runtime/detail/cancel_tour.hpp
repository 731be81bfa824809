#pragma once
// cancel_tour: carries the cancel of many roots out, on each core where one of them waits.
//
// It travels as one mail from core to core, in order of their numbers. One visit each is enough:
// waits that begin after the roots were marked stop by themselves (C1, root.hpp). The owner keeps
// itself and the roots alive until the tour has ended.

#include <corespun/runtime/detail/core.hpp>

namespace corespun::detail {

template <typename Owner>
class cancel_tour {
 public:
  /// The part of this core; then it travels on, and the next core calls (owner.*Next)(). True: that
  /// was the end. `visit` calls what it is given for each root, which is marked as cancelled; it
  /// may hold a lock.
  template <void (Owner::*Next)() noexcept, typename Visit>
  [[nodiscard]] bool ends_here(Owner& owner, Visit visit) noexcept {
    core* next = nullptr;
    visit([&](root& r) noexcept {
      if (r.pin_wait()) return;
      core* const there = r.waits_on();
      if (there == nullptr || there == core::current() || there->index() < from_) return;
      if (next == nullptr || there->index() < next->index()) next = there;
    });
    if (core* const here = core::current(); here != nullptr) here->cancel_pinned();
    if (next == nullptr) return true;
    from_ = next->index() + 1;
    next->post(mail_.template to<Next>(owner));
    return false;
  }

 private:
  unsigned from_ = 0;
  member_mail<Owner> mail_;
};

}  // namespace corespun::detail
