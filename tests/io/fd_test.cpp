// Moving bytes through a descriptor: sockets, pipes and files.

#include <corespun/io/fd.hpp>
#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/scope.hpp>

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/mman.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <string>
#include <vector>

#include "tests/support/io_run.hpp"
#include "tests/support/io_sockets.hpp"

namespace corespun::test {
namespace {

using namespace std::chrono_literals;

raw file_with(std::string_view text) {
  raw file(sys(::memfd_create("corespun", MFD_CLOEXEC), "memfd_create"));
  send_now(file, text);
  sys(::lseek(file.get(), 0, SEEK_SET), "lseek");
  return file;
}

bool blocks(const raw& s) { return (sys(::fcntl(s.get(), F_GETFL), "fcntl") & O_NONBLOCK) == 0; }

task<std::string> read_to_end(fd& from) {
  std::array<std::byte, 100> buffer{};
  std::string all;
  while (true) {
    const std::size_t n = need(co_await from.read_some(buffer));
    if (n == 0) co_return all;
    all += text_of(std::span(buffer).first(n));
  }
}

TEST(fd, adopting_what_is_not_open_is_an_error_and_owns_nothing) {
  run_io([]() -> task<> {
    const result<fd> none = fd::adopt(-1);
    EXPECT_EQ(error_in(none), system_error_code(EBADF));
    const fd empty;
    EXPECT_FALSE(empty.valid());
    EXPECT_EQ(empty.native_handle(), -1);
    co_return;
  });
}

TEST(fd, read_some_waits_for_the_first_byte_and_then_takes_what_is_there) {
  run_io([](scope& s) -> task<> {
    raw_pair ends = socket_pair();
    fd ours = adopted(std::move(ends.one));
    const auto writer = [](const raw& to) -> task<> {
      co_await yield();
      send_now(to, "hello");
    };
    (void)s.spawn(writer, std::cref(ends.two));
    std::array<std::byte, 100> buffer{};
    const std::size_t n = need(co_await ours.read_some(buffer));
    EXPECT_EQ(text_of(std::span(buffer).first(n)), "hello");
  });
}

TEST(fd, the_end_of_the_stream_is_zero_bytes_each_time) {
  run_io([]() -> task<> {
    raw_pair ends = socket_pair();
    fd ours = adopted(std::move(ends.one));
    send_now(ends.two, "last");
    ends.two.reset();
    const std::string all = co_await read_to_end(ours);
    EXPECT_EQ(all, "last");
    std::array<std::byte, 4> buffer{};
    const std::size_t again = need(co_await ours.read_some(buffer));
    EXPECT_EQ(again, 0u);
  });
}

TEST(fd, read_exactly_puts_the_pieces_together) {
  run_io([](scope& s) -> task<> {
    raw_pair ends = socket_pair();
    fd ours = adopted(std::move(ends.one));
    const auto dribble = [](const raw& to) -> task<> {
      for (const char* piece : {"he", "l", "lo ", "world"}) {
        send_now(to, piece);
        for (int i = 0; i < 3; ++i) co_await yield();
      }
    };
    (void)s.spawn(dribble, std::cref(ends.two));
    std::array<std::byte, 11> buffer{};
    need(co_await ours.read_exactly(buffer));
    EXPECT_EQ(text_of(buffer), "hello world");
  });
}

TEST(fd, read_exactly_fails_when_the_stream_ends_before) {
  run_io([]() -> task<> {
    raw_pair ends = socket_pair();
    fd ours = adopted(std::move(ends.one));
    send_now(ends.two, "abc");
    ends.two.reset();
    std::array<std::byte, 4> buffer{};
    const result<> r = co_await ours.read_exactly(buffer);
    EXPECT_EQ(error_in(r), errc::end_of_stream);
  });
}

TEST(fd, datagrams_stay_apart) {
  run_io([]() -> task<> {
    raw_pair ends = socket_pair(SOCK_DGRAM);
    fd ours = adopted(std::move(ends.one));
    send_now(ends.two, "abc");
    send_now(ends.two, "de");
    std::array<std::byte, 100> buffer{};
    for (const char* const expected : {"abc", "de"}) {
      const std::size_t n = need(co_await ours.read_some(buffer));
      EXPECT_EQ(text_of(std::span(buffer).first(n)), expected);
    }
    const std::size_t sent = need(co_await ours.write_some(bytes_of("fgh")));
    EXPECT_EQ(sent, 3u);
    EXPECT_EQ(receive_now(ends.two, 3), "fgh");
  });
}

TEST(fd, reading_and_writing_nothing_does_not_wait) {
  run_io([]() -> task<> {
    raw_pair ends = socket_pair();
    fd ours = adopted(std::move(ends.one));
    need(co_await ours.write_all({}));
    const std::size_t written = need(co_await ours.write_some({}));
    EXPECT_EQ(written, 0u);
    need(co_await with_timeout(10s, ours.read_exactly({})));
  });
}

// More than all buffers hold, in both directions at once: each side has to wait for the other
// often.
TEST(fd, large_transfers_in_both_directions_at_once_arrive_byte_by_byte) {
  run_io([](scope& s) -> task<> {
    raw_pair ends = socket_pair();
    shrink_buffers(ends.one);
    shrink_buffers(ends.two);
    fd one = adopted(std::move(ends.one));
    fd two = adopted(std::move(ends.two));
    const std::vector<std::byte> there = pattern(3'000'017, 1);
    const std::vector<std::byte> back = pattern(2'000'003, 2);
    const auto send = [](fd& to, const std::vector<std::byte>& bytes) -> task<> {
      need(co_await to.write_all(bytes));
    };
    const auto receive = [](fd& from, const std::vector<std::byte>& expected) -> task<> {
      std::vector<std::byte> got(expected.size());
      need(co_await from.read_exactly(got));
      EXPECT_TRUE(got == expected);
    };
    (void)s.spawn(send, std::ref(one), std::cref(there));
    (void)s.spawn(receive, std::ref(one), std::cref(back));
    (void)s.spawn(send, std::ref(two), std::cref(back));
    auto last = s.spawn(receive, std::ref(two), std::cref(there));
    (void)co_await last.join();
    while (s.alive() > 1) co_await yield();  // the descriptors live in this frame
  });
}

TEST(fd, writing_to_a_pipe_without_reader_is_an_error_and_no_signal) {
  run_io([]() -> task<> {
    struct sigaction before{};
    struct sigaction fatal{};
    fatal.sa_handler = SIG_IGN;  // a write(2) has no MSG_NOSIGNAL; the host decides about pipes
    sys(::sigaction(SIGPIPE, &fatal, &before), "sigaction");
    raw_pair ends = pipe_pair();
    fd out = adopted(std::move(ends.two));
    ends.one.reset();
    const result<> r = co_await out.write_all(bytes_of("x"));
    EXPECT_EQ(error_in(r), system_error_code(EPIPE));
    sys(::sigaction(SIGPIPE, &before, nullptr), "sigaction");
  });
}

TEST(fd, writing_to_a_socket_without_reader_is_an_error_and_no_signal) {
  run_io([]() -> task<> {
    raw_pair ends = socket_pair();
    fd out = adopted(std::move(ends.one));
    ends.two.reset();
    const result<> all = co_await out.write_all(bytes_of("x"));
    const result<std::size_t> some = co_await out.write_some(bytes_of("x"));
    EXPECT_EQ(error_in(all), system_error_code(EPIPE));
    EXPECT_EQ(error_in(some), system_error_code(EPIPE));
  });
}

class pipes : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(fd, pipes, testing::Values(0, O_NONBLOCK),
                         [](const auto& p) { return p.param == 0 ? "blocking" : "non_blocking"; });

TEST_P(pipes, carry_more_than_they_hold) {
  run_io([](scope& s) -> task<> {
    raw_pair ends = pipe_pair(GetParam());
    fd in = adopted(std::move(ends.one));
    fd out = adopted(std::move(ends.two));
    const std::vector<std::byte> bytes = pattern(500'001);
    const auto write = [](fd to, const std::vector<std::byte>& all) -> task<> {
      need(co_await to.write_all(all));
    };
    (void)s.spawn(write, std::move(out), std::cref(bytes));
    const std::string all = co_await read_to_end(in);
    EXPECT_TRUE(all == text_of(bytes));
  });
}

TEST_P(pipes, are_given_back_as_blocking_as_they_came) {
  if (on_sim()) GTEST_SKIP() << "descriptors have no mode";
  run_io([]() -> task<> {
    raw_pair ends = pipe_pair(GetParam());
    const bool before = blocks(ends.one);
    const raw copy(sys(os().duplicate(ends.one.get()), "dup"));  // shares the mode
    fd in = adopted(std::move(ends.one));
    std::array<std::byte, 1> buffer{};
    const auto nothing = co_await with_timeout(1ms, in.read_some(buffer));
    EXPECT_EQ(error_in(nothing), errc::timed_out);
    need(co_await in.close());
    EXPECT_EQ(blocks(copy), before);
  });
}

TEST(fd, a_regular_file_is_read_and_written_at_its_position) {
  run_io([]() -> task<> {
    fd file = adopted(file_with("hello world"));
    std::array<std::byte, 5> five{};
    need(co_await file.read_exactly(five));
    EXPECT_EQ(text_of(five), "hello");
    need(co_await file.write_all(bytes_of(" there")));
    const std::size_t at_end = need(co_await file.read_some(five));
    EXPECT_EQ(at_end, 0u);
    EXPECT_EQ(::lseek(file.native_handle(), 0, SEEK_CUR), 11);
  });
}

TEST(fd, a_large_file_is_read_to_its_end) {
  run_io([]() -> task<> {
    const std::vector<std::byte> bytes = pattern(1'000'003);
    fd file = adopted(file_with(text_of(bytes)));
    std::vector<std::byte> got(bytes.size());
    need(co_await file.read_exactly(got));
    EXPECT_TRUE(got == bytes);
    const result<> past = co_await file.read_exactly(got);
    EXPECT_EQ(error_in(past), errc::end_of_stream);
  });
}

TEST(fd, a_file_that_cannot_be_written_says_so) {
  run_io([]() -> task<> {
    fd file = adopted(raw(sys(::open("/proc/self/status", O_RDONLY | O_CLOEXEC), "open")));
    const result<> r = co_await file.write_all(bytes_of("x"));
    EXPECT_EQ(error_in(r), system_error_code(EBADF));
  });
}

}  // namespace
}  // namespace corespun::test
