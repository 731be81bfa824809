#pragma once
// attempt: an operation as its system call, without waiting. What the epoll driver runs on, and
// what the uring driver falls back to for an operation that the kernel refuses.

#include <corespun/io/detail/op.hpp>

#include <sys/socket.h>

namespace corespun::detail {

/// Bytes, a descriptor or -errno; -EAGAIN: wait for readiness. Not for recv_lease, which needs a
/// buffer first.
[[nodiscard]] int attempt_call(op& o) noexcept;

/// Drops the first `bytes` of the parts.
void use_up(msghdr& parts, std::size_t bytes) noexcept;

}  // namespace corespun::detail
