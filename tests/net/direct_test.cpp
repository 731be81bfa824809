// Direct descriptors: accepted connections that are slots of the ring, not descriptors of the
// process. io_uring only; under epoll the option changes nothing.

#include <corespun/io/detail/liburing.hpp>
#include <corespun/io/detail/uring_driver.hpp>
#include <corespun/net/connect.hpp>
#include <corespun/net/serve.hpp>

#include <gtest/gtest.h>

#include <netinet/tcp.h>

#include <array>
#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/io_process.hpp"
#include "tests/support/io_run.hpp"
#include "tests/support/io_sockets.hpp"

namespace corespun::test {
namespace {

using namespace std::chrono_literals;

runtime_options with_slots(unsigned slots) {
  io_options io = lane_io();
  io.direct_descriptors = slots;
  return io_cores(1, io);
}

class direct : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (!on_uring()) GTEST_SKIP() << "direct descriptors belong to a ring";
  }
  static tcp_listener bound() {
    listen_options options;
    options.multishot = GetParam();
    return need(tcp_listener::bind(address::loopback(0), options));
  }
};
INSTANTIATE_TEST_SUITE_P(descriptors, direct, testing::Bool(),
                         [](const auto& p) { return p.param ? "multishot" : "one_shot"; });

TEST_P(direct, echo_works_and_no_descriptor_of_the_process_is_used) {
  run_io(with_slots(64), []() -> task<> {
    tcp_listener listener = bound();
    std::vector<raw> clients;
    for (int i = 0; i < 20; ++i) clients.push_back(connected_to(listener.local_address()));
    const std::size_t before = open_descriptors();
    std::vector<tcp_stream> accepted;
    while (accepted.size() < clients.size()) accepted.push_back(need(co_await listener.accept()));
    EXPECT_EQ(open_descriptors(), before);
    for (const raw& c : clients) send_now(c, "hello");
    for (tcp_stream& s : accepted) {
      const lease data = need(co_await s.recv());
      need(co_await s.write_all(data.bytes()));
      iovec part{data.bytes().data(), data.size()};
      need(co_await s.write_all(std::span(&part, 1)));
      need(co_await s.shutdown_write());
    }
    for (const raw& c : clients) EXPECT_EQ(receive_now(c, 100), "hellohello");
  });
}

TEST_P(direct, streams_have_no_number_and_no_options) {
  run_io(with_slots(4), []() -> task<> {
    tcp_listener listener = bound();
    const raw client = connected_to(listener.local_address());
    tcp_stream accepted = need(co_await listener.accept());
    EXPECT_TRUE(accepted.valid());
    EXPECT_EQ(accepted.native_handle(), -1);
    EXPECT_EQ(error_in(accepted.set_option(IPPROTO_TCP, TCP_NODELAY, 1)), errc::not_supported);
    EXPECT_EQ(error_in(accepted.option(IPPROTO_TCP, TCP_NODELAY)), errc::not_supported);
    EXPECT_EQ(error_in(accepted.local_address()), errc::not_supported);
    EXPECT_EQ(error_in(accepted.peer_address()), errc::not_supported);
  });
}

TEST_P(direct, operations_can_be_cancelled_and_closed) {
  run_io(with_slots(4), []() -> task<> {
    tcp_listener listener = bound();
    const raw client = connected_to(listener.local_address());
    tcp_stream accepted = need(co_await listener.accept());
    for (int i = 0; i < 5; ++i) {
      const auto nothing =
          co_await with_timeout(std::chrono::microseconds(100 * i), accepted.recv());
      EXPECT_EQ(error_in(nothing), errc::timed_out);
    }
    need(co_await accepted.close());
    EXPECT_EQ(receive_now(client, 1), "");
  });
}

TEST_P(direct, slots_are_used_again) {
  run_io(with_slots(2), []() -> task<> {
    tcp_listener listener = bound();
    for (int i = 0; i < 20; ++i) {
      const raw client = connected_to(listener.local_address());
      tcp_stream accepted = need(co_await listener.accept());
      send_now(client, "x");
      const lease data = need(co_await accepted.recv());
      EXPECT_EQ(data.text(), "x");
      need(co_await accepted.close());
    }
  });
}

