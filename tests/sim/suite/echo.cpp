// echo: what comes back from the server is what went there, byte for byte, whatever breaks on the
// way; and clients that try again come to their end.

#include <corespun/net/connect.hpp>
#include <corespun/net/serve.hpp>
#include <corespun/runtime/buggify.hpp>
#include <corespun/runtime/when.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>

#include "tests/sim/suite/suite.hpp"

namespace corespun::suite {
namespace {

using namespace std::chrono_literals;

constexpr const char* probes[] = {
    "the server receives by multishot",
    "the server is slow",
    "the server hangs up",
    "the server begins anew",
    "a buffer ended on another core",
    "a connection was refused",
    "a connection took too long",
    "a connection broke",
    "an answer took too long",
    "the answer was cut short",
    "a round was repeated",
};

struct shared {
  unsigned finished = 0;  // clients
  unsigned hang_ups_left = 5;
};

// --- the server ---

task<> keep(lease) { co_return; }

/// The buffer goes home from another core.
task<> end_elsewhere(lease data) {
  sim::probe("a buffer ended on another core");
  auto inside = [&data](scope& s) -> task<> {
    (void)s.spawn_on(sim::choose(this_core::count()), keep, std::move(data));
    co_return;
  };
  auto all = with_scope(inside);
  co_await std::move(all);
}

task<> answer(shared& all, tcp_stream stream) {
  if (sim::buggify()) {
    sim::probe("the server receives by multishot");
    stream.use_multishot();
  }
  while (true) {
    result<lease> data = co_await stream.recv();
    if (!data || data->empty()) co_return;
    if (sim::buggify()) {
      sim::probe("the server is slow");
      co_await sleep_for(20ms);
    }
    if (all.hang_ups_left > 0 && sim::buggify()) {
      sim::probe("the server hangs up");
      --all.hang_ups_left;
      co_return;
    }
    const result<> sent = co_await stream.write_all(data->bytes());
    if (!sent) co_return;
    if (sim::buggify()) {
      auto elsewhere = end_elsewhere(std::move(*data));
      co_await std::move(elsewhere);
    }
  }
}

task<> server(std::shared_ptr<shared> all) {
  auto handler = [all](tcp_stream stream) { return answer(*all, std::move(stream)); };
  bool again = true;
  while (again) {
    listen_options how;
    how.multishot = sim::buggify();
    result<tcp_listener> listener = tcp_listener::bind(address::any(7777), how);
    if (!listener) {
      require(listener.error() != std::errc::address_in_use, "an old listener is still there");
      co_return;  // killed before it began
    }
    serve_options options;
    options.grace = 1ms * sim::choose(200);
    const clock::duration lasts = sim::buggify() ? 100ms : clock::duration(24h);
    auto serving = serve(std::move(*listener), handler, options);
    const result<> served = co_await with_timeout(lasts, std::move(serving));
    again = !served && served.error() == errc::timed_out;
    if (again) sim::probe("the server begins anew");
  }
}

// --- a client ---

task<result<>> send(tcp_stream& s, const std::string& text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t n = std::min<std::size_t>(1 + sim::choose(8000), text.size() - at);
    const result<> sent = co_await s.write_all(std::string_view(text).substr(at, n));
    if (!sent) co_return sent;
    at += n;
  }
  co_return result<>{};
}

task<result<>> receive(tcp_stream& s, const std::string& text) {
  std::string part(1 + sim::choose(3000), '\0');
  for (std::size_t at = 0; at < text.size();) {
    const result<std::size_t> n = co_await s.read_some(std::as_writable_bytes(std::span(part)));
    if (!n) co_return std::unexpected(n.error());
    if (*n == 0) {
      sim::probe("the answer was cut short");
      co_return std::unexpected(make_error_code(errc::end_of_stream));
    }
    require(text.compare(at, *n, part, 0, *n) == 0, "other bytes came back");
    at += *n;
  }
  co_return result<>{};
}

task<result<>> round_trip(tcp_stream& s, const std::string& text) {
  auto sending = send(s, text);
  auto receiving = receive(s, text);
  const auto [sent, received] = co_await when_all(std::move(sending), std::move(receiving));
  co_return sent ? received : sent;
}

std::string some_text(unsigned client, unsigned round) {
  constexpr std::size_t sizes[] = {1, 100, 4096, 5000, 20000};
  std::string text(sizes[sim::choose(std::size(sizes))], '\0');
  for (std::size_t i = 0; i < text.size(); ++i)
    text[i] = static_cast<char>(i * 7 + i / 256 + client * 31 + round * 101);
  return text;
}

task<result<tcp_stream>> connected() {
  result<tcp_stream> s = co_await connect(*address::parse("10.0.0.1:7777"), 3s);
  if (!s) {
    sim::probe(s.error() == errc::timed_out ? "a connection took too long"
                                            : "a connection was refused");
    co_await sleep_for(500ms);
  }
  co_return s;
}

task<> client(std::shared_ptr<shared> all, unsigned id) {
  tcp_stream stream;
  for (unsigned round = 0, rounds = 1 + sim::choose(4); round < rounds;) {
    if (!stream.valid()) {
      result<tcp_stream> s = co_await connected();
      if (!s) continue;
      stream = std::move(*s);
    }
    const std::string text = some_text(id, round);
    auto trip = round_trip(stream, text);
    const result<> r = co_await with_timeout(5s, std::move(trip));
    if (r) {
      ++round;
      continue;
    }
    sim::probe(r.error() == errc::timed_out ? "an answer took too long" : "a connection broke");
    sim::probe("a round was repeated");
    stream = tcp_stream();  // closes in the background
  }
  ++all->finished;
}

// --- the world ---

void trouble(sim::world& w, sim::machine server, sim::machine client) {
  const auto a_while = 100ms * (1 + w.choose(60));
  switch (w.choose(5)) {
    case 0:
      w.partition(server, client);
      w.run_for(a_while);
      w.heal();
      break;
    case 1:
      w.pause(server);
      w.run_for(a_while);
      w.resume(server);
      break;
    case 2:
      w.kill(server);
      w.run_for(a_while);
      w.restart(server);
      break;
    case 3: w.restart(server); break;
    default:
      sim::faults broken;
      broken.resets = 20;
      w.set(broken);
      w.run_for(a_while);
      w.set(sim::faults());
  }
}

void play(sim::world& w) {
  const auto all = std::make_shared<shared>();
  io_options io;
  io.small_buffers = 1U << w.choose(4);
  io.large_buffers = 1U << w.choose(2);
  const auto s = w.host("10.0.0.1", [all] { return server(all); }, 1 + w.choose(8), io);
  const unsigned clients = 1 + w.choose(3);
  std::vector<sim::machine> others;
  for (unsigned id = 0; id < clients; ++id) {
    others.push_back(
        w.host("10.0.0." + std::to_string(2 + id), [all, id] { return client(all, id); }, 1, io));
    const auto shortest = std::chrono::microseconds(w.choose(1000));
    w.link(others.back(), s).latency(shortest, shortest + 1ms * w.choose(20));
    if (w.choose(3) == 0) w.link(others.back(), s).loss(0.05);
  }
  for (unsigned n = w.choose(4); n > 0; --n) {
    w.run_for(1ms * w.choose(50));
    trouble(w, s, others[w.choose(clients)]);
  }
  w.run_until([&] { return all->finished == clients; });
}

}  // namespace

const scenario echo{"echo", "a server that breaks in many ways, and clients that try again", play,
                    probes};

}  // namespace corespun::suite
