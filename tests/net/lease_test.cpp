// The buffers that recv() leases: who waits for them, who gives them back, how large they are.

#include <corespun/net/stream.hpp>
#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/scope.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/io_run.hpp"
#include "tests/support/io_sockets.hpp"
#include "tests/support/outlive.hpp"

namespace corespun::test {
namespace {

using namespace std::chrono_literals;

io_options few_buffers() {
  io_options io = lane_io();
  io.small_buffers = 2;
  io.large_buffers = 1;
  return io;
}

/// Streams with a message each, as many as are asked for.
struct senders {
  explicit senders(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      raw_pair ends = tcp_pair();
      streams.push_back(stream_on(std::move(ends.one)));
      peers.push_back(std::move(ends.two));
    }
  }
  std::vector<tcp_stream> streams;
  std::vector<raw> peers;
};

/// Leases until a recv has to wait.
task<std::vector<lease>> take_all_buffers(tcp_stream& from, const raw& peer) {
  std::vector<lease> held;
  while (true) {
    send_now(peer, "x");
    result<lease> data = co_await with_timeout(50ms, from.recv());
    if (!data) break;
    held.push_back(std::move(*data));
  }
  EXPECT_GE(held.size(), 2u);
  EXPECT_LT(held.size(), 1000u);
  co_return held;
}

task<std::string> receive(tcp_stream& from) {
  const lease data = need(co_await from.recv());
  co_return std::string(data.text());
}

TEST(lease, when_none_is_left_recv_waits_until_one_comes_back) {
  run_io(io_cores(1, few_buffers()), [](scope& s) -> task<> {
    senders two(2);
    std::vector<lease> held = co_await take_all_buffers(two.streams[0], two.peers[0]);
    send_now(two.peers[1], "hello");
    auto waiting = s.spawn(receive, std::ref(two.streams[1]));
    for (int i = 0; i < 10; ++i) co_await yield();
    EXPECT_FALSE(waiting.done());
    held.pop_back();
    const std::string text = (co_await waiting.join()).value();
    EXPECT_EQ(text, "hello");
  });
}

TEST(lease, a_recv_that_waits_for_a_buffer_can_be_cancelled_and_loses_nothing) {
  run_io(io_cores(1, few_buffers()), []() -> task<> {
    senders two(2);
    std::vector<lease> held = co_await take_all_buffers(two.streams[0], two.peers[0]);
    send_now(two.peers[1], "hello");
    const auto late = co_await with_timeout(5ms, receive(two.streams[1]));
    EXPECT_EQ(error_in(late), errc::timed_out);
    held.clear();
    const std::string text = co_await receive(two.streams[1]);
    EXPECT_EQ(text, "hello");
  });
}

TEST(lease, closing_ends_a_recv_that_waits_for_a_buffer) {
  run_io(io_cores(1, few_buffers()), [](scope& s) -> task<> {
    senders two(2);
    std::vector<lease> held = co_await take_all_buffers(two.streams[0], two.peers[0]);
    send_now(two.peers[1], "hello");
    const auto error_of_recv = [](tcp_stream& from) -> task<std::error_code> {
      const result<lease> data = co_await from.recv();
      co_return error_in(data);
    };
    auto waiting = s.spawn(error_of_recv, std::ref(two.streams[1]));
    for (int i = 0; i < 10; ++i) co_await yield();
    need(co_await two.streams[1].close());
    const std::error_code error = (co_await waiting.join()).value();
    EXPECT_EQ(error, errc::closed);
  });
}

// Of two that wait, the first is cancelled in the moment in which it is given the buffer: the
// second must get it.
TEST(lease, a_buffer_that_a_cancelled_recv_does_not_take_goes_to_the_next) {
  run_io(io_cores(1, few_buffers()), []() -> task<> {
    for (int turns = 0; turns < 4; ++turns) {
      auto body = [turns](scope& s) -> task<> {
        senders three(3);
        std::vector<lease> held = co_await take_all_buffers(three.streams[0], three.peers[0]);
        send_now(three.peers[1], "first");
        send_now(three.peers[2], "second");
        auto first = s.spawn(receive, std::ref(three.streams[1]));
        for (int i = 0; i < 10; ++i) co_await yield();
        auto second = s.spawn(receive, std::ref(three.streams[2]));
        for (int i = 0; i < 10; ++i) co_await yield();
        held.pop_back();
        for (int i = 0; i < turns; ++i) co_await yield();
        first.cancel();
        (void)co_await first.join();
        const std::string text = (co_await second.join()).value();
        EXPECT_EQ(text, "second");
      };
      co_await with_scope(body);
    }
  });
}

// One that waits has no data after all (what was there filled its last buffer exactly, or its peer
// reset): the buffer goes on to those who have.
TEST(lease, a_buffer_that_a_stream_without_data_does_not_take_goes_to_the_next) {
  io_options io = few_buffers();
  io.large_buffers = 1;
  io.large_buffer_bytes = io.small_buffer_bytes;
  run_io(io_cores(1, io), [](scope& s) -> task<> {
    senders three(3);
    send_now(three.peers[1], std::string(4096, 'x'));
    {
      const lease exactly_full = need(co_await three.streams[1].recv());
      EXPECT_EQ(exactly_full.size(), 4096u);
    }
    std::vector<lease> held = co_await take_all_buffers(three.streams[0], three.peers[0]);
    auto idle = s.spawn(receive, std::ref(three.streams[1]));
    for (int i = 0; i < 10; ++i) co_await yield();
    send_now(three.peers[2], "here");
    auto busy = s.spawn(receive, std::ref(three.streams[2]));
    for (int i = 0; i < 10; ++i) co_await yield();
    held.pop_back();
    const std::string text = (co_await busy.join()).value();
    EXPECT_EQ(text, "here");
    idle.cancel();
    (void)co_await idle.join();
  });
}

TEST(lease, the_end_of_a_stream_that_waited_for_a_buffer_lets_the_next_one_go_on) {
  run_io(io_cores(1, few_buffers()), [](scope& s) -> task<> {
    senders three(3);
    std::vector<lease> held = co_await take_all_buffers(three.streams[0], three.peers[0]);
    reset_on_close(three.peers[1]);
    three.peers[1].reset();
    const auto error_of_recv = [](tcp_stream& from) -> task<std::error_code> {
      const result<lease> data = co_await from.recv();
      co_return error_in(data);
    };
    auto ended = s.spawn(error_of_recv, std::ref(three.streams[1]));
    for (int i = 0; i < 10; ++i) co_await yield();
    send_now(three.peers[2], "here");
    auto busy = s.spawn(receive, std::ref(three.streams[2]));
    for (int i = 0; i < 10; ++i) co_await yield();
    held.pop_back();
    const std::string text = (co_await busy.join()).value();
    EXPECT_EQ(text, "here");
    const std::error_code error = (co_await ended.join()).value();
    EXPECT_EQ(error, system_error_code(ECONNRESET));
  });
}

TEST(lease, comes_home_from_another_core) {
  run_io(io_cores(2, few_buffers()), [](scope& s) -> task<> {
    senders two(2);
    std::vector<lease> held = co_await take_all_buffers(two.streams[0], two.peers[0]);
    const std::size_t count = held.size();
    for (int round = 0; round < 20; ++round) {
      send_now(two.peers[1], "hello");
      auto waiting = s.spawn(receive, std::ref(two.streams[1]));
      for (int i = 0; i < 5; ++i) co_await yield();
      auto elsewhere = s.spawn_on(1, [moved = std::move(held)]() mutable -> task<> {
        moved.clear();
        co_return;
      });
      const std::string text = (co_await waiting.join()).value();
      EXPECT_EQ(text, "hello");
      (void)co_await elsewhere.join();
      held.clear();
      for (std::size_t i = 0; i < count; ++i) {
        send_now(two.peers[0], "x");
        held.push_back(need(co_await two.streams[0].recv()));
      }
    }
  });
}

TEST(lease, comes_home_from_a_thread_that_is_no_core) {
  if (on_sim()) GTEST_SKIP() << "one thread plays all cores";
  run_io(io_cores(1, few_buffers()), [](scope& s) -> task<> {
    senders two(2);
    std::vector<lease> held = co_await take_all_buffers(two.streams[0], two.peers[0]);
    send_now(two.peers[1], "hello");
    auto waiting = s.spawn(receive, std::ref(two.streams[1]));
    for (int i = 0; i < 5; ++i) co_await yield();
    std::jthread helper([moved = std::move(held)]() mutable { moved.clear(); });
    const std::string text = (co_await waiting.join()).value();
    EXPECT_EQ(text, "hello");
  });
}

TEST(lease, two_threads_give_back_at_once_and_no_buffer_is_lost) {
  if (on_sim()) GTEST_SKIP() << "one thread plays all cores";
  run_io(io_cores(1, few_buffers()), []() -> task<> {
    senders one(1);
    std::vector<lease> held = co_await take_all_buffers(one.streams[0], one.peers[0]);
    const std::size_t count = held.size();
    for (int round = 0; round < 100; ++round) {
      std::vector<lease> half;
      while (half.size() < count / 2) {
        half.push_back(std::move(held.back()));
        held.pop_back();
      }
      std::jthread a([moved = std::move(half)]() mutable { moved.clear(); });
      std::jthread b([moved = std::move(held)]() mutable { moved.clear(); });
      held.clear();
      for (std::size_t i = 0; i < count; ++i) {
        send_now(one.peers[0], "x");
        held.push_back(need(co_await one.streams[0].recv()));
      }
    }
  });
}

TEST(lease, one_buffer_serves_many_streams_one_after_the_other) {
  io_options io = lane_io();
  io.small_buffers = 1;
  io.large_buffers = 1;
  run_io(io_cores(1, io), []() -> task<> {
    senders many(200);
    auto body = [&](scope& s) -> task<> {
      const auto serve = [](tcp_stream& on) -> task<> {
        for (std::size_t echoed = 0; echoed < 20;) {
          const lease data = need(co_await on.recv());
          co_await yield();  // holds the buffer for a while
          need(co_await on.write_all(data.bytes()));
          echoed += data.size();
        }
      };
      for (tcp_stream& on : many.streams) (void)s.spawn(serve, std::ref(on));
      for (int i = 0; i < 5; ++i) {
        for (const raw& peer : many.peers) send_now(peer, "ping");
        for (int turn = 0; turn < 50; ++turn) co_await yield();
      }
    };
    co_await with_scope(body);
    for (const raw& peer : many.peers) EXPECT_EQ(receive_now(peer, 20), "pingpingpingpingping");
  });
}

/// The sizes of all leases of a stream that gets 4 MB, which are compared.
task<std::vector<std::size_t>> flooded(scope& s, bool multishot) {
  raw_pair ends = tcp_pair();
  tcp_stream ours = stream_on(std::move(ends.one));
  if (multishot) ours.use_multishot();
  const std::vector<std::byte> much = pattern(4'000'000);
  const auto flood = [](tcp_stream to, const std::vector<std::byte>& bytes) -> task<> {
    need(co_await to.write_all(bytes));
  };
  auto writing = s.spawn(flood, stream_on(std::move(ends.two)), std::cref(much));
  std::vector<std::size_t> sizes;
  std::size_t at = 0;
  while (true) {
    const lease data = need(co_await ours.recv());
    if (data.empty()) break;
    EXPECT_TRUE(std::ranges::equal(data.bytes(), std::span(much).subspan(at, data.size())));
    at += data.size();
    sizes.push_back(data.size());
  }
  EXPECT_EQ(at, much.size());
  (void)co_await writing.join();
  co_return sizes;
}

void expect_large(const std::vector<std::size_t>& sizes, const io_options& io) {
  const std::size_t largest = std::ranges::max(sizes);
  EXPECT_GT(largest, std::size_t{io.small_buffer_bytes});
  EXPECT_LE(largest, std::size_t{io.large_buffer_bytes});
}

TEST(lease, large_messages_get_large_buffers_after_the_first_few) {
  const io_options io = lane_io();
  run_io(io_cores(1, io), [io](scope& s) -> task<> {
    auto sizes = flooded(s, false);
    expect_large(co_await std::move(sizes), io);
  });
}

TEST(lease, so_they_do_where_one_receive_stays_armed) {
  const io_options io = lane_io();
  run_io(io_cores(1, io), [io](scope& s) -> task<> {
    auto sizes = flooded(s, true);
    expect_large(co_await std::move(sizes), io);
  });
}

TEST(lease, streams_that_want_the_only_large_buffer_get_all_their_bytes_in_order) {
  io_options io = lane_io();
  io.small_buffers = 4;
  io.large_buffers = 1;
  run_io(io_cores(1, io), [](scope& s) -> task<> {
    const auto one = [](scope& in) -> task<> {
      auto sizes = flooded(in, true);
      (void)co_await std::move(sizes);
    };
    auto first = s.spawn(one, std::ref(s));
    auto second = s.spawn(one, std::ref(s));
    (void)co_await first.join();
    (void)co_await second.join();
  });
}

/// Enough of the same to learn from.
task<> receive_twenty(tcp_stream& ours, const raw& peer, std::string message) {
  for (int i = 0; i < 20; ++i) {
    send_now(peer, message);
    for (std::size_t got = 0; got < message.size();) {
      const lease data = need(co_await ours.recv());
      got += data.size();
    }
  }
}

io_options one_large_buffer() {
  io_options io = lane_io();
  io.small_buffers = 2;
  io.large_buffers = 1;
  return io;
}

TEST(lease, a_stream_that_stays_armed_gives_the_large_buffer_up_when_messages_are_short) {
  const io_options io = one_large_buffer();
  run_io(io_cores(1, io), [io](scope& s) -> task<> {
    senders one(1);
    one.streams[0].use_multishot();
    const std::string too_long(io.small_buffer_bytes + 1, 'x');
    auto learns = receive_twenty(one.streams[0], one.peers[0], too_long);
    co_await std::move(learns);
    auto forgets = receive_twenty(one.streams[0], one.peers[0], "short");
    co_await std::move(forgets);
    const detail::file& f = one.streams[0].inner();
    while (f.reading != nullptr && f.reading->buffers != 0) co_await yield();
    send_now(one.peers[0], "held");
    const lease held = need(co_await one.streams[0].recv());
    EXPECT_EQ(held.text(), "held");
    auto sizes = flooded(s, true);
    expect_large(co_await std::move(sizes), io);
  });
}

TEST(lease, a_stream_that_stays_armed_takes_a_small_buffer_when_the_large_one_is_away) {
  const io_options io = one_large_buffer();
  run_io(io_cores(1, io), [io]() -> task<> {
    senders two(2);
    const std::string too_long(io.small_buffer_bytes + 1, 'x');
    for (std::size_t i : {0U, 1U}) {
      two.streams[i].use_multishot();
      auto learns = receive_twenty(two.streams[i], two.peers[i], too_long);
      co_await std::move(learns);
    }
    send_now(two.peers[0], too_long);
    const lease large = need(co_await two.streams[0].recv());
    EXPECT_EQ(large.size(), too_long.size());
    send_now(two.peers[1], "small");
    const lease small = need(co_await two.streams[1].recv());
    EXPECT_EQ(small.text(), "small");
  });
}

TEST(lease, that_a_stream_got_ahead_is_given_back_though_the_cores_have_ended) {
  if (on_sim()) GTEST_SKIP() << "there an operation that is left over is a failure";
  const std::size_t before = open_descriptors();
  {
    runtime rt(io_cores(2));
    (void)rt.run([]() -> task<> {
      raw_pair ends = tcp_pair();
      auto stream = std::make_shared<tcp_stream>(adopted(std::move(ends.one)));
      stream->use_multishot();
      send_now(ends.two, "x");
      EXPECT_EQ(co_await receive(*stream), "x");
      send_now(ends.two, "y");
      co_await let_outlive_the_cores(std::move(stream));
    });
  }
  EXPECT_EQ(open_descriptors(), before);
}

TEST(lease, moving_it_moves_the_bytes_and_leaves_an_empty_one) {
  run_io([]() -> task<> {
    senders one(1);
    send_now(one.peers[0], "hello");
    lease first = need(co_await one.streams[0].recv());
    lease second = std::move(first);
    EXPECT_TRUE(first.empty());
    EXPECT_EQ(second.text(), "hello");
    second = lease();
    EXPECT_TRUE(second.empty());
    send_now(one.peers[0], "again");
    const lease third = need(co_await one.streams[0].recv());
    EXPECT_EQ(third.text(), "again");
  });
}

}  // namespace
}  // namespace corespun::test