TEST_P(direct, slots_are_used_again_even_if_the_ring_may_not_close) {
  detail::refused_operations = std::uint64_t{1} << IORING_OP_CLOSE;
  const auto no_longer = [](int*) { detail::refused_operations = 0; };
  int until_the_end = 0;
  const std::unique_ptr<int, decltype(no_longer)> guard(&until_the_end, no_longer);
  run_io(with_slots(2), []() -> task<> {
    tcp_listener listener = bound();
    for (int i = 0; i < 5; ++i) {
      const raw client = connected_to(listener.local_address());
      tcp_stream accepted = need(co_await listener.accept());
      need(co_await accepted.close());
      EXPECT_EQ(receive_now(client, 1), "");
    }
  });
}

TEST_P(direct, a_full_table_is_an_error_that_passes_with_time) {
  run_io(with_slots(2), []() -> task<> {
    tcp_listener listener = bound();
    std::vector<raw> clients;
    for (int i = 0; i < 3; ++i) clients.push_back(connected_to(listener.local_address()));
    tcp_stream first = need(co_await listener.accept());
    const tcp_stream second = need(co_await listener.accept());
    const auto full = co_await listener.accept();
    EXPECT_TRUE(detail::passes_with_time(error_in(full))) << error_in(full).message();
    need(co_await first.close());
    clients.push_back(connected_to(listener.local_address()));
    const tcp_stream third = need(co_await listener.accept());
    EXPECT_TRUE(third.valid());
  });
}

TEST_P(direct, serve_pauses_at_a_full_table_says_so_once_and_goes_on) {
  run_io(with_slots(3), [](scope& s) -> task<> {
    const captured_stderr said;
    tcp_listener listener = bound();
    const address at = listener.local_address();
    std::vector<raw> clients;
    for (int i = 0; i < 10; ++i) clients.push_back(connected_to(at));
    const auto echo_once = [](tcp_stream stream) -> task<> {
      const lease data = need(co_await stream.recv());
      need(co_await stream.write_all(data.bytes()));
    };
    const auto serve_all = [](tcp_listener on, auto handler) -> task<> {
      const result<> ended = co_await serve(std::move(on), handler);
      need(ended);
    };
    (void)s.spawn(serve_all, std::move(listener), echo_once);
    need(co_await readable(said.native()));  // the table is full
    for (const raw& c : clients) (void)::send(c.get(), "hello", 5, MSG_NOSIGNAL);
    for (const raw& c : clients) {
      need(co_await readable(c.get()));
      std::string answer(5, '\0');
      const ssize_t n = ::recv(c.get(), answer.data(), answer.size(), MSG_WAITALL);
      // What a multishot accept takes from the queue without a slot for it, the kernel drops.
      if (!GetParam() || n > 0) {
        EXPECT_EQ(answer, "hello");
      }
    }
    EXPECT_EQ(times("accepting pauses", said.take()), 1u);
    s.cancel();
  });
}

TEST(direct_descriptors, that_are_all_taken_leave_clients_in_the_queue) {
  if (!on_uring()) GTEST_SKIP() << "direct descriptors belong to a ring";
  run_io(with_slots(1), []() -> task<> {
    tcp_listener listener = need(tcp_listener::bind(address::loopback(0)));
    const raw one = connected_to(listener.local_address());
    const raw two = connected_to(listener.local_address());
    tcp_stream first = need(co_await listener.accept());
    const auto full = co_await listener.accept();
    EXPECT_EQ(error_in(full), system_error_code(ENFILE));
    need(co_await first.close());
    tcp_stream second = need(co_await listener.accept());
    send_now(two, "x");
    const lease data = need(co_await second.recv());
    EXPECT_EQ(data.text(), "x");
  });
}

}  // namespace
}  // namespace corespun::test
