#pragma once
// recv_awaiter: receives into a lease. Of all operations the only one that can change its core
// while it waits, so that an idle connection can be moved, its task with it (send_away).
//
// A move from core A to core B
//
//   step                              the task is            the file is
//   1  A ends what is armed           waiting on A           held by A
//      (multishot: what it still brings stays in the queue, in order)
//   2  A lets go of the file          under way to B         with A, held by nobody
//   3  B takes the file and arms      waiting on B           held by B
//
// Data that arrive in step 1 of a one-shot receive are its result, which the task takes along.
// While it is under way it cannot be cancelled or closed under; it finds that out where it arrives.
// Others may use the file meanwhile. If B finds it held by another core, a free task goes there, as
// always; a bound one pays a visit (fetch): if the stream has been closed it brings that home, and
// if the file lies in a multishot queue that is armed there, it has it released.
//
// A bound task that went elsewhere by itself (resume_on) fetches its multishot file in the same
// way.

#include <corespun/io/detail/await.hpp>
#include <corespun/io/lease.hpp>
#include <corespun/runtime/result.hpp>

namespace corespun::detail {

class [[nodiscard]] recv_awaiter : public op_awaiter {
 public:
  explicit recv_awaiter(file& f) noexcept : file_(&f) {}

  template <typename Promise>
  [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> self) {
    return start(self, *self.promise().owner);
  }
  [[nodiscard]] result<lease> await_resume() const noexcept;

  /// After step 1, with the result of the receive: step 2, and then its task goes to that core.
  void leave(root& task, core& there) noexcept;
  /// Between step 1 and 2.
  void prepare_to_go() noexcept { set_out(*file_); }
  /// After step 2: its task goes to that core.
  void go_on_at(root& task, core& there) noexcept;

 private:
  friend op_awaiter;
  friend bool waits_for_data(const root& task) noexcept;
  [[nodiscard]] bool start(std::coroutine_handle<> leaf, root& task) {
    return file_->many != nullptr ? wait_in_queue(*this, leaf, task) : begin(*this, leaf, task);
  }
  [[nodiscard]] static op_code code() noexcept { return op_code::recv_lease; }
  [[nodiscard]] file* used() const noexcept { return file_; }
  [[nodiscard]] op& fill(io_driver& d) const;
  [[nodiscard]] bool fetches(std::coroutine_handle<> leaf, root& task) noexcept;
  void visit(std::coroutine_handle<> leaf, root& task) noexcept;
  void look_around(root& task) noexcept;
  void end_at(root& task, core& there) noexcept;
  file* file_;
  core* comes_from_ = nullptr;  // while it pays a visit
};

/// Any thread; a glance, unless it waits on this core.
[[nodiscard]] bool waits_for_data(const root& task) noexcept;

/// On the core of the task, which waits for the end of recv() on the file and for nothing else:
/// both go to another core and wait there. False: it waits no more, or somebody writes, or the file
/// is not the one of that generation, or cannot move.
[[nodiscard]] bool send_away(file& f, std::uint32_t generation, root& task, core& there) noexcept;

}  // namespace corespun::detail
