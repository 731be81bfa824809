#pragma once
// fd: a descriptor that corespun owns, and the four ways to move bytes through it.
//
// Invariants
//   - At most one operation per direction at a time; a second one is a bug and says so.
//   - An operation returns only after the kernel has let go of the caller's memory.
//   - An operation that was cancelled after bytes had moved returns them; the task is stopped at
//     its next await. Only read_exactly and write_all, which are many operations, may end as
//     stopped in the middle of their bytes.
// Errors: the kernel's errno; errc::closed if close() came first.
// Threads: tasks of any core of its runtime, see tcp_stream; the destructor on any thread.

#include <corespun/io/detail/await.hpp>
#include <corespun/io/lease.hpp>
#include <corespun/runtime/result.hpp>

#include <cstddef>
#include <span>
#include <utility>

struct iovec;

namespace corespun {
namespace detail {

/// read_some, write_some, read_exactly, write_all: one transfer of the caller's memory.
class [[nodiscard]] transfer_awaiter : public op_awaiter {
 public:
  transfer_awaiter(file& f, op_code code, void* address, std::size_t length, bool whole) noexcept
      : file_(&f), address_(address), length_(length), code_(code), whole_(whole) {}

  template <typename Promise>
  [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> self) {
    return start(self, *self.promise().owner);
  }

 private:
  friend op_awaiter;
  [[nodiscard]] bool start(std::coroutine_handle<> leaf, root& task) {
    return begin(*this, leaf, task);
  }
  [[nodiscard]] op_code code() const noexcept { return code_; }
  [[nodiscard]] file* used() const noexcept { return file_; }
  [[nodiscard]] op& fill(io_driver& d) const;
  file* file_;
  void* address_;
  std::size_t length_;
  op_code code_;
  bool whole_;
};

class [[nodiscard]] some_awaiter : public transfer_awaiter {
 public:
  using transfer_awaiter::transfer_awaiter;
  [[nodiscard]] result<std::size_t> await_resume() const noexcept {
    if (outcome() < 0) return std::unexpected(error_of(outcome()));
    return static_cast<std::size_t>(outcome());
  }
};

class [[nodiscard]] whole_awaiter : public transfer_awaiter {
 public:
  using transfer_awaiter::transfer_awaiter;
  [[nodiscard]] result<> await_resume() const noexcept {
    if (outcome() < 0) return std::unexpected(error_of(outcome()));
    return {};
  }
};

class [[nodiscard]] close_awaiter {
 public:
  explicit close_awaiter(file* f) noexcept : file_(f) {}
  close_awaiter(close_awaiter&& other) noexcept : file_(std::exchange(other.file_, nullptr)) {}
  ~close_awaiter();

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <typename Promise>
  void await_suspend(std::coroutine_handle<Promise> self) noexcept {
    task_ = self.promise().owner;
    if (task_->begin_wait(self, this, kind)) begin();
  }
  [[nodiscard]] result<> await_resume() const noexcept {
    if (task_->op_result < 0) return std::unexpected(error_of(task_->op_result));
    return {};
  }

 private:
  void begin() noexcept;
  static const wait_kind kind;
  file* file_;
  root* task_ = nullptr;
};

/// Waits until a descriptor of another library is ready.
class [[nodiscard]] ready_awaiter : public op_awaiter {
 public:
  ready_awaiter(int fd, bool writable) noexcept : fd_(fd), writable_(writable) {}

  template <typename Promise>
  [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> self) {
    return start(self, *self.promise().owner);
  }
  [[nodiscard]] result<> await_resume() const noexcept {
    if (outcome() < 0) return std::unexpected(error_of(outcome()));
    return {};
  }

 private:
  friend op_awaiter;
  [[nodiscard]] bool start(std::coroutine_handle<> leaf, root& task) {
    return begin(*this, leaf, task);
  }
  [[nodiscard]] static op_code code() noexcept { return op_code::poll; }
  [[nodiscard]] static file* used() noexcept { return nullptr; }
  [[nodiscard]] op& fill(io_driver& d) const;
  int fd_;
  bool writable_;
};

}  // namespace detail

class fd {
 public:
  fd() noexcept {}  ///< none
  fd(fd&& other) noexcept : file_(std::exchange(other.file_, nullptr)) {}
  fd& operator=(fd&& other) noexcept {
    fd old(std::move(*this));
    file_ = std::exchange(other.file_, nullptr);
    return *this;
  }
  /// Closes in the background: what is in flight is cancelled and awaited first.
  ~fd();

  /// Takes a descriptor over: a socket, a pipe, a terminal or a regular file. With epoll, a
  /// descriptor that is no socket is made non-blocking until it is closed; regular files are read
  /// on helper threads. Errors: EBADF, ENOMEM; then it is still the caller's. Call it on the core
  /// that will use it.
  [[nodiscard]] static result<fd> adopt(int native);

  [[nodiscard]] bool valid() const noexcept { return file_ != nullptr; }
  /// -1 for none, for a direct descriptor, and for one in the file table of another core.
  [[nodiscard]] int native_handle() const noexcept;

  /// Reads what is there, at least one byte, waiting for it if need be; 0: the end.
  [[nodiscard]] detail::some_awaiter read_some(std::span<std::byte> buffer) {
    return {at(), how(detail::op_code::read, detail::op_code::recv), buffer.data(), buffer.size(),
            false};
  }
  /// Writes at least one byte.
  [[nodiscard]] detail::some_awaiter write_some(std::span<const std::byte> bytes) {
    return {at(), how(detail::op_code::write, detail::op_code::send), memory(bytes), bytes.size(),
            false};
  }
  /// Fills the buffer. Errors: errc::end_of_stream if the end comes before. Cancel: what was read
  /// so far is in the buffer, and how much is not told.
  [[nodiscard]] detail::whole_awaiter read_exactly(std::span<std::byte> buffer) {
    return {at(), how(detail::op_code::read, detail::op_code::recv), buffer.data(), buffer.size(),
            true};
  }
  /// Writes all. Cancel: some of it may have been written.
  [[nodiscard]] detail::whole_awaiter write_all(std::span<const std::byte> bytes) {
    return {at(), how(detail::op_code::write, detail::op_code::send), memory(bytes), bytes.size(),
            true};
  }

  /// Cancels what is in flight (it ends with errc::closed), awaits it, and closes. Afterwards
  /// valid() is false. Cancel: the descriptor is closed in the background.
  [[nodiscard]] detail::close_awaiter close() noexcept {
    return detail::close_awaiter(std::exchange(file_, nullptr));
  }

  /// For the floors above.
  explicit fd(detail::file& f) noexcept : file_(&f) {}
  [[nodiscard]] detail::file& at() const {
    if (file_ == nullptr)
      detail::caller_bug("an operation on a descriptor that was closed or moved from",
                         "check valid()");
    return *file_;
  }

 private:
  [[nodiscard]] detail::op_code how(detail::op_code plain, detail::op_code socket) const {
    return at().what == detail::file::kind::socket ? socket : plain;
  }
  static void* memory(std::span<const std::byte> bytes) noexcept {
    return const_cast<std::byte*>(bytes.data());
  }

  detail::file* file_ = nullptr;
};

/// Waits until a descriptor that another library owns can be read or written; it stays theirs. At
/// most one task waits for each direction. Keep it open meanwhile. Errors: the kernel's. Cancel:
/// leaves it unchanged.
[[nodiscard]] inline detail::ready_awaiter readable(int native) noexcept { return {native, false}; }
[[nodiscard]] inline detail::ready_awaiter writable(int native) noexcept { return {native, true}; }

}  // namespace corespun
