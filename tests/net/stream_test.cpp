// tcp_stream: options, names, both ends of a connection, and peers that behave badly.

#include <corespun/net/stream.hpp>
#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/scope.hpp>

#include <gtest/gtest.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <array>
#include <cerrno>
#include <string>
#include <vector>

#include "tests/support/io_run.hpp"
#include "tests/support/io_sockets.hpp"

namespace corespun::test {
namespace {

using namespace std::chrono_literals;

enum class receiving { one_shot, multishot };

/// The stream promises hold for both ways to receive.
class stream : public testing::TestWithParam<receiving> {
 protected:
  static tcp_stream made_of(raw end) {
    tcp_stream s = stream_on(std::move(end));
    if (GetParam() == receiving::multishot) s.use_multishot();
    return s;
  }
};
INSTANTIATE_TEST_SUITE_P(tcp, stream, testing::Values(receiving::one_shot, receiving::multishot),
                         [](const auto& p) {
                           return p.param == receiving::one_shot ? "one_shot" : "multishot";
                         });

TEST_P(stream, recv_leases_what_the_peer_sent_and_then_the_end) {
  run_io([]() -> task<> {
    raw_pair ends = tcp_pair();
    tcp_stream ours = made_of(std::move(ends.one));
    for (const char* text : {"hello", "w", "orld"}) {
      send_now(ends.two, text);
      const lease data = need(co_await ours.recv());
      EXPECT_EQ(data.text(), text);
    }
    ends.two.reset();
    const lease end = need(co_await ours.recv());
    EXPECT_TRUE(end.empty());
    const lease still_the_end = need(co_await ours.recv());
    EXPECT_TRUE(still_the_end.empty());
  });
}

TEST_P(stream, recv_takes_megabytes_byte_by_byte) {
  run_io([](scope& s) -> task<> {
    raw_pair ends = tcp_pair();
    tcp_stream ours = made_of(std::move(ends.one));
    const std::vector<std::byte> bytes = pattern(3'000'001);
    const auto send = [](tcp_stream to, const std::vector<std::byte>& all) -> task<> {
      need(co_await to.write_all(all));
    };
    (void)s.spawn(send, stream_on(std::move(ends.two)), std::cref(bytes));
    std::string got;
    while (true) {
      const lease data = need(co_await ours.recv());
      if (data.empty()) break;
      got += data.text();
    }
    EXPECT_TRUE(got == text_of(bytes)) << got.size();
  });
}

TEST_P(stream, a_reset_by_the_peer_is_an_error) {
  run_io([]() -> task<> {
    raw_pair ends = tcp_pair();
    tcp_stream ours = made_of(std::move(ends.one));
    reset_on_close(ends.two);
    ends.two.reset();
    const result<lease> r = co_await ours.recv();
    EXPECT_EQ(error_in(r), system_error_code(ECONNRESET));
  });
}

TEST_P(stream, a_reset_ends_a_recv_that_waits) {
  run_io([](scope& s) -> task<> {
    raw_pair ends = tcp_pair();
    tcp_stream ours = made_of(std::move(ends.one));
    reset_on_close(ends.two);
    const auto vanish = [](raw peer) -> task<> {
      for (int i = 0; i < 3; ++i) co_await yield();
      peer.reset();
    };
    (void)s.spawn(vanish, std::move(ends.two));
    const result<lease> r = co_await ours.recv();
    EXPECT_EQ(error_in(r), system_error_code(ECONNRESET));
  });
}

TEST_P(stream, after_shutdown_write_the_other_direction_goes_on) {
  run_io([]() -> task<> {
    raw_pair ends = tcp_pair();
    tcp_stream ours = made_of(std::move(ends.one));
    need(co_await ours.write_all("request"));
    need(co_await ours.shutdown_write());
    EXPECT_EQ(receive_now(ends.two, 100), "request");
    const result<> late = co_await ours.write_all("x");
    EXPECT_EQ(error_in(late), system_error_code(EPIPE));
    send_now(ends.two, "answer");
    ends.two.reset();
    std::string got;
    while (true) {
      const lease data = need(co_await ours.recv());
      if (data.empty()) break;
      got += data.text();
    }
    EXPECT_EQ(got, "answer");
  });
}

TEST_P(stream, close_ends_a_recv_that_waits) {
  run_io([](scope& s) -> task<> {
    raw_pair ends = tcp_pair();
    tcp_stream ours = made_of(std::move(ends.one));
    const auto receive = [](tcp_stream& from) -> task<std::error_code> {
      const result<lease> r = co_await from.recv();
      co_return error_in(r);
    };
    auto reader = s.spawn(receive, std::ref(ours));
    for (int i = 0; i < 3; ++i) co_await yield();
    need(co_await ours.close());
    const std::error_code error = (co_await reader.join()).value();
    EXPECT_EQ(error, errc::closed);
    EXPECT_EQ(receive_now(ends.two, 1), "");
  });
}

TEST_P(stream, moving_it_keeps_what_is_under_way) {
  run_io([]() -> task<> {
    raw_pair ends = tcp_pair();
    tcp_stream ours = made_of(std::move(ends.one));
    send_now(ends.two, "a");
    {
      const lease first = need(co_await ours.recv());
      EXPECT_EQ(first.text(), "a");
    }
    send_now(ends.two, "b");
    for (int i = 0; i < 3; ++i) co_await yield();
    tcp_stream other = std::move(ours);
    EXPECT_FALSE(ours.valid());
    const lease second = need(co_await other.recv());
    EXPECT_EQ(second.text(), "b");
    other = tcp_stream();
    co_await quiet();
    EXPECT_EQ(receive_now(ends.two, 1), "");
  });
}

// A peer that never reads holds up its own connection, nobody else's.
TEST(tcp_stream, a_peer_that_never_reads_blocks_only_its_writer) {
  run_io([](scope& s) -> task<> {
    raw_pair deaf = tcp_pair();
    raw_pair good = tcp_pair();
    shrink_buffers(deaf.one);
    tcp_stream stuck = stream_on(std::move(deaf.one));
    tcp_stream fine = stream_on(std::move(good.one));
    const auto write = [](tcp_stream& to) -> task<> {
      const std::vector<std::byte> much = pattern(20'000'000);
      need(co_await to.write_all(much));
    };
    auto writer = s.spawn(write, std::ref(stuck));
    for (int i = 0; i < 100; ++i) {
      send_now(good.two, "ping");
      std::array<std::byte, 4> ping{};
      need(co_await fine.read_exactly(ping));
    }
    EXPECT_FALSE(writer.done());
    send_now(deaf.two, "it can still talk");
    const lease data = need(co_await stuck.recv());
    EXPECT_EQ(data.text(), "it can still talk");
    writer.cancel();
    (void)co_await writer.join();
  });
}

TEST(tcp_stream, writes_all_parts_in_order_whatever_fits_at_once) {
  run_io([](scope& s) -> task<> {
    raw_pair ends = tcp_pair();
    shrink_buffers(ends.one);
    tcp_stream ours = stream_on(std::move(ends.one));
    const std::size_t sizes[] = {0, 1, 100'000, 0, 4096, 700'001, 3};
    std::vector<std::vector<std::byte>> parts;
    std::string expected;
    for (const std::size_t size : sizes) {
      parts.push_back(pattern(size, static_cast<unsigned>(size)));
      expected += text_of(parts.back());
    }
    const auto write = [](tcp_stream& to, std::vector<std::vector<std::byte>>& all) -> task<> {
      std::vector<iovec> list;
      for (auto& part : all) list.push_back({part.data(), part.size()});
      need(co_await to.write_all(std::span(list)));
    };
    auto writer = s.spawn(write, std::ref(ours), std::ref(parts));
    std::string got(expected.size(), '\0');
    tcp_stream peer = stream_on(std::move(ends.two));
    need(co_await peer.read_exactly(std::as_writable_bytes(std::span(got))));
    EXPECT_TRUE(got == expected);
    (void)co_await writer.join();
  });
}

TEST(tcp_stream, writing_nothing_does_not_wait) {
  run_io([]() -> task<> {
    raw_pair ends = tcp_pair();
    tcp_stream ours = stream_on(std::move(ends.one));
    need(co_await ours.write_all(""));
    need(co_await ours.write_all(std::span<iovec>{}));
    std::array<iovec, 2> empty{};
    need(co_await ours.write_all(std::span<iovec>(empty)));
    need(co_await ours.write_all("x"));
    EXPECT_EQ(receive_now(ends.two, 1), "x");
  });
}

TEST(tcp_stream, sets_and_tells_options) {
  run_io([]() -> task<> {
    raw_pair ends = tcp_pair();
    tcp_stream ours = stream_on(std::move(ends.one));
    need(ours.set_option(SOL_SOCKET, SO_KEEPALIVE, 1));
    EXPECT_EQ(need(ours.option(SOL_SOCKET, SO_KEEPALIVE)), 1);
    EXPECT_EQ(error_in(ours.set_option(SOL_SOCKET, -1, 1)), system_error_code(ENOPROTOOPT));
    EXPECT_EQ(error_in(ours.option(SOL_SOCKET, -1)), system_error_code(ENOPROTOOPT));
    co_return;
  });
}

TEST(tcp_stream, tells_both_addresses) {
  run_io([]() -> task<> {
    raw_pair ends = tcp_pair();
    const address peer = bound_address(ends.two);
    const address mine = bound_address(ends.one);
    const tcp_stream ours = stream_on(std::move(ends.one));
    EXPECT_EQ(need(ours.local_address()), mine);
    EXPECT_EQ(need(ours.peer_address()), peer);
    co_return;
  });
}

TEST(tcp_stream, works_over_unix_sockets_as_well) {
  run_io([]() -> task<> {
    raw_pair ends = socket_pair();
    tcp_stream ours = stream_on(std::move(ends.one));
    send_now(ends.two, "hello");
    const lease data = need(co_await ours.recv());
    EXPECT_EQ(data.text(), "hello");
    EXPECT_EQ(need(ours.peer_address()).to_string(), "unix:");
  });
}

// recv(2) stops at urgent data; what follows is there all the same.
TEST(tcp_stream, urgent_data_do_not_hold_up_what_comes_after) {
  if (on_sim()) GTEST_SKIP() << "there are no urgent data";
  run_io([]() -> task<> {
    raw_pair ends = tcp_pair();
    tcp_stream ours = stream_on(std::move(ends.one));
    send_now(ends.two, "ab");
    sys(::send(ends.two.get(), "!", 1, MSG_OOB), "send");
    send_now(ends.two, "cd");
    std::array<std::byte, 4> got{};
    need(co_await with_timeout(10s, ours.read_exactly(got)));
    EXPECT_EQ(text_of(got), "abcd");
  });
}

}  // namespace
}  // namespace corespun::test
