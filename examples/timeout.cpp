// timeout: a peer that never answers, a deadline, and a clean-up that must itself wait.

#include <corespun/corespun.hpp>

#include <cstdio>

using namespace corespun;
using namespace std::chrono_literals;

// Accepts and stays silent.
task<> silent_server(tcp_listener& listener) {
  result<tcp_stream> peer = co_await listener.accept();
  if (peer) co_await sleep_for(1h);
}

task<> goodbye() {
  co_await sleep_for(10ms);
  std::printf("said goodbye\n");
}

task<> ask(address server) {
  result<tcp_stream> stream = co_await connect(server, 1s);
  if (!stream) {
    std::printf("%s\n", explain(stream.error(), "connect").c_str());
    co_return;
  }
  std::array<std::byte, 16> answer;
  result<std::size_t> n = co_await with_timeout(50ms, stream->read_some(answer));
  if (!n) std::printf("%s\n", explain(n.error(), "read an answer").c_str());
}

task<> start() {
  result<tcp_listener> listener = tcp_listener::bind(address::loopback(0));
  if (!listener) {
    std::printf("%s\n", explain(listener.error(), "bind").c_str());
    co_return;
  }
  auto body = [&](scope& s) -> task<> {
    s.on_exit(goodbye);  // runs although the scope is cancelled, and may wait
    (void)s.spawn(silent_server, std::ref(*listener));
    co_await ask(listener->local_address());
    s.cancel();
  };
  co_await with_scope(body);
  std::printf("all ended\n");
}

int main() { return run(start); }
