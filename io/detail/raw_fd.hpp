#pragma once
// raw_fd: a descriptor on its way to an owner.

#include <corespun/io/detail/os.hpp>

#include <utility>

namespace corespun::detail {

/// A descriptor on its way to an owner.
class raw_fd {
 public:
  explicit raw_fd(int fd) noexcept : fd_(fd) {}
  raw_fd(raw_fd&& other) noexcept : fd_(other.release()) {}
  raw_fd& operator=(raw_fd&& other) noexcept {
    raw_fd old(std::exchange(fd_, other.release()));
    return *this;
  }
  ~raw_fd() {
    if (fd_ >= 0) sys().close(fd_);
  }
  [[nodiscard]] int get() const noexcept { return fd_; }
  int release() noexcept { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

}  // namespace corespun::detail
