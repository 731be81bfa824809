#include <corespun/net/stream.hpp>

#include <corespun/io/detail/raw_fd.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>

#include <cerrno>
#include <new>

namespace corespun {
namespace detail {

parts_awaiter::parts_awaiter(file& f, std::span<iovec> parts) noexcept : file_(&f), message_{} {
  message_.msg_iov = parts.data();
  message_.msg_iovlen = parts.size();
}

op& parts_awaiter::fill(io_driver& d) {
  op& o = d.make_op(op_code::send_parts, *file_);
  o.address = &message_;
  for (std::size_t i = 0; i < message_.msg_iovlen; ++i) o.length += message_.msg_iov[i].iov_len;
  o.whole = true;
  return o;
}

op& accept_awaiter::fill(io_driver& d) const { return d.make_op(op_code::accept, *file_); }

result<tcp_stream> accept_awaiter::await_resume() const {
  const int n = outcome();
  if (n < 0) return std::unexpected(error_of(n));
  // If it cannot move, it belongs to the core that accepted; else it begins where its task is by
  // now.
  io_driver& d = driver().connections_stay() ? driver() : io_driver::here();
  file* const f = d.try_open_file(n, file::kind::socket, d.accepts_direct());
  if (f == nullptr) return std::unexpected(system_error_code(ENOMEM));
  f->short_is_empty = short_is_empty_;
  return tcp_stream(fd(*f));
}

}  // namespace detail

// --- tcp_stream ---

detail::whole_awaiter tcp_stream::shutdown_write() {
  return {socket_.at(), detail::op_code::shutdown, nullptr, 0, false};
}

result<> tcp_stream::set_option(int level, int name, int value) noexcept {
  if (native_handle() < 0) return std::unexpected(make_error_code(errc::not_supported));
  if (detail::sys().set_option(native_handle(), level, name, &value, sizeof value) == 0) return {};
  return std::unexpected(system_error_code(errno));
}

result<int> tcp_stream::option(int level, int name) const noexcept {
  if (native_handle() < 0) return std::unexpected(make_error_code(errc::not_supported));
  int value = 0;
  socklen_t size = sizeof value;
  if (detail::sys().option(native_handle(), level, name, &value, &size) == 0) return value;
  return std::unexpected(system_error_code(errno));
}

namespace {

using name_call = int (detail::os_calls::*)(int, sockaddr*, socklen_t*) noexcept;

result<address> name_of(int socket, name_call call) {
  if (socket < 0) return std::unexpected(make_error_code(errc::not_supported));
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  auto* const native = reinterpret_cast<sockaddr*>(&storage);
  if ((detail::sys().*call)(socket, native, &size) != 0)
    return std::unexpected(system_error_code(errno));
  return address::from_native(native, size);
}

}  // namespace

result<address> tcp_stream::local_address() const {
  return name_of(native_handle(), &detail::os_calls::local_name);
}
result<address> tcp_stream::peer_address() const {
  return name_of(native_handle(), &detail::os_calls::peer_name);
}

// --- tcp_listener ---

namespace {

std::unexpected<std::error_code> last_error() { return std::unexpected(system_error_code(errno)); }

bool switch_on(int socket, int level, int name) {
  const int one = 1;
  return detail::sys().set_option(socket, level, name, &one, sizeof one) == 0;
}

/// A socket file that nobody listens on any more is in the way of bind(2).
void remove_dead_socket_file(const address& at) {
  const auto* const un = reinterpret_cast<const sockaddr_un*>(at.native());
  detail::os_calls& os = detail::sys();
  mode_t mode = 0;
  if (un->sun_path[0] == '\0' || os.mode(un->sun_path, mode) != 0 || !S_ISSOCK(mode)) return;
  const detail::raw_fd probe(os.socket(AF_UNIX, SOCK_STREAM));
  if (os.connect(probe.get(), at.native(), at.native_size()) != 0 && errno == ECONNREFUSED)
    os.unlink(un->sun_path);
}

/// `shares`: the port is ours already, on another socket.
result<int> listening_socket(const address& at, int backlog, bool shares) {
  detail::raw_fd socket(detail::sys().socket(at.family(), SOCK_STREAM));
  if (socket.get() < 0) return last_error();
  if (at.is_unix()) {
    remove_dead_socket_file(at);
  } else {
    // Connections inherit TCP_NODELAY from their listener.
    if (!switch_on(socket.get(), SOL_SOCKET, SO_REUSEADDR)) return last_error();
    if (!switch_on(socket.get(), IPPROTO_TCP, TCP_NODELAY)) return last_error();
    if (shares && !switch_on(socket.get(), SOL_SOCKET, SO_REUSEPORT)) return last_error();
  }
  if (detail::sys().bind(socket.get(), at.native(), at.native_size()) != 0) return last_error();
  // Only now: the first socket has to fail where a foreign server already listens, even one that
  // would share.
  if (!at.is_unix() && !shares && !switch_on(socket.get(), SOL_SOCKET, SO_REUSEPORT))
    return last_error();
  if (detail::sys().listen(socket.get(), backlog) != 0) return last_error();
  return socket.release();
}

}  // namespace

tcp_listener::tcp_listener(fd socket, const address& at, listen_options options)
    : socket_(std::move(socket)), at_(at), options_(options) {
  constexpr std::size_t ahead = 64;
  detail::file& f = socket_.at();
  if (options.multishot) detail::io_driver::here().use_multishot(f, detail::op_code::accept, ahead);
}

result<tcp_listener> tcp_listener::bind(const address& at, listen_options options) {
  const result<int> socket = listening_socket(at, options.backlog, false);
  if (!socket) return std::unexpected(socket.error());
  detail::raw_fd owned(*socket);
  result<tcp_listener> listener = adopt(owned.get(), options);
  if (listener) owned.release();
  return listener;
}

result<tcp_listener> tcp_listener::adopt(int listening, listen_options options) {
  int listens = 0;
  socklen_t size = sizeof listens;
  if (detail::sys().option(listening, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0)
    return last_error();
  if (listens == 0) return std::unexpected(system_error_code(EINVAL));
  const auto at = name_of(listening, &detail::os_calls::local_name);
  if (!at) return std::unexpected(at.error());
  detail::sys().make_non_blocking(listening);
  result<fd> socket = fd::adopt(listening);
  if (!socket) return std::unexpected(socket.error());
  return tcp_listener(std::move(*socket), *at, options);
}

result<listener_twin> tcp_listener::twin() const {
  detail::raw_fd shared(-1);
  if (at_.is_unix()) {
    if (socket_.at().stays) return std::unexpected(make_error_code(errc::not_supported));
    shared = detail::raw_fd(detail::sys().duplicate(socket_.native_handle()));
    if (shared.get() < 0) return last_error();
  }
  return listener_twin(at_, options_, std::move(shared));
}

result<tcp_listener> listener_twin::listen() {
  detail::raw_fd socket = std::move(shared_);
  if (!at_.is_unix()) {
    const result<int> own = listening_socket(at_, options_.backlog, true);
    if (!own) return std::unexpected(own.error());
    socket = detail::raw_fd(*own);
  }
  result<tcp_listener> listener = tcp_listener::adopt(socket.get(), options_);
  if (listener) socket.release();
  return listener;
}

}  // namespace corespun
