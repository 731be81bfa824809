#pragma once
// A service and its client, for the tests of worlds.

#include <corespun/io/sim.hpp>
#include <corespun/net/connect.hpp>
#include <corespun/net/serve.hpp>

#include <string>
#include <utility>

#include "tests/support/io_run.hpp"

namespace corespun::test {

inline task<> echo(tcp_stream stream) {
  while (true) {
    result<lease> data = co_await stream.recv();
    if (!data || data->empty()) co_return;
    const result<> sent = co_await stream.write_all(data->bytes());
    if (!sent) co_return;
  }
}

[[nodiscard]] inline address server_at() { return need(address::parse("10.0.0.1:7777")); }

/// Echoes at server_at() until it is stopped.
inline task<> echo_server() {
  auto served = serve(need(tcp_listener::bind(address::any(7777))), echo);
  (void)co_await std::move(served);
}

/// Sends the text and returns what comes back.
inline task<result<std::string>> ask(address to, std::string text) {
  auto connecting = connect(to, std::chrono::seconds(10));
  result<tcp_stream> s = co_await std::move(connecting);
  if (!s) co_return std::unexpected(s.error());
  const result<> sent = co_await s->write_all(std::as_bytes(std::span(text)));
  if (!sent) co_return std::unexpected(sent.error());
  std::string answer(text.size(), '\0');
  const result<> read = co_await s->read_exactly(std::as_writable_bytes(std::span(answer)));
  if (!read) co_return std::unexpected(read.error());
  co_return answer;
}

/// Asks again and again until there is an answer; how often it took.
inline task<int> ask_until_answered(address to, std::string text) {
  for (int attempts = 1;; ++attempts) {
    auto asking = ask(to, text);
    const auto answer = co_await with_timeout(std::chrono::seconds(1), std::move(asking));
    if (answer && *answer == text) co_return attempts;
    co_await sleep_for(std::chrono::milliseconds(100));
  }
}

}  // namespace corespun::test
