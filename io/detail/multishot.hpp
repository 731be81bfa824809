#pragma once
// multishot_queue: one armed operation (accept or recv) that completes many times, and a task that
// takes them one by one.
//
// Completions that nobody waits for are queued; at `limit` the operation is ended, and armed again
// when the queue is empty and somebody waits: back-pressure. Its file owns it; when the file
// closes, the waiting task gets errc::closed, and what is left is closed or given back. Threads:
// the core of its file.

#include <corespun/io/detail/io_driver.hpp>

#include <vector>

namespace corespun::detail {

class multishot_queue final : private sink {
 public:
  multishot_queue(file& f, io_driver& d, op_code code, std::size_t limit)
      : file_(&f), driver_(&d), limit_(limit), code_(code) {}
  multishot_queue(const multishot_queue&) = delete;
  multishot_queue& operator=(const multishot_queue&) = delete;
  ~multishot_queue();

  /// For await_suspend: true to stay suspended; false: the result is in the task's root.
  [[nodiscard]] bool wait(std::coroutine_handle<> leaf, root& task);

 private:
  struct item {
    int result;
    std::uint32_t flags;
  };
  void completed(int result, std::uint32_t flags, bool final) noexcept override;
  void arm();
  static const wait_kind kind;

  file* file_;
  io_driver* driver_;
  op* armed_ = nullptr;
  root* waiter_ = nullptr;
  std::vector<item> queue_;  // oldest first, from taken_ on
  std::size_t taken_ = 0;
  std::size_t limit_;
  op_code code_;
  bool pausing_ = false;  // the end of the armed operation was asked for
  bool lost_ = false;     // no memory to keep what came after the queue: ENOMEM is next
};

}  // namespace corespun::detail
