#include <corespun/io/detail/multishot.hpp>

#include <corespun/runtime/detail/fatal.hpp>

#include <cerrno>
#include <new>

namespace corespun::detail {

const wait_kind multishot_queue::kind{"multishot I/O", [](root& waiter, void* self) noexcept {
                                        static_cast<multishot_queue*>(self)->waiter_ = nullptr;
                                        waiter.stop();
                                      }};

multishot_queue::~multishot_queue() {
  for (const item& i : queue_) file_->driver->drop(code_, i.result, i.flags);
  if (armed_ != nullptr) file_->driver->abandon(*armed_);
}

bool multishot_queue::wait(std::coroutine_handle<> leaf, root& task) {
  if (waiter_ != nullptr) {
    caller_bug("two tasks wait for the same multishot operation", "let one task own each direction of a stream");
  }
  if (!task.begin_wait(leaf, this, kind)) return true;
  if (!queue_.empty()) {
    const item next = queue_.front();
    queue_.pop_front();
    task.op_result = next.result;
    task.op_flags = next.flags;
    if (task.home().may_go_on_inline()) {
      (void)task.complete_inline();
      return false;
    }
    task.complete();
    return true;
  }
  if (armed_ == nullptr) {
    try {
      arm();
    } catch (const std::bad_alloc&) {
      task.op_result = -ENOMEM;
      task.op_flags = 0;
      (void)task.complete_inline();
      return false;
    }
  }
  waiter_ = &task;
  return true;
}

void multishot_queue::arm() {
  io_driver& driver = *file_->driver;
  armed_ = &driver.make_op(code_, *file_);
  armed_->many = this;
  (void)driver.submit(*armed_);  // a ring never ends a multishot operation at once
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
  queue_.push_back({result, flags});
  if (!final && !pausing_ && queue_.size() >= limit_) {
    pausing_ = true;
    file_->driver->end_many(*armed_);
  }
}

}  // namespace corespun::detail
