#include <corespun/net/connect.hpp>

#include <corespun/io/detail/raw_fd.hpp>
#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/sleep.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <cerrno>

namespace corespun {
namespace {

class [[nodiscard]] connect_awaiter : public detail::transfer_awaiter {
 public:
  connect_awaiter(detail::file& f, const address& to) noexcept
      : transfer_awaiter(f, detail::op_code::connect, const_cast<sockaddr*>(to.native()),
                         to.native_size(), false) {}
  [[nodiscard]] result<> await_resume() const noexcept {
    if (outcome() < 0) return std::unexpected(detail::error_of(outcome()));
    return {};
  }
};

// A Unix listener with a full queue answers EBUSY on epoll; io_uring waits by itself.
task<result<>> keep_trying(detail::file& socket, const address& to) {
  clock::duration pause = std::chrono::milliseconds(1);
  while (true) {
    const result<> done = co_await connect_awaiter(socket, to);
    if (done || done.error() != system_error_code(EBUSY)) co_return done;
    co_await sleep_for(pause);
    pause = std::min<clock::duration>(2 * pause, std::chrono::milliseconds(100));
  }
}

}  // namespace

task<result<tcp_stream>> connect(address to, clock::duration limit) {
  detail::raw_fd native(detail::sys().socket(to.family(), SOCK_STREAM));
  if (native.get() < 0) co_return std::unexpected(system_error_code(errno));
  const int one = 1;
  if (!to.is_unix())
    detail::sys().set_option(native.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  result<fd> socket = fd::adopt(native.get());
  if (!socket) co_return std::unexpected(socket.error());
  native.release();
  auto attempt = keep_trying(socket->at(), to);
  const result<> done = co_await with_timeout(limit, std::move(attempt));
  if (!done) co_return std::unexpected(done.error());
  co_return tcp_stream(std::move(*socket));
}

}  // namespace corespun
