#pragma once
// os_calls: the calls on descriptors that are no operations, in one place, so that a simulation
// can answer them. As in section 2 of the manual: -1 and errno.

#include <sys/socket.h>
#include <sys/types.h>

namespace corespun::detail {

class os_calls {
 public:
  virtual ~os_calls() = default;

  /// SOCK_CLOEXEC and SOCK_NONBLOCK
  [[nodiscard]] virtual int socket(int family, int type) noexcept;
  [[nodiscard]] virtual int bind(int fd, const sockaddr* at, socklen_t size) noexcept;
  [[nodiscard]] virtual int listen(int fd, int backlog) noexcept;
  /// one attempt: does not wait on a non-blocking socket
  [[nodiscard]] virtual int connect(int fd, const sockaddr* to, socklen_t size) noexcept;
  virtual int set_option(int fd, int level, int name, const void* value, socklen_t size) noexcept;
  [[nodiscard]] virtual int option(int fd, int level, int name, void* value,
                                   socklen_t* size) noexcept;
  [[nodiscard]] virtual int local_name(int fd, sockaddr* at, socklen_t* size) noexcept;
  [[nodiscard]] virtual int peer_name(int fd, sockaddr* at, socklen_t* size) noexcept;
  /// with CLOEXEC
  [[nodiscard]] virtual int duplicate(int fd) noexcept;
  virtual int make_non_blocking(int fd) noexcept;
  virtual int close(int fd) noexcept;
  /// st_mode of fstat(2) and lstat(2)
  [[nodiscard]] virtual int mode(int fd, mode_t& mode) noexcept;
  [[nodiscard]] virtual int mode(const char* path, mode_t& mode) noexcept;
  virtual int unlink(const char* path) noexcept;
};

/// Those of the core that runs; the kernel's elsewhere.
[[nodiscard]] os_calls& sys() noexcept;

}  // namespace corespun::detail
