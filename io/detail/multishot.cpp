#include <corespun/io/detail/multishot.hpp>

#include <corespun/io/detail/error.hpp>
#include <corespun/runtime/detail/fatal.hpp>

#include <cerrno>
#include <new>

namespace corespun::detail {

const wait_kind multishot_queue::kind{"multishot I/O", [](root& waiter, void* self) noexcept {
                                        static_cast<multishot_queue*>(self)->waiter_ = nullptr;
                                        waiter.stop();
                                      }};

multishot_queue::~multishot_queue() {
  for (; taken_ < queue_.size(); ++taken_)
    driver_->drop(code_, queue_[taken_].result, queue_[taken_].flags);
  if (armed_ != nullptr) driver_->abandon(*armed_);
  if (waiter_ != nullptr) {
    waiter_->op_result = -own_error(errc::closed);
    waiter_->op_flags = 0;
    waiter_->complete();
  }
}

bool multishot_queue::wait(std::coroutine_handle<> leaf, root& task) {
  if (waiter_ != nullptr) {
    caller_bug("two tasks wait for the same multishot operation",
               "let one task own each direction of a stream");
  }
  if (!task.begin_wait(leaf, this, kind)) return true;
  if (taken_ < queue_.size() || lost_) {
    item next{-ENOMEM, 0};
    if (taken_ < queue_.size()) {
      next = queue_[taken_++];
    } else {
      lost_ = false;
    }
    task.op_result = next.result;
    task.op_flags = next.flags;
    if (taken_ == queue_.size()) {
      queue_.clear();
      taken_ = 0;
    }
    if (task.home().may_go_on_inline()) {
      (void)task.complete_inline();
      return false;
    }
    task.complete();
    return true;
  }
  waiter_ = &task;
  if (armed_ != nullptr) return true;
  try {
    arm();
  } catch (const std::bad_alloc&) {
    completed(-ENOMEM, 0, true);
  }
  return true;
}

void multishot_queue::arm() {
  armed_ = &driver_->make_op(code_, *file_);
  armed_->many = this;
  (void)driver_->submit(*armed_);
}

void multishot_queue::completed(int result, std::uint32_t flags, bool final) noexcept {
  if (final) armed_ = nullptr;
  if (final && pausing_) {
    pausing_ = false;
    if (result == -ECANCELED) {
      if (waiter_ == nullptr) return;
      arm();  // does not allocate: the record that has just ended is free
      return;
    }
  }
  if (waiter_ != nullptr) {
    root& task = *std::exchange(waiter_, nullptr);
    task.op_result = result;
    task.op_flags = flags;
    task.complete();
    return;
  }
  try {
    // After a hole nothing more is kept, until the task has been told.
    if (!lost_) queue_.push_back({result, flags});
  } catch (const std::bad_alloc&) {
    lost_ = true;
  }
  if (lost_) driver_->drop(code_, result, flags);
  if (!final && !pausing_ && queue_.size() - taken_ >= limit_) {
    pausing_ = true;
    driver_->end_many(*armed_);
  }
}

}  // namespace corespun::detail
