#include <corespun/io/detail/attempt.hpp>

#include <corespun/io/detail/io_driver.hpp>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace corespun::detail {
namespace {

int or_errno(ssize_t result) noexcept { return result < 0 ? -errno : static_cast<int>(result); }

// The first call begins the connection, the second one, when the socket has become writable, asks
// how it went.
int attempt_connect(op& o) noexcept {
  if (o.moved == 0) {
    if (::connect(o.fd, static_cast<const sockaddr*>(o.address),
                  static_cast<socklen_t>(o.length)) == 0)
      return 0;
    // a Unix listener's queue is full, and nothing tells when it is not
    if (errno == EAGAIN) return -EBUSY;
    if (errno != EINPROGRESS) return -errno;
    o.moved = 1;
    return -EAGAIN;
  }
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(o.fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) return -errno;
  return -error;
}

int attempt_poll(const op& o) noexcept {
  pollfd p{o.fd, static_cast<short>(o.events), 0};
  const int n = ::poll(&p, 1, 0);
  if (n < 0) return -errno;
  if ((p.revents & POLLNVAL) != 0) return -EBADF;
  return n == 0 ? -EAGAIN : p.revents;
}

}  // namespace

int attempt_call(op& o) noexcept {
  const std::size_t left = o.length - (o.whole ? o.moved : 0);
  switch (o.code) {
    case op_code::read: return or_errno(::read(o.fd, o.address, left));
    case op_code::write: return or_errno(::write(o.fd, o.address, left));
    case op_code::recv: return or_errno(::recv(o.fd, o.address, left, MSG_DONTWAIT));
    case op_code::send: return or_errno(::send(o.fd, o.address, left, MSG_DONTWAIT | MSG_NOSIGNAL));
    case op_code::send_parts:
      return or_errno(
          ::sendmsg(o.fd, static_cast<msghdr*>(o.address), MSG_DONTWAIT | MSG_NOSIGNAL));
    case op_code::accept:
      return or_errno(::accept4(o.fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    case op_code::connect: return attempt_connect(o);
    case op_code::poll: return attempt_poll(o);
    case op_code::shutdown: return or_errno(::shutdown(o.fd, SHUT_WR));
    case op_code::close: return or_errno(::close(o.fd));
    case op_code::recv_lease: break;
  }
  return -EINVAL;
}

void use_up(msghdr& parts, std::size_t bytes) noexcept {
  while (parts.msg_iovlen > 0 && bytes >= parts.msg_iov->iov_len) {
    bytes -= parts.msg_iov->iov_len;
    ++parts.msg_iov;
    --parts.msg_iovlen;
  }
  if (bytes > 0) {
    parts.msg_iov->iov_base = static_cast<std::byte*>(parts.msg_iov->iov_base) + bytes;
    parts.msg_iov->iov_len -= bytes;
  }
}

int io_driver::attempt(op& o) noexcept {
  ++system_calls_;
  if (o.code != op_code::recv_lease) return attempt_call(o);

  // A buffer only for the moment in which the data are there.
  std::uint16_t id;
  unsigned cls = o.buffers;
  if (!pool_.take(cls, id)) {
    if (cls == 0 || !pool_.take(0, id)) return -ENOBUFS;
    cls = o.buffers = 0;
  }
  const int n = or_errno(::recv(o.fd, pool_.at(cls, id), pool_.bytes(cls), MSG_DONTWAIT));
  if (n <= 0) {
    pool_.put(cls, id);
    return n;
  }
  ++buffers_away_;
  attempt_flags_ = flag_buffer | (cls != 0 ? flag_large : 0) | (std::uint32_t{id} << buffer_shift);
  return n;
}

}  // namespace corespun::detail
