// Each operation that waits, cancelled in each way that there is. The fixture's peers never do what
// the operation waits for, so only the cancel can end it; afterwards it can be begun anew.

#include <corespun/net/connect.hpp>
#include <corespun/net/stream.hpp>
#include <corespun/runtime/as_result.hpp>
#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/event.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/sleep.hpp>
#include <corespun/runtime/when.hpp>

#include <gtest/gtest.h>

#include <string>

#include "tests/support/io_memory.hpp"
#include "tests/support/io_run.hpp"
#include "tests/support/io_sockets.hpp"

namespace corespun::test {
namespace {

using namespace std::chrono_literals;

listen_options multishot() {
  listen_options options;
  options.multishot = true;
  return options;
}

/// Everything that an operation could wait for, and nobody who would ever do it.
struct silence {
  silence() {
    raw_pair idle_ends = tcp_pair();
    idle = stream_on(std::move(idle_ends.one));
    idle_peer = std::move(idle_ends.two);
    raw_pair many_ends = tcp_pair();
    many = stream_on(std::move(many_ends.one));
    many.use_multishot();
    many_peer = std::move(many_ends.two);
    raw_pair full_ends = socket_pair();
    (void)fill(full_ends.one);
    full = stream_on(std::move(full_ends.one));
    full_peer = std::move(full_ends.two);
    raw_pair pipe_ends = pipe_pair();
    pipe = adopted(std::move(pipe_ends.one));
    pipe_peer = std::move(pipe_ends.two);
    foreign = socket_pair();
    (void)fill(foreign.one);
  }
  tcp_stream idle;
  tcp_stream many;
  tcp_stream full;
  fd pipe;
  raw_pair foreign = {-1, -1};
  tcp_listener listener = need(tcp_listener::bind(address::loopback(0)));
  tcp_listener many_listener = need(tcp_listener::bind(address::loopback(0), multishot()));
  deaf_listener deaf;
  raw idle_peer;
  raw many_peer;
  raw full_peer;
  raw pipe_peer;
};

struct operation {
  const char* name;
  task<> (*wait)(silence&);
};
void PrintTo(const operation& o, std::ostream* out) { *out << o.name; }

template <typename Awaitable>
task<> with_page(Awaitable (*begin)(silence&, std::span<std::byte>), silence& s) {
  const guarded_page page;  // forbidden when the frame ends
  (void)co_await begin(s, page.bytes());
}

const operation operations[] = {
    {"read_some",
     [](silence& s) {
       return with_page(
           +[](silence& in, std::span<std::byte> b) { return in.idle.read_some(b); }, s);
     }},
    {"read_exactly",
     [](silence& s) {
       return with_page(
           +[](silence& in, std::span<std::byte> b) { return in.idle.read_exactly(b); }, s);
     }},
    {"read_from_a_pipe",
     [](silence& s) {
       return with_page(
           +[](silence& in, std::span<std::byte> b) { return in.pipe.read_some(b); }, s);
     }},
    {"write_some",
     [](silence& s) {
       return with_page(
           +[](silence& in, std::span<std::byte> b) { return in.full.write_some(b); }, s);
     }},
    {"write_all",
     [](silence& s) {
       return with_page(
           +[](silence& in, std::span<std::byte> b) { return in.full.write_all(b); }, s);
     }},
    {"write_parts",
     [](silence& s) -> task<> {
       const guarded_page page;
       iovec part{page.bytes().data(), page.bytes().size()};
       (void)co_await s.full.write_all(std::span(&part, 1));
     }},
    {"recv", [](silence& s) -> task<> { const auto data = co_await s.idle.recv(); }},
    {"multishot_recv", [](silence& s) -> task<> { const auto data = co_await s.many.recv(); }},
    {"accept", [](silence& s) -> task<> { const auto stream = co_await s.listener.accept(); }},
    {"multishot_accept",
     [](silence& s) -> task<> { const auto stream = co_await s.many_listener.accept(); }},
    {"connect", [](silence& s) -> task<> { const auto stream = co_await connect(s.deaf.at()); }},
    {"readable",
     [](silence& s) -> task<> {
       [[maybe_unused]] const auto ready = co_await readable(s.foreign.one.get());
     }},
    {"writable",
     [](silence& s) -> task<> {
       [[maybe_unused]] const auto ready = co_await writable(s.foreign.one.get());
     }},
};

class cancel : public testing::TestWithParam<operation> {
 protected:
  /// The operation; nothing but a cancel may end it.
  static task<> wait(silence& s) {
    auto op = GetParam().wait(s);
    co_await std::move(op);
    ADD_FAILURE() << "it ended by itself";
  }
};
INSTANTIATE_TEST_SUITE_P(operations, cancel, testing::ValuesIn(operations),
                         [](const auto& p) { return std::string(p.param.name); });

TEST_P(cancel, by_a_deadline_again_and_again) {
  run_io([]() -> task<> {
    silence s;
    for (int i = 0; i < 10; ++i) {
      const result<> r = co_await with_timeout(std::chrono::microseconds(100 * i), wait(s));
      EXPECT_EQ(error_in(r), errc::timed_out);
    }
  });
}

TEST_P(cancel, by_its_handle_after_any_number_of_turns) {
  run_io([](scope& all) -> task<> {
    silence s;
    for (int turns = 0; turns < 6; ++turns) {
      auto waiting = all.spawn(wait, std::ref(s));
      for (int i = 0; i < turns; ++i) co_await yield();
      waiting.cancel();
      const auto ended = co_await waiting.join();
      EXPECT_TRUE(ended.stopped());
    }
  });
}

TEST_P(cancel, by_its_scope) {
  run_io([]() -> task<> {
    silence s;
    auto body = [&s](scope& inner) -> task<> {
      (void)inner.spawn(wait, std::ref(s));
      for (int i = 0; i < 3; ++i) co_await yield();
      inner.cancel();
    };
    co_await with_scope(body);
    const result<> again = co_await with_timeout(1ms, wait(s));
    EXPECT_EQ(error_in(again), errc::timed_out);
  });
}

TEST_P(cancel, by_its_scope_from_another_core) {
  run_io(io_cores(2), []() -> task<> {
    silence s;
    auto body = [&s](scope& inner) -> task<> {
      (void)inner.spawn(wait, std::ref(s));
      (void)inner.spawn_on(1, [&inner]() -> task<> {
        inner.cancel();
        co_return;
      });
      co_return;
    };
    co_await with_scope(body);
  });
}

TEST_P(cancel, by_losing_a_race) {
  run_io([]() -> task<> {
    silence s;
    event gate;
    gate.open();
    auto ended = co_await when_any(wait(s), gate.wait());
    EXPECT_EQ(ended.index, 1u);
    EXPECT_TRUE(std::get<0>(ended.outcomes).stopped());
  });
}

TEST_P(cancel, before_it_begins) {
  run_io([](scope& all) -> task<> {
    silence s;
    const auto late = [](silence& in) -> task<> {
      (void)co_await as_result(sleep_for(1h));
      co_await wait(in);
    };
    auto waiting = all.spawn(late, std::ref(s));
    co_await yield();
    waiting.cancel();
    const auto ended = co_await waiting.join();
    EXPECT_TRUE(ended.stopped());
  });
}

// --- what moved before the cancel is not lost ---

class received : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(cancel, received, testing::Bool(),
                         [](const auto& p) { return p.param ? "multishot" : "one_shot"; });

TEST_P(received, bytes_are_delivered_or_stay_in_a_race_with_deadlines) {
  run_io([](scope& s) -> task<> {
    raw_pair ends = tcp_pair();
    tcp_stream ours = stream_on(std::move(ends.one));
    if (GetParam()) ours.use_multishot();
    const std::vector<std::byte> bytes = pattern(200'000);
    const auto write = [](tcp_stream to, const std::vector<std::byte>& all) -> task<> {
      for (std::size_t at = 0; at < all.size(); at += 500) {
        need(co_await to.write_all(std::span(all).subspan(at, 500)));
        if (at % 2'000 == 0) co_await sleep_for(50us);
      }
    };
    (void)s.spawn(write, stream_on(std::move(ends.two)), std::cref(bytes));
    std::string got;
    std::size_t stopped = 0;
    for (unsigned round = 0;; ++round) {
      const result<lease> data =
          co_await with_timeout(std::chrono::microseconds(round % 60), ours.recv());
      if (!data) {
        EXPECT_EQ(data.error(), errc::timed_out);
        ++stopped;
        continue;
      }
      if (data->empty()) break;
      got += data->text();
    }
    EXPECT_TRUE(got == text_of(bytes)) << got.size() << " bytes after " << stopped << " deadlines";
    EXPECT_GT(stopped, 0u);
  });
}

TEST_P(received, bytes_are_delivered_or_stay_in_each_order_of_events) {
  run_io([](scope& s) -> task<> {
    for (int turns = 0; turns < 8; ++turns) {
      for (const bool data_first : {false, true}) {
        raw_pair ends = tcp_pair();
        tcp_stream ours = stream_on(std::move(ends.one));
        if (GetParam()) ours.use_multishot();
        std::string got;
        const auto receive = [&got](tcp_stream& from) -> task<> {
          const lease data = need(co_await from.recv());
          got = data.text();
        };
        if (data_first) send_now(ends.two, "abc");
        auto reader = s.spawn(receive, std::ref(ours));
        for (int i = 0; i < turns; ++i) co_await yield();
        if (!data_first) send_now(ends.two, "abc");
        reader.cancel();
        (void)co_await reader.join();
        ends.two.reset();
        const lease rest = need(co_await ours.recv());
        EXPECT_EQ(got + std::string(rest.text()), "abc") << turns << " " << data_first;
      }
    }
  });
}

}  // namespace
}  // namespace corespun::test
