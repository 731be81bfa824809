#pragma once
// The awaiters of I/O. Each takes a record of the core's driver, fills it and waits for its end.

#include <corespun/io/detail/error.hpp>
#include <corespun/io/detail/io_driver.hpp>
#include <corespun/runtime/detail/fatal.hpp>
#include <corespun/runtime/task.hpp>

#include <cerrno>
#include <new>

namespace corespun::detail {

/// One operation; Derived fills the record (prepare) and reads the result (await_resume).
class op_awaiter {
 public:
  [[nodiscard]] bool await_ready() const noexcept { return false; }

 protected:
  op_awaiter() noexcept {}

  /// False: it has completed, go on.
  template <typename Prepare>
  [[nodiscard]] bool begin(std::coroutine_handle<> leaf, root& task, op_code code,
                           Prepare&& prepare) {
    task_ = &task;
    if (!task.begin_wait(leaf, this, kind_of(code))) return true;
    core& home = task.home();
    io_driver& driver = io_driver::of(home);
    try {
      op_ = &prepare(driver);
    } catch (const std::bad_alloc&) {
      task.op_result = -ENOMEM;
      (void)task.complete_inline();
      return false;
    }
    op_->task = &task;
    if (!driver.submit(*op_)) return true;
    // It needed no wait. Going on at once is the fast path, but not for ever.
    if (!home.may_go_on_inline()) {
      task.complete();
      return true;
    }
    (void)task.complete_inline();
    return false;
  }
  /// The wait is made by somebody else.
  void begin_elsewhere(root& task) noexcept { task_ = &task; }
  [[nodiscard]] int outcome() const noexcept { return task_->op_result; }
  [[nodiscard]] std::uint32_t flags() const noexcept { return task_->op_flags; }

 private:
  [[nodiscard]] static const wait_kind& kind_of(op_code code) noexcept;
  void cancel() noexcept;
  root* task_ = nullptr;
  op* op_ = nullptr;
};

}  // namespace corespun::detail
