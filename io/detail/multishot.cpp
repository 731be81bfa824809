#include <corespun/io/detail/multishot.hpp>

#include <corespun/io/detail/error.hpp>
#include <corespun/io/detail/recv.hpp>
#include <corespun/runtime/detail/fatal.hpp>

#include <cerrno>
#include <new>

namespace corespun::detail {

const wait_kind multishot_queue::kind{"multishot I/O", [](root& waiter, void* self) noexcept {
                                        static_cast<multishot_queue*>(self)->waiter_ = nullptr;
                                        waiter.stop();
                                      }};

multishot_queue::~multishot_queue() {
  for (; taken_ < queue_.size(); ++taken_) {
    const item& left = queue_[taken_];
    left.from->drop(code_, left.result, left.flags);
  }
  if (armed_ != nullptr) driver_->abandon(*armed_);
  if (waiter_ != nullptr) {
    waiter_->op_result = -own_error(errc::closed);
    waiter_->op_flags = 0;
    waiter_->complete();
  }
  if (leaver_ != nullptr) {  // to find it closed
    static_cast<recv_awaiter*>(awaiter_)->prepare_to_go();
    static_cast<recv_awaiter*>(awaiter_)->go_on_at(*leaver_, *leaves_for_);
  }
}

bool multishot_queue::wait(std::coroutine_handle<> leaf, root& task, void* awaiter,
                           io_driver*& from) {
  from = driver_;
  if (waiter_ != nullptr || leaver_ != nullptr) {
    caller_bug("two tasks wait for the same multishot operation",
               "let one task own each direction of a stream");
  }
  if (!task.begin_wait(leaf, this, kind)) return true;
  if (taken_ < queue_.size() || lost_) {
    item next{-ENOMEM, 0, driver_};
    if (taken_ < queue_.size()) {
      next = queue_[taken_++];
    } else {
      lost_ = false;
    }
    task.op_result = next.result;
    task.op_flags = next.flags;
    from = next.from;
    if (2 * taken_ >= queue_.size()) {  // also when it never runs empty
      queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(taken_));
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
  awaiter_ = awaiter;
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
  armed_->buffers = file_->buffers;
  (void)driver_->submit(*armed_);
}

void multishot_queue::completed(int result, std::uint32_t flags, bool final) noexcept {
  if (final) armed_ = nullptr;
  if (leaver_ != nullptr) {
    if (result != -ECANCELED) keep(result, flags);
    if (final) depart();
    return;
  }
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
  } else {
    keep(result, flags);
  }
  if (!final && !pausing_ &&
      (queue_.size() - taken_ >= limit_ || driver_->wants_other_buffers(*armed_))) {
    pausing_ = true;
    driver_->end_early(*armed_);
  }
}

void multishot_queue::keep(int result, std::uint32_t flags) noexcept {
  try {
    // After a hole nothing more is kept, until the task has been told.
    if (!lost_) queue_.push_back({result, flags, driver_});
  } catch (const std::bad_alloc&) {
    lost_ = true;
  }
  if (lost_) driver_->drop(code_, result, flags);
}

// --- moving ---

bool multishot_queue::leave(recv_awaiter& self, root& task, core& there) noexcept {
  if (waiter_ != nullptr || leaver_ != nullptr) return false;
  awaiter_ = &self;
  leaver_ = &task;
  leaves_for_ = &there;
  if (armed_ != nullptr) {
    driver_->end_early(*armed_);  // completed() goes on
  } else {
    depart();
  }
  return true;
}

bool multishot_queue::send_away(root& task, core& there) noexcept {
  waiter_ = nullptr;
  (void)task.complete_inline();
  return leave(*static_cast<recv_awaiter*>(awaiter_), task, there);
}

void multishot_queue::depart() noexcept {
  pausing_ = false;
  driver_ = nullptr;
  recv_awaiter& self = *static_cast<recv_awaiter*>(awaiter_);
  root& task = *std::exchange(leaver_, nullptr);
  core& there = *leaves_for_;
  self.prepare_to_go();
  file_->let_go();  // others may close it now, and this queue with it
  self.go_on_at(task, there);
}

}  // namespace corespun::detail
