// upper: an echo server in capital letters. One program; what it waits with is an option, --uring
// or --epoll, where a server on select, poll or epoll is written for the one.
//
// Each client has a queue of its own: one task receives and fills it, another one empties it and
// sends. Who does not read what was sent to him holds up nobody but himself: when his queue is
// full, nothing more is received from him.

#include "../server.hpp"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>

using namespace corespun;

using text_queue = channel<std::string>;

std::string in_capitals(std::string_view text) {
  std::string capitals(text);
  const auto upper = [](unsigned char c) { return static_cast<char>(std::toupper(c)); };
  std::ranges::transform(capitals, capitals.begin(), upper);
  return capitals;
}

task<> receive(tcp_stream& client, text_queue& queue) {
  while (true) {
    result<lease> data = co_await client.recv();
    if (!data || data->empty()) break;
    const result<> queued = co_await queue.send(in_capitals(data->text()));
    if (!queued) break;
  }
  queue.close();  // what it holds is still sent
}

task<> send(tcp_stream& client, text_queue& queue) {
  while (true) {
    const result<std::string> text = co_await queue.recv();
    if (!text) break;
    const result<> sent = co_await client.write_all(*text);
    if (!sent) break;
  }
  queue.close();
}

task<> echo(tcp_stream client) {
  text_queue queue(16);
  co_await when_all(receive(client, queue), send(client, queue));
}

int main(int argc, char** argv) {
  bool uring = false;
  bool epoll = false;
  const example::server_options settings =
      example::parse(argc, argv, "echoes in capital letters",
                     {{"--uring", "wait with io_uring, or fail where there is none", &uring},
                      {"--epoll", "wait with epoll", &epoll}});
  options o;
  o.cores = settings.cores;
  if (uring || epoll) {
    o.io.driver = epoll ? backend::epoll : backend::uring;
    ::unsetenv("CORESPUN_DRIVER");  // which comes before the option
  }
  auto start = [&settings]() -> task<int> {
    co_return co_await example::listen_and_serve(address::loopback(settings.port), echo);
  };
  try {
    return run(start, o);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
