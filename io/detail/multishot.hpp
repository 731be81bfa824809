#pragma once
// multishot_queue: one armed operation (accept or recv) that completes many times, and a task that
// takes them one by one.
//
// Completions that nobody waits for are queued; at `limit` the operation is ended, and armed again
// when the queue is empty and somebody waits: back-pressure. So it is when the stream needs larger
// buffers, or no longer. Its file owns it; when the file
// closes, the waiting task gets errc::closed, and what is left is closed or given back. A queue of
// receives moves with its file (recv.hpp). Threads: the core of its file.

#include <corespun/io/detail/io_driver.hpp>

#include <vector>

namespace corespun::detail {

class recv_awaiter;

class multishot_queue final : private sink {
 public:
  multishot_queue(file& f, io_driver& d, op_code code, std::size_t limit)
      : file_(&f), driver_(&d), limit_(limit), code_(code) {}
  multishot_queue(const multishot_queue&) = delete;
  multishot_queue& operator=(const multishot_queue&) = delete;
  ~multishot_queue();

  /// For the await_suspend of `awaiter`: true to stay suspended; false: the result is in the task's
  /// root. `from`: the driver that carried it out.
  [[nodiscard]] bool wait(std::coroutine_handle<> leaf, root& task, void* awaiter,
                          io_driver*& from);

  // --- moving ---

  [[nodiscard]] static bool is_wait(const wait_kind* k) noexcept { return k == &kind; }
  [[nodiscard]] bool is_waited_for_by(const root& task) const noexcept { return waiter_ == &task; }
  /// Ends what is armed and lets go of the file; then the task goes to that core, where it settles
  /// the queue. False: another task waits for it.
  [[nodiscard]] bool leave(recv_awaiter& self, root& task, core& there) noexcept;
  /// The same for the task that waits.
  [[nodiscard]] bool send_away(root& task, core& there) noexcept;
  /// The file has come to this driver and is held.
  void settle(io_driver& d) noexcept { driver_ = &d; }
  /// While the file is there.
  [[nodiscard]] bool is_settled_at(const io_driver& d) const noexcept { return driver_ == &d; }

 private:
  struct item {
    int result;
    std::uint32_t flags;
    io_driver* from;
  };
  void completed(int result, std::uint32_t flags, bool final) noexcept override;
  void arm();
  void keep(int result, std::uint32_t flags) noexcept;
  void depart() noexcept;
  static const wait_kind kind;

  file* file_;
  io_driver* driver_;  // nullptr: on its way
  op* armed_ = nullptr;
  root* waiter_ = nullptr;
  void* awaiter_ = nullptr;  // of the waiter or the leaver
  root* leaver_ = nullptr;  // takes the file with it when nothing is armed any more
  core* leaves_for_ = nullptr;
  std::vector<item> queue_;  // oldest first, from taken_ on
  std::size_t taken_ = 0;
  std::size_t limit_;
  op_code code_;
  bool pausing_ = false;  // the end of the armed operation was asked for
  bool lost_ = false;  // no memory to keep what came after the queue: ENOMEM is next
};

}  // namespace corespun::detail
