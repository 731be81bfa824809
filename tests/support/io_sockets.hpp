#pragma once
// The other ends: descriptors that belong to the test itself and are used by plain system calls.
// Those calls do not block the core for long: what they send fits into the kernel's buffers, and
// what they receive has been sent.

#include <corespun/io/fd.hpp>
#include <corespun/net/address.hpp>
#include <corespun/net/stream.hpp>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "tests/support/io_run.hpp"

namespace corespun::test {

/// A system call that must work.
inline int sys(long value, const char* call) {
  if (value < 0) throw std::system_error(errno, std::system_category(), call);
  return static_cast<int>(value);
}

/// The system calls of the lane.
[[nodiscard]] inline detail::os_calls& os() {
  return on_sim() ? sim_machine::get().kernel : detail::sys();
}

/// These block, and only these; nothing else goes on meanwhile on that core.
inline long write_now(int fd, const void* from, std::size_t bytes) {
  if (!on_sim()) return ::write(fd, from, bytes);
  sim_machine& m = sim_machine::get();
  if (fd < detail::sim_host::first_descriptor) return ::write(fd, from, bytes);
  return m.block([&] { return m.kernel.send(*m.kernel.at(fd), from, bytes); });
}
inline long read_now(int fd, void* to, std::size_t bytes) {
  if (!on_sim() || fd < detail::sim_host::first_descriptor) return ::read(fd, to, bytes);
  sim_machine& m = sim_machine::get();
  return m.block([&] { return m.kernel.receive(*m.kernel.at(fd), to, bytes); });
}

class raw {
 public:
  raw() noexcept {}
  explicit raw(int fd) noexcept : fd_(fd) {}
  raw(raw&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  raw& operator=(raw&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~raw() { reset(); }

  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  void reset() noexcept {
    if (fd_ >= 0) os().close(std::exchange(fd_, -1));
  }

 private:
  int fd_ = -1;
};

struct raw_pair {
  raw_pair(int a, int b) noexcept : one(a), two(b) {}
  raw one;
  raw two;
};

/// Two ends of a Unix socket.
[[nodiscard]] inline raw_pair socket_pair(int type = SOCK_STREAM) {
  int ends[2];
  sys(on_sim() ? sim_machine::get().kernel.pair(AF_UNIX, type, ends)
               : ::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends),
      "socketpair");
  return {ends[0], ends[1]};
}

/// `one` reads what is written to `two`.
[[nodiscard]] inline raw_pair pipe_pair(int flags = 0) {
  int ends[2];
  sys(on_sim() ? sim_machine::get().kernel.pipe(ends) : ::pipe2(ends, O_CLOEXEC | flags), "pipe2");
  return {ends[0], ends[1]};
}

[[nodiscard]] inline raw raw_socket(const address& to, int flags = 0) {
  if (on_sim()) return raw(sys(os().socket(to.family(), SOCK_STREAM), "socket"));
  return raw(sys(::socket(to.family(), SOCK_STREAM | SOCK_CLOEXEC | flags, 0), "socket"));
}

[[nodiscard]] inline raw connected_to(const address& to) {
  raw s = raw_socket(to);
  sys(os().connect(s.get(), to.native(), to.native_size()), "connect");
  return s;
}

[[nodiscard]] inline raw raw_listener(const address& at, int backlog = 16) {
  raw s = raw_socket(at);
  sys(os().bind(s.get(), at.native(), at.native_size()), "bind");
  sys(os().listen(s.get(), backlog), "listen");
  return s;
}

[[nodiscard]] inline address bound_address(const raw& s) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  auto* const native = reinterpret_cast<sockaddr*>(&storage);
  sys(os().local_name(s.get(), native, &size), "getsockname");
  return address::from_native(native, size);
}

[[nodiscard]] inline raw accepted_from(const raw& listener) {
  sim_machine* const m = on_sim() ? &sim_machine::get() : nullptr;
  return raw(sys(m != nullptr
                     ? m->block([&] { return m->kernel.accept(*m->kernel.at(listener.get())); })
                     : ::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC),
                 "accept4"));
}

/// Two ends of a TCP connection over loopback.
[[nodiscard]] inline raw_pair tcp_pair() {
  const raw listener = raw_listener(address::loopback(0));
  raw client = connected_to(bound_address(listener));
  return {accepted_from(listener).release(), client.release()};
}

