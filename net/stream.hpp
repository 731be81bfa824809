#pragma once
// tcp_stream: a connection, TCP or Unix. tcp_listener: where connections come from.
//
//   while (true) {
//     auto data = co_await stream.recv();      // bytes in a buffer of the core's pool
//     if (!data || data->empty()) co_return;   // an error, or the peer has ended
//     if (!co_await stream.write_all(data->text())) co_return;
//   }
//
// Invariants
//   - An idle connection holds no buffer: recv() takes one when data come.
//   - TCP_NODELAY is on. Writing to a peer that is gone is EPIPE, never a signal.
//   - One task reads and one writes at a time; they may be two.
//   - It comes to the core of the task that uses it, or, while another task uses it, a free task
//     goes to it. Descriptors that are in a table of one core stay where they began
//     (io/options.hpp), and multishot receives under free tasks.
// Errors: the kernel's errno; errc::closed after close(). Threads: tasks of any core of its
// runtime; close() and moving it only when no other task is about to begin something with it.
// Cancel: what moved is delivered, see fd.hpp.

#include <corespun/io/detail/multishot.hpp>
#include <corespun/io/detail/raw_fd.hpp>
#include <corespun/io/detail/recv.hpp>
#include <corespun/io/fd.hpp>
#include <corespun/net/address.hpp>

#include <sys/uio.h>

#include <string_view>

namespace corespun {
namespace detail {

class [[nodiscard]] parts_awaiter : public op_awaiter {
 public:
  parts_awaiter(file& f, std::span<iovec> parts) noexcept;
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
  [[nodiscard]] static op_code code() noexcept { return op_code::send_parts; }
  [[nodiscard]] file* used() const noexcept { return file_; }
  [[nodiscard]] op& fill(io_driver& d);
  file* file_;
  msghdr message_;
};

}  // namespace detail

class tcp_stream {
 public:
  tcp_stream() noexcept {}  ///< none
  /// A connected socket. Its destructor closes in the background.
  explicit tcp_stream(fd socket) noexcept : socket_(std::move(socket)) {}

  /// Waits for data and leases them; an empty lease is the end of the stream. The buffers learn: a
  /// stream whose messages fill the small ones gets large ones. When all buffers are leased, waits
  /// until one comes back.
  [[nodiscard]] detail::recv_awaiter recv() { return detail::recv_awaiter(socket_.at()); }

  /// As in fd.hpp, into and from the caller's memory. Not for reading after use_multishot().
  [[nodiscard]] auto read_some(std::span<std::byte> buffer) { return socket_.read_some(buffer); }
  [[nodiscard]] auto read_exactly(std::span<std::byte> buffer) {
    return socket_.read_exactly(buffer);
  }
  [[nodiscard]] auto write_some(std::span<const std::byte> bytes) {
    return socket_.write_some(bytes);
  }
  [[nodiscard]] auto write_all(std::span<const std::byte> bytes) {
    return socket_.write_all(bytes);
  }
  [[nodiscard]] auto write_all(std::string_view text) {
    return socket_.write_all(std::as_bytes(std::span(text)));
  }
  /// Writes all parts in order. The array `parts` is used up; it and the bytes stay valid until the
  /// await returns.
  [[nodiscard]] detail::parts_awaiter write_all(std::span<iovec> parts) {
    return {socket_.at(), parts};
  }

  /// Ends the writing side; the peer reads the end after all that was written. Reading goes on.
  [[nodiscard]] detail::whole_awaiter shutdown_write();

  /// Cancels what is in flight, awaits it, closes. Unread data make the kernel reset the
  /// connection: read to the end first where the last written bytes matter.
  [[nodiscard]] detail::close_awaiter close() noexcept { return socket_.close(); }

  /// With io_uring: from now on one receive stays armed and serves many messages, at most 16
  /// buffers ahead of recv(). Saves a submission per message. Elsewhere it changes nothing. Errors:
  /// std::bad_alloc.
  void use_multishot() {
    constexpr std::size_t ahead = 16;
    detail::file& f = socket_.at();
    detail::io_driver::here().use_multishot(f, detail::op_code::recv_lease, ahead);
  }

