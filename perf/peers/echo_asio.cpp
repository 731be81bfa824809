// An echo on Asio, with coroutines, in the way that its users know to be fast.
//   - An io_context for each core, with a listener of its own (floor.h sets SO_REUSEPORT and
//     TCP_NODELAY): several threads in one io_context would share its queue and its epoll set under
//     a lock. The concurrency hint UNSAFE leaves the locks out, since no other thread touches the
//     context; hint 1 keeps them.
//   - Its executor by type: any_io_executor costs a virtual call and a count at each operation.
//   - as_tuple: the end of a connection is no exception.
//   - write_some first, which needs no turn of the loop; async_write for what a socket refused.
//   - A 16 KiB buffer in the coroutine's frame; the frames of the operations come from the free
//     lists that Asio keeps for each thread.

#include <asio.hpp>
#include <asio/experimental/as_tuple.hpp>
#include <chrono>

#include "../floor/floor.h"

namespace {

using namespace std::chrono_literals;
using tcp = asio::ip::tcp;
using executor = asio::io_context::executor_type;
using tcp_socket = asio::basic_stream_socket<tcp, executor>;
using awaitable = asio::awaitable<void, executor>;
constexpr asio::experimental::as_tuple_t<asio::use_awaitable_t<executor>> as_tuple;

options opt = {
    .name = "echo_asio", .host = "127.0.0.1", .cores = 1, .buffer_bytes = 16384, .stats = true};
constinit thread_local counters count{};

awaitable echo(tcp_socket socket) {
  std::array<char, 16384> buffer;
  frame position{};
  socket.non_blocking(true);
  while (true) {
    const auto [ended, bytes] = co_await socket.async_read_some(asio::buffer(buffer), as_tuple);
    if (ended) co_return;
    ++count.requests;
    std::size_t taken = 0, sent = 0;
    while (taken < bytes) {
      taken += take_message(&opt, &position, &buffer[taken], bytes - taken);
      asio::error_code refused;
      sent += socket.write_some(asio::buffer(&buffer[sent], taken - sent), refused);
      if (refused && refused != asio::error::would_block) co_return;
      if (sent == taken) continue;
      const auto [broken, rest] =
          co_await asio::async_write(socket, asio::buffer(&buffer[sent], taken - sent), as_tuple);
      if (broken) co_return;
      sent += rest;
    }
  }
}

awaitable accept_all(asio::io_context& context, int listener) {
  asio::basic_socket_acceptor<tcp, executor> acceptor(context.get_executor(), tcp::v4(), listener);
  asio::basic_waitable_timer<std::chrono::steady_clock,
                             asio::wait_traits<std::chrono::steady_clock>, executor>
      pause(context.get_executor());
  while (true) {
    auto [error, socket] = co_await acceptor.async_accept(as_tuple);
    if (!error) {
      ++count.connections;
      asio::co_spawn(context, echo(std::move(socket)), asio::detached);
    } else {  // out of descriptors
      pause.expires_after(10ms);
      co_await pause.async_wait(as_tuple);
    }
  }
}

void serve_core(core* c) {
  asio::io_context context(ASIO_CONCURRENCY_HINT_UNSAFE);
  asio::posix::stream_descriptor signals(context, c->signals);
  signals.async_wait(signals.wait_read, [&](asio::error_code) { context.stop(); });
  asio::co_spawn(context, accept_all(context, c->listener), asio::detached);
  say_listening(c);
  context.run();
  signals.release();  // the other cores wait for it, too
  c->count = count;
}

}  // namespace

int main(int argc, char** argv) {
  parse_options(&opt, argc, argv);
  raise_descriptor_limit(&opt);
  return run_server(&opt, "asio", serve_core);
}