[[nodiscard]] inline fd adopted(raw end) {
  fd owned = need(fd::adopt(end.get()));
  (void)end.release();
  return owned;
}
[[nodiscard]] inline tcp_stream stream_on(raw end) { return tcp_stream(adopted(std::move(end))); }

/// The kernel keeps few bytes under way.
inline void shrink_buffers(const raw& s) {
  const int bytes = 4096;
  sys(os().set_option(s.get(), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes), "SO_SNDBUF");
  sys(os().set_option(s.get(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes), "SO_RCVBUF");
}

/// The next close resets the connection.
inline void reset_on_close(const raw& s) {
  const linger now{1, 0};
  sys(os().set_option(s.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now), "SO_LINGER");
}

inline void send_now(const raw& s, std::string_view text) {
  while (!text.empty()) {
    text.remove_prefix(
        static_cast<std::size_t>(sys(write_now(s.get(), text.data(), text.size()), "write")));
  }
}

/// Exactly so many bytes, or less at the end of the stream. Blocks.
[[nodiscard]] inline std::string receive_now(const raw& s, std::size_t bytes) {
  std::string text(bytes, '\0');
  std::size_t have = 0;
  while (have < bytes) {
    const int n = sys(read_now(s.get(), text.data() + have, bytes - have), "read");
    if (n == 0) break;
    have += static_cast<std::size_t>(n);
  }
  text.resize(have);
  return text;
}

/// Writes until nothing more fits; how many bytes went in.
inline std::size_t fill(const raw& s) {
  const std::string block(4096, 'x');
  std::size_t total = 0;
  while (true) {
    const long n = on_sim()
                       ? sim_machine::get().kernel.send(*sim_machine::get().kernel.at(s.get()),
                                                        block.data(), block.size())
                       : ::send(s.get(), block.data(), block.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0) return total;
    total += static_cast<std::size_t>(n);
  }
}

/// A listener whose queue is full, so that a further connection attempt gets no answer.
class deaf_listener {
 public:
  deaf_listener() : listener_(raw_listener(address::loopback(0), 0)) {
    while (true) {
      raw s = raw_socket(address(at()), SOCK_NONBLOCK);
      (void)os().connect(s.get(), at().native(), at().native_size());
      const bool answered = connects(s);
      waiting_.push_back(std::move(s));
      if (!answered) return;
    }
  }
  [[nodiscard]] address at() const { return bound_address(listener_); }

 private:
  static bool connects(const raw& s) {
    if (on_sim()) return sim_machine::get().kernel.at(s.get())->writable();
    pollfd p{s.get(), POLLOUT, 0};
    return ::poll(&p, 1, 100) == 1;
  }

  raw listener_;
  std::vector<raw> waiting_;
};

/// Bytes that differ from their neighbours, so that a shift is seen.
[[nodiscard]] inline std::vector<std::byte> pattern(std::size_t size, unsigned seed = 1) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) {
    seed = seed * 1664525U + 1013904223U;
    bytes[i] = static_cast<std::byte>(seed >> 24);
  }
  return bytes;
}

[[nodiscard]] inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}
[[nodiscard]] inline std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Raises the soft limit of descriptors as far as it goes; what it then is.
inline std::size_t descriptor_limit() {
  if (on_sim()) return sim_machine::get().kernel.descriptor_limit;
  rlimit limit{};
  sys(::getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
  limit.rlim_cur = limit.rlim_max;
  sys(::setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
  return limit.rlim_cur;
}

/// No new descriptors for this process while it lives.
class no_more_descriptors {
 public:
  no_more_descriptors() {
    if (on_sim()) {
      auto& kernel = sim_machine::get().kernel;
      before_.rlim_cur = std::exchange(kernel.descriptor_limit, 0);
      return;
    }
    sys(::getrlimit(RLIMIT_NOFILE, &before_), "getrlimit");
    const rlimit none{3, before_.rlim_max};
    sys(::setrlimit(RLIMIT_NOFILE, &none), "setrlimit");
  }
  no_more_descriptors(const no_more_descriptors&) = delete;
  no_more_descriptors& operator=(const no_more_descriptors&) = delete;
  ~no_more_descriptors() {
    if (on_sim()) {
      sim_machine::get().kernel.descriptor_limit = before_.rlim_cur;
    } else {
      ::setrlimit(RLIMIT_NOFILE, &before_);
    }
  }

 private:
  rlimit before_{};
};

}  // namespace corespun::test
