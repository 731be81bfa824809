#pragma once
// recv_awaiter: receives into a lease. Of all operations the only one that can change its core while it
// waits, so that an idle connection can be moved, its task with it (send_away).
//
// How a file moves
//   one by one   the operation is cancelled; when it has ended without bytes, the task goes to the
//                other core and begins there anew, and the file comes as it always does
//   multishot    the armed operation is cancelled; what it still brought stays in the queue, in
//                order; then the task goes, the queue comes with the file and arms there
// A bound task that went elsewhere itself (resume_on) fetches its multishot file in the same way.

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

  /// On the core of the file, which it has let go: its task goes to that core and receives there.
  void go_on_at(root& task, core& there) noexcept;

 private:
  friend op_awaiter;
  [[nodiscard]] bool start(std::coroutine_handle<> leaf, root& task) {
    return file_->many != nullptr ? wait_in_queue(*this, leaf, task, fetch)
                                  : begin(*this, leaf, task);
  }
  [[nodiscard]] static op_code code() noexcept { return op_code::recv_lease; }
  [[nodiscard]] file* used() const noexcept { return file_; }
  [[nodiscard]] op& fill(io_driver& d) const;
  static void fetch(recv_awaiter& self, std::coroutine_handle<> leaf, root& task);
  void fetch_from_here(root& task) noexcept;
  file* file_;
  core* comes_from_ = nullptr;  // while it fetches
};

/// On the core of the task, which waits for the end of recv() on the file and for nothing else: both
/// go to another core and wait there. False: it waits no more, or somebody writes, or the file is not
/// the one of that generation, or cannot move. Data that arrive first keep it here.
[[nodiscard]] bool send_away(file& f, std::uint32_t generation, root& task, core& there) noexcept;

}  // namespace corespun::detail
