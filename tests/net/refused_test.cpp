// A kernel, a seccomp filter or a restricted ring may refuse one kind of operation. That kind then
// falls back alone, and nothing else changes. The rings of these tests refuse by themselves
// (IORING_REGISTER_RESTRICTIONS), one operation at a time; io_uring only.

#include <corespun/io/detail/liburing.hpp>
#include <corespun/io/detail/uring_driver.hpp>
#include <corespun/net/connect.hpp>
#include <corespun/net/stream.hpp>
#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/sleep.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <string>

#include "tests/support/io_memory.hpp"
#include "tests/support/io_run.hpp"
#include "tests/support/io_sockets.hpp"

namespace corespun::test {
namespace {

using namespace std::chrono_literals;

struct refusal {
  const char* name;
  int operation;
};
void PrintTo(const refusal& r, std::ostream* out) { *out << r.name; }

class refused : public testing::TestWithParam<refusal> {
 protected:
  void SetUp() override {
    if (!on_uring()) GTEST_SKIP() << "epoll makes plain system calls";
    detail::refused_operations = std::uint64_t{1} << GetParam().operation;
  }
  void TearDown() override { detail::refused_operations = 0; }
};
INSTANTIATE_TEST_SUITE_P(
    operation, refused,
    testing::Values(refusal{"read", IORING_OP_READ}, refusal{"write", IORING_OP_WRITE},
                    refusal{"recv", IORING_OP_RECV}, refusal{"send", IORING_OP_SEND},
                    refusal{"sendmsg", IORING_OP_SENDMSG}, refusal{"accept", IORING_OP_ACCEPT},
                    refusal{"connect", IORING_OP_CONNECT}, refusal{"close", IORING_OP_CLOSE},
                    refusal{"shutdown", IORING_OP_SHUTDOWN}),
    [](const auto& p) { return std::string(p.param.name); });

/// Sends all bytes in all ways.
task<> send_all(tcp_stream& to, std::span<const std::byte> bytes) {
  const std::size_t half = bytes.size() / 2;
  std::vector<std::byte> copy(bytes.begin() + static_cast<std::ptrdiff_t>(half), bytes.end());
  need(co_await to.write_all(bytes.first(half)));
  std::array<iovec, 2> parts{iovec{copy.data(), 10}, iovec{copy.data() + 10, copy.size() - 10}};
  need(co_await to.write_all(std::span<iovec>(parts)));
  need(co_await to.shutdown_write());
}

TEST_P(refused, connections_work_in_both_directions) {
  run_io([](scope& s) -> task<> {
    tcp_listener listener = need(tcp_listener::bind(address::loopback(0)));
    const std::vector<std::byte> bytes = pattern(1'000'003);
    const auto client = [](address at, const std::vector<std::byte>& all) -> task<> {
      tcp_stream stream = need(co_await connect(at));
      co_await send_all(stream, all);
      std::vector<std::byte> back(all.size());
      need(co_await stream.read_exactly(back));
      EXPECT_TRUE(back == all);
      need(co_await stream.close());
    };
    auto other = s.spawn(client, listener.local_address(), std::cref(bytes));
    tcp_stream stream = need(co_await listener.accept());
    std::string got;
    while (true) {
      const lease data = need(co_await stream.recv());
      if (data.empty()) break;
      got += data.text();
    }
    EXPECT_TRUE(got == text_of(bytes)) << got.size();
    co_await send_all(stream, bytes);
    (void)co_await other.join();
  });
}

TEST_P(refused, pipes_and_files_work) {
  run_io([](scope& s) -> task<> {
    raw_pair ends = pipe_pair();
    fd in = adopted(std::move(ends.one));
    const std::vector<std::byte> bytes = pattern(300'001);
    const auto write = [](fd to, const std::vector<std::byte>& all) -> task<> {
      need(co_await to.write_all(all));
    };
    (void)s.spawn(write, adopted(std::move(ends.two)), std::cref(bytes));
    std::vector<std::byte> got(bytes.size());
    need(co_await in.read_exactly(got));
    EXPECT_TRUE(got == bytes);
  });
}

TEST_P(refused, what_waits_can_be_cancelled_and_loses_nothing) {
  run_io([]() -> task<> {
    raw_pair ends = socket_pair();
    tcp_listener listener = need(tcp_listener::bind(address::loopback(0)));
    tcp_stream ours = stream_on(std::move(ends.one));
    for (int i = 0; i < 20; ++i) {
      const auto limit = std::chrono::microseconds(i * 20);
      guarded_page page;
      const auto read = co_await with_timeout(limit, ours.read_some(page.bytes()));
      page.forbid();
      const auto received = co_await with_timeout(limit, ours.recv());
      const auto accepted = co_await with_timeout(limit, listener.accept());
      EXPECT_EQ(error_in(read), errc::timed_out);
      EXPECT_EQ(error_in(received), errc::timed_out);
      EXPECT_EQ(error_in(accepted), errc::timed_out);
      send_now(ends.two, "x");
      const lease data = need(co_await ours.recv());
      EXPECT_EQ(data.text(), "x");
    }
  });
}

TEST_P(refused, close_ends_what_waits) {
  run_io([](scope& s) -> task<> {
    raw_pair ends = socket_pair();
    tcp_stream ours = stream_on(std::move(ends.one));
    const auto receive = [](tcp_stream& from) -> task<std::error_code> {
      const result<lease> r = co_await from.recv();
      co_return error_in(r);
    };
    auto reader = s.spawn(receive, std::ref(ours));
    for (int i = 0; i < 5; ++i) co_await yield();
    need(co_await ours.close());
    const std::error_code error = (co_await reader.join()).value();
    EXPECT_EQ(error, errc::closed);
    EXPECT_EQ(receive_now(ends.two, 1), "");
  });
}

// Mail from another thread rings the bell, which is an operation of the ring, too.
TEST_P(refused, a_sleeping_core_can_be_woken_and_sleeps_again) {
  run_io(io_cores(2), [](scope& s) -> task<> {
    for (int i = 0; i < 5; ++i) {
      auto elsewhere = s.spawn_on(1, []() -> task<> { co_await yield(); });
      (void)co_await elsewhere.join();
    }
    const std::uint64_t before = this_core_io().system_calls;
    co_await sleep_for(20ms);
    EXPECT_LT(this_core_io().system_calls, before + 20) << "it does not sleep, it spins";
  });
}

// Without these a ring cannot keep the promises: such a ring is not used at all.
class needed : public testing::TestWithParam<refusal> {};
INSTANTIATE_TEST_SUITE_P(operation, needed,
                         testing::Values(refusal{"nop", IORING_OP_NOP},
                                         refusal{"poll", IORING_OP_POLL_ADD},
                                         refusal{"cancel", IORING_OP_ASYNC_CANCEL}),
                         [](const auto& p) { return std::string(p.param.name); });

TEST_P(needed, a_ring_without_it_fails_the_start_or_does_without) {
  if (!on_uring()) GTEST_SKIP() << "epoll makes plain system calls";
  detail::refused_operations = std::uint64_t{1} << GetParam().operation;
  const auto no_longer = [](int*) { detail::refused_operations = 0; };
  int any = 0;
  const std::unique_ptr<int, decltype(no_longer)> at_end(&any, no_longer);
  try {
    run_io([]() -> task<> {
      raw_pair ends = socket_pair();
      fd ours = adopted(std::move(ends.one));
      std::array<std::byte, 1> byte{};
      const auto nothing = co_await with_timeout(1ms, ours.read_some(byte));
      EXPECT_EQ(error_in(nothing), errc::timed_out);
      send_now(ends.two, "x");
      need(co_await readable(ours.native_handle()));
    });
  } catch (const std::system_error& e) {
    EXPECT_EQ(e.code(), system_error_code(EACCES));
  }
}

}  // namespace
}  // namespace corespun::test
