#include <corespun/io/detail/os.hpp>

#include <corespun/io/detail/io_driver.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace corespun::detail {

int os_calls::socket(int family, int type) noexcept {
  return ::socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}
int os_calls::bind(int fd, const sockaddr* at, socklen_t size) noexcept {
  return ::bind(fd, at, size);
}
int os_calls::listen(int fd, int backlog) noexcept { return ::listen(fd, backlog); }
int os_calls::connect(int fd, const sockaddr* to, socklen_t size) noexcept {
  return ::connect(fd, to, size);
}
int os_calls::set_option(int fd, int level, int name, const void* value, socklen_t size) noexcept {
  return ::setsockopt(fd, level, name, value, size);
}
int os_calls::option(int fd, int level, int name, void* value, socklen_t* size) noexcept {
  return ::getsockopt(fd, level, name, value, size);
}
int os_calls::local_name(int fd, sockaddr* at, socklen_t* size) noexcept {
  return ::getsockname(fd, at, size);
}
int os_calls::peer_name(int fd, sockaddr* at, socklen_t* size) noexcept {
  return ::getpeername(fd, at, size);
}
int os_calls::duplicate(int fd) noexcept { return ::fcntl(fd, F_DUPFD_CLOEXEC, 0); }
int os_calls::make_non_blocking(int fd) noexcept {
  return ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
}
int os_calls::close(int fd) noexcept { return ::close(fd); }

int os_calls::mode(int fd, mode_t& mode) noexcept {
  struct stat s;
  const int n = ::fstat(fd, &s);
  if (n == 0) mode = s.st_mode;
  return n;
}
int os_calls::mode(const char* path, mode_t& mode) noexcept {
  struct stat s;
  const int n = ::lstat(path, &s);
  if (n == 0) mode = s.st_mode;
  return n;
}
int os_calls::unlink(const char* path) noexcept { return ::unlink(path); }

os_calls& sys() noexcept {
  static constinit os_calls kernel;
  const core* const c = core::current();
  return c != nullptr && c->io != nullptr ? static_cast<io_driver*>(c->io)->calls() : kernel;
}

}  // namespace corespun::detail
