#include <corespun/runtime/detail/root.hpp>

#include <corespun/runtime/detail/core.hpp>

namespace corespun::detail {

void root::complete() noexcept {
  kind_ = nullptr;
  home_->make_ready(*this);
}

void root::stop() noexcept {
  kind_ = nullptr;
  stopping_ = true;
  home_->make_ready(*this);
}

void root::complete_from_any_thread() noexcept {
  if (core::current() == home_) {
    complete();
    return;
  }
  deliver = [](mail& m) noexcept { static_cast<root&>(m).complete(); };
  home_->post(*this);
}

std::coroutine_handle<> root::ended() noexcept { return owner_->child_ended(*this); }

void root::resume() noexcept {
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