  /// setsockopt(2), for example set_option(SOL_SOCKET, SO_KEEPALIVE, 1). Errors:
  /// errc::not_supported for a descriptor that has no number here (native_handle()).
  [[nodiscard]] result<> set_option(int level, int name, int value) noexcept;
  [[nodiscard]] result<int> option(int level, int name) const noexcept;

  [[nodiscard]] result<address> local_address() const;
  [[nodiscard]] result<address> peer_address() const;

  [[nodiscard]] bool valid() const noexcept { return socket_.valid(); }
  [[nodiscard]] int native_handle() const noexcept { return socket_.native_handle(); }

  /// For the floors above.
  [[nodiscard]] detail::file& inner() const { return socket_.at(); }

 private:
  fd socket_;
};

namespace detail {

class [[nodiscard]] accept_awaiter : public op_awaiter {
 public:
  explicit accept_awaiter(file& f) noexcept : file_(&f) {}
  template <typename Promise>
  [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> self) {
    return start(self, *self.promise().owner);
  }
  [[nodiscard]] result<tcp_stream> await_resume() const;

 private:
  friend op_awaiter;
  [[nodiscard]] bool start(std::coroutine_handle<> leaf, root& task) {
    short_is_empty_ = file_->short_is_empty;
    return file_->many != nullptr ? wait_in_queue(*this, leaf, task) : begin(*this, leaf, task);
  }
  [[nodiscard]] static op_code code() noexcept { return op_code::accept; }
  [[nodiscard]] file* used() const noexcept { return file_; }
  [[nodiscard]] op& fill(io_driver& d) const;
  file* file_;
  bool short_is_empty_ = false;  // of the kind of its listener
};

}  // namespace detail

struct listen_options {
  listen_options() {}
  /// Connections that wait for accept(); the kernel's net.core.somaxconn is the upper bound.
  int backlog = 4096;
  /// With io_uring: one armed accept that serves many connections, at most 64 ahead of accept().
  /// Elsewhere nothing.
  bool multishot = false;
};

class tcp_listener;

/// A listener that is to be, on another core.
class listener_twin {
 public:
  /// On the core that is to accept; once. Errors: as tcp_listener::bind.
  [[nodiscard]] result<tcp_listener> listen();

 private:
  friend tcp_listener;
  listener_twin(const address& at, listen_options options, detail::raw_fd shared) noexcept
      : at_(at), options_(options), shared_(std::move(shared)) {}
  address at_;
  listen_options options_;
  detail::raw_fd shared_;  // of a Unix socket
};

class tcp_listener {
 public:
  /// Listens on the address; a Unix path that is left over from a dead server is replaced.
  /// Errors: EADDRINUSE even if the other listener would share the port; EACCES, EADDRNOTAVAIL.
  [[nodiscard]] static result<tcp_listener> bind(const address& at, listen_options options = {});
  /// Takes over a descriptor that listens already, from a parent process.
  /// Errors: EINVAL if it does not listen; then it is still the caller's.
  [[nodiscard]] static result<tcp_listener> adopt(int listening, listen_options options = {});
  /// A further listener on the same address, for another core: the kernel spreads connections over
  /// the listeners of a port (SO_REUSEPORT); a Unix socket is shared. Errors: EMFILE;
  /// errc::not_supported for a Unix socket where each core has a file table.
  [[nodiscard]] result<listener_twin> twin() const;
  /// Where its descriptor is at present.
  [[nodiscard]] unsigned core() const { return socket_.at().driver().home().index(); }

  /// The next connection. Errors: EMFILE and the like; connections that died meanwhile are passed
  /// over. Cancel: a connection that was accepted is delivered, or stays for the next accept().
  [[nodiscard]] detail::accept_awaiter accept() { return detail::accept_awaiter(socket_.at()); }

  [[nodiscard]] const address& local_address() const noexcept { return at_; }
  [[nodiscard]] const listen_options& options() const noexcept { return options_; }
  [[nodiscard]] detail::close_awaiter close() noexcept { return socket_.close(); }

 private:
  tcp_listener(fd socket, const address& at, listen_options options);
  fd socket_;
  address at_;
  listen_options options_;
};

}  // namespace corespun
