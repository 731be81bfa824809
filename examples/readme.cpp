// readme: the program of the README, an echo server on all cores.

#include <corespun/corespun.hpp>

#include <cstdio>

using namespace corespun;

task<> echo(tcp_stream stream) {
  while (true) {
    result<lease> data = co_await stream.recv();  // bytes, leased from the core's pool
    if (!data || data->empty()) co_return;  // an error, or the peer has ended
    result<> sent = co_await stream.write_all(data->bytes());
    if (!sent) co_return;
  }
}

task<int> start() {
  auto listener = tcp_listener::bind(address::any(7777));
  if (!listener) {
    std::puts(explain(listener.error(), "bind").c_str());  // which call, why, what now
    co_return 1;
  }
  result<> served = co_await serve(std::move(*listener), echo);  // until SIGINT
  co_return served ? 0 : 1;
}

int main() { return run(start); }
