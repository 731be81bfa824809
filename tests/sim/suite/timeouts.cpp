// timeouts: deadlines, shields and cancels beside what they race with, over hours that take no
// time. What completed wins, the first limit counts, and no byte is lost between two attempts.

#include <corespun/net/connect.hpp>
#include <corespun/runtime/affinity.hpp>
#include <corespun/runtime/as_result.hpp>
#include <corespun/runtime/buggify.hpp>
#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/event.hpp>
#include <corespun/runtime/offload.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/sleep.hpp>
#include <corespun/runtime/this_core.hpp>
#include <corespun/runtime/when.hpp>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <optional>
#include <string>

#include "tests/sim/suite/suite.hpp"

namespace corespun::suite {
namespace {

using namespace std::chrono_literals;

constexpr const char* probes[] = {
    "a value came before the limit", "a limit came before the value",
    "the outer limit was the first", "the inner limit was the first",
    "a shield outlived the cancel",  "a shield ended at its own limit",
    "a cancel came too late",        "a cancel came in time",
    "a call outlived the cancel",    "a call was never made",
    "the first of two won",          "a receive ended at its limit",
    "a close ended a receive",
};

/// Late by a tick of the timers and by what else the core did.
constexpr auto late = 1ms;

clock::duration some_time() {
  constexpr clock::duration all[] = {0s, 1us, 49us, 50us, 51us, 1ms, 1s, 61s, 1h, 40h};
  return all[sim::choose(std::size(all))];
}

unsigned any_core() { return sim::choose(this_core::count()); }

struct stopwatch {
  clock::time_point start = clock::now();
  void require_about(clock::duration d, const char* what) const {
    const clock::duration took = clock::now() - start;
    require(took >= d && took <= d + late, std::string(what) + " took " +
                                               std::to_string(took / 1us) + " us in place of " +
                                               std::to_string(d / 1us));
  }
};

task<int> value_after(clock::duration d) {
  co_await sleep_for(d);
  co_return 5;
}

task<> limit() {
  const clock::duration takes = some_time();
  const clock::duration most = some_time();
  const stopwatch watch;
  auto value = value_after(takes);
  const result<int> r = co_await with_timeout(most, std::move(value));
  sim::probe(r ? "a value came before the limit" : "a limit came before the value");
  if (r) require(takes <= most + late, "a value came after its limit");
  if (!r) require(r.error() == errc::timed_out && most <= takes + late, "a limit came too early");
  watch.require_about(std::min(takes, most), "with_timeout");
}

task<result<int>> inner_limit(clock::duration most) {
  auto value = value_after(100h);
  co_return co_await with_timeout(most, std::move(value));
}

task<> nested_limits() {
  const clock::duration outer = some_time();
  const clock::duration inner = some_time();
  const stopwatch watch;
  auto within = inner_limit(inner);
  const result<int> r = co_await with_deadline(clock::now() + outer, std::move(within));
  require(!r && r.error() == errc::timed_out, "neither limit counted");
  sim::probe(outer < inner ? "the outer limit was the first" : "the inner limit was the first");
  watch.require_about(std::min(outer, inner), "the nested limits");
}

task<> shielded(clock::duration takes, clock::duration most, bool& whole) {
  auto work = value_after(takes);
  const result<int> r = co_await shield(most, std::move(work));
  sim::probe(r ? "a shield outlived the cancel" : "a shield ended at its own limit");
  whole = true;
}

task<> shields() {
  const clock::duration takes = some_time();
  const clock::duration most = some_time();
  bool whole = false;
  const stopwatch watch;
  auto inside = [&](scope& s) -> task<> {
    auto handle = s.spawn(shielded, takes, most, std::ref(whole));
    co_await yield();
    handle.cancel();
  };
  auto all = with_scope(inside);
  co_await std::move(all);
  require(whole, "a cancel reached what was shielded");
  watch.require_about(std::min(takes, most), "the shield");
}

task<> wait_and_count(event& gate, int& passed, int& stopped) {
  auto wait = [&gate]() -> task<> { co_await gate.wait(); };
  const result<> r = co_await as_result(wait);
  ++(r ? passed : stopped);
}

task<> open_later(event& gate, clock::duration d) {
  co_await sleep_for(d);
  gate.open();
}

task<> cancel_races() {
  event gate;
  int passed = 0;
  int stopped = 0;
  auto inside = [&](scope& s) -> task<> {
    auto waiter =
        s.spawn_on(any_core(), wait_and_count, std::ref(gate), std::ref(passed), std::ref(stopped));
    const auto at = std::chrono::microseconds(50 * sim::choose(3));
    (void)s.spawn_on(any_core(), open_later, std::ref(gate), at);
    co_await sleep_for(std::chrono::microseconds(50 * sim::choose(3)));
    waiter.cancel();
    const outcome<void> o = co_await waiter.join();
    // cancelled before its first run, it never counted
    if (o.stopped()) ++stopped;
  };
  auto all = with_scope(inside);
  co_await std::move(all);
  sim::probe(passed == 1 ? "a cancel came too late" : "a cancel came in time");
  require(passed + stopped == 1, "a wait ended " + std::to_string(passed + stopped) + " times");
}

struct call {
  std::optional<task_handle<void>> caller;
  bool begun = false;
  bool ended = false;
};

task<> call_helper(call& c) {
  const auto fn = [&c, cancels = sim::choose(2) == 0] {
    c.begun = true;
    if (cancels) c.caller->cancel();
    return 3;
  };
  const int three = co_await offload(fn);
  require(three == 3, "a helper returned something else");
  c.ended = true;
}

/// A call that has begun is awaited, even if it is what cancels its caller.
task<> cancelled_calls() {
  call c;
  auto inside = [&c](scope& s) -> task<> {
    c.caller.emplace(s.spawn_on(any_core(), call_helper, std::ref(c)));
    co_await sleep_for(std::chrono::microseconds(50 * sim::choose(4)));
    c.caller->cancel();
  };
  auto all = with_scope(inside);
  co_await std::move(all);
  sim::probe(c.begun ? "a call outlived the cancel" : "a call was never made");
  require(c.begun == c.ended, "a call that had begun was given up");
}

task<> first_of_two() {
  const clock::duration a = some_time();
  const clock::duration b = some_time();
  const stopwatch watch;
  const auto [index, outcomes] = co_await when_any(value_after(a), value_after(b));
  watch.require_about(std::min(a, b), "when_any");
  if (a + late < b) require(index == 0 && std::get<1>(outcomes).stopped(), "the slower one won");
  if (b + late < a) require(index == 1 && std::get<0>(outcomes).stopped(), "the slower one won");
  sim::probe("the first of two won");
}

constexpr std::size_t stream_bytes = 300;
char byte_at(std::size_t i) { return static_cast<char>('a' + i % 23); }

task<> send_slowly(tcp_stream s) {
  for (std::size_t at = 0; at < stream_bytes;) {
    const std::size_t n = std::min<std::size_t>(1 + sim::choose(40), stream_bytes - at);
    std::string piece;
    while (piece.size() < n) piece += byte_at(at++);
    const result<> sent = co_await s.write_all(piece);
    if (!sent) co_return;
    co_await sleep_for(std::chrono::microseconds(sim::choose(2000)));
  }
}

task<> sender() {
  listen_options how;
  how.multishot = sim::choose(2) == 0;
  result<tcp_listener> l = tcp_listener::bind(address::any(7777), how);
  require(l.has_value(), "bind");
  auto inside = [&l](scope& all) -> task<> {
    for (int n = 0; n < 3; ++n) {  // receive() connects once, close_beside_receive() twice
      result<tcp_stream> s = co_await l->accept();
      require(s.has_value(), "accept");
      (void)all.spawn(send_slowly, std::move(*s));
    }
  };
  auto both = with_scope(inside);
  co_await std::move(both);
  co_await sleep_for(1s);  // somebody connects whom nobody accepts
}

address sender_at() { return *address::parse("10.0.0.2:7777"); }

task<tcp_stream> connected() {
  co_await sleep_for(10ms);  // the sender listens
  result<tcp_stream> s = co_await connect(sender_at());
  require(s.has_value(), "connect");
  if (sim::choose(2) == 0) s->use_multishot();
  co_return std::move(*s);
}

task<> receive() {
  auto connecting = connected();
  tcp_stream s = co_await std::move(connecting);
  for (std::size_t at = 0; at < stream_bytes;) {
    const auto most = std::chrono::microseconds(sim::choose(1500));
    const result<lease> r = co_await with_timeout(most, s.recv());
    if (!r) {
      sim::probe("a receive ended at its limit");
      require(r.error() == errc::timed_out, explain(r.error(), "recv"));
      continue;
    }
    require(!r->empty(), "the stream ended early");
    for (const char c : r->text()) require(c == byte_at(at++), "a byte was lost or came twice");
  }
}

/// A free task begins elsewhere, and goes where its stream is held.
task<> wander() {
  co_await resume_on(any_core());
  co_await resume_anywhere();
}

task<> receive_until_closed(tcp_stream& s, bool& ended) {
  auto away = wander();
  co_await std::move(away);
  while (s.valid()) {
    const result<lease> r = co_await s.recv();
    if (r) continue;  // also if it was just in time
    require(r.error() == errc::closed, "a close ends a receive in another way");
    sim::probe("a close ended a receive");
  }
  ended = true;
}

/// More than the peer takes, so that a write waits, perhaps on another core than the receive.
task<> write_until_closed(tcp_stream& s) {
  auto away = wander();
  co_await std::move(away);
  const std::string much(100'000, 'x');
  while (s.valid()) {
    const result<> sent = co_await s.write_all(much);
    if (!sent) co_return;
  }
}

task<> close_beside_receive() {
  auto connecting = connected();
  tcp_stream s = co_await std::move(connecting);
  bool ended = false;
  auto inside = [&](scope& all) -> task<> {
    (void)all.spawn(receive_until_closed, std::ref(s), std::ref(ended));
    (void)all.spawn(write_until_closed, std::ref(s));
    co_await sleep_for(std::chrono::microseconds(sim::choose(1000)));
    const result<> closed = co_await s.close();
    require(closed.has_value(), "close");
    (void)co_await connect(sender_at());  // takes the place of what was closed
  };
  auto both = with_scope(inside);
  co_await std::move(both);
  require(ended, "a scope left a task");
}

task<> cases(unsigned n) {
  for (; n > 0; --n) {
    task<> (*const all[])() = {limit,        nested_limits,   shields,
                               cancel_races, cancelled_calls, first_of_two};
    auto one = all[sim::choose(std::size(all))]();
    co_await std::move(one);
  }
}

task<> on_all_cores() {
  auto inside = [](scope& s) -> task<> {
    for (unsigned core = 0; core < this_core::count(); ++core) (void)s.spawn_on(core, cases, 3U);
    auto first = close_beside_receive();
    co_await std::move(first);
    auto bytes = receive();
    co_await std::move(bytes);
    (void)co_await connect(sender_at());
  };
  auto all = with_scope(inside);
  co_await std::move(all);
}

void play(sim::world& w) {
  io_options io;
  io.small_buffers = 1U << w.choose(3);
  io.large_buffers = 1;
  (void)w.host("10.0.0.1", on_all_cores, 1 + w.choose(4), io);
  (void)w.host("10.0.0.2", sender);
  w.run(10'000h);
}

}  // namespace

const scenario timeouts{"timeouts", "limits, shields and cancels, and what they race with", play,
                        probes};

}  // namespace corespun::suite
