// connect: how an attempt ends.

#include <corespun/net/connect.hpp>
#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/scope.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <string>

#include "tests/support/io_run.hpp"
#include "tests/support/io_sockets.hpp"

namespace corespun::test {
namespace {

using namespace std::chrono_literals;

address unused_port() {
  const raw taken_and_freed = raw_listener(address::loopback(0));
  return bound_address(taken_and_freed);
}

TEST(connect, makes_a_stream_that_works_in_both_directions) {
  run_io([]() -> task<> {
    const raw listener = raw_listener(address::loopback(0));
    tcp_stream ours = need(co_await connect(bound_address(listener)));
    const raw theirs = accepted_from(listener);
    need(co_await ours.write_all("ping"));
    EXPECT_EQ(receive_now(theirs, 4), "ping");
    send_now(theirs, "pong");
    std::array<std::byte, 4> answer{};
    need(co_await ours.read_exactly(answer));
    EXPECT_EQ(text_of(answer), "pong");
  });
}

TEST(connect, reaches_unix_sockets) {
  run_io([]() -> task<> {
    const address at = need(address::parse("unix:@corespun-connect-" + std::to_string(::getpid())));
    const raw listener = raw_listener(at);
    tcp_stream ours = need(co_await connect(at));
    const raw theirs = accepted_from(listener);
    need(co_await ours.write_all("x"));
    EXPECT_EQ(receive_now(theirs, 1), "x");
    EXPECT_EQ(need(ours.peer_address()), at);
  });
}

TEST(connect, to_a_port_where_nobody_listens_is_refused) {
  run_io([]() -> task<> {
    const auto r = co_await connect(unused_port());
    EXPECT_EQ(error_in(r), system_error_code(ECONNREFUSED));
  });
}

TEST(connect, to_a_unix_socket_that_is_not_there_says_so) {
  run_io([]() -> task<> {
    const address nowhere = need(address::parse("unix:/nonexistent/socket"));
    const auto r = co_await connect(nowhere);
    EXPECT_EQ(error_in(r), system_error_code(ENOENT));
  });
}

TEST(connect, to_an_unreachable_address_says_so) {
  run_io([]() -> task<> {
    // Broadcast is for datagrams only.
    const address broadcast = need(address::parse("255.255.255.255:9"));
    const auto r = co_await connect(broadcast);
    EXPECT_EQ(error_in(r), system_error_code(ENETUNREACH));
  });
}

TEST(connect, to_no_address_is_an_error) {
  run_io([]() -> task<> {
    const auto r = co_await connect(address());
    EXPECT_TRUE(error_in(r));
  });
}

TEST(connect, gives_up_after_its_limit) {
  run_io([]() -> task<> {
    const deaf_listener deaf;
    const auto r = co_await connect(deaf.at(), 5ms);
    EXPECT_EQ(error_in(r), errc::timed_out);
  });
}

TEST(connect, can_be_cancelled) {
  run_io([](scope& s) -> task<> {
    const deaf_listener deaf;
    for (int turns = 0; turns < 5; ++turns) {
      const auto attempt = [](address to) -> task<> {
        (void)co_await connect(to);
        ADD_FAILURE() << "a full queue answered";
      };
      auto connecting = s.spawn(attempt, deaf.at());
      for (int i = 0; i < turns; ++i) co_await yield();
      connecting.cancel();
      const auto ended = co_await connecting.join();
      EXPECT_TRUE(ended.stopped());
    }
  });
}

// A Unix listener with a full queue does not refuse: a blocking connect(2) waits there.
TEST(connect, waits_for_room_in_the_queue_of_a_unix_listener) {
  run_io([](scope& s) -> task<> {
    const address at = need(address::parse("unix:@corespun-full-" + std::to_string(::getpid())));
    const raw listener = raw_listener(at, 0);
    const raw first = connected_to(at);
    const auto attempt = [](address to) -> task<> {
      const tcp_stream late = need(co_await connect(to, 20s));
    };
    auto connecting = s.spawn(attempt, at);
    const auto nothing = co_await with_timeout(5ms, connecting.join());
    EXPECT_EQ(error_in(nothing), errc::timed_out);
    const raw accepted = accepted_from(listener);
    const auto ended = co_await connecting.join();
    EXPECT_TRUE(ended.has_value());
  });
}

TEST(connect, to_a_full_unix_listener_gives_up_after_its_limit) {
  run_io([]() -> task<> {
    const address at = need(address::parse("unix:@corespun-deaf-" + std::to_string(::getpid())));
    const raw listener = raw_listener(at, 0);
    const raw first = connected_to(at);
    const auto r = co_await connect(at, 5ms);
    EXPECT_EQ(error_in(r), errc::timed_out);
  });
}

}  // namespace
}  // namespace corespun::test
