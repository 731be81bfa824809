// readable() and writable(): descriptors of other libraries.

#include <corespun/io/fd.hpp>
#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/scope.hpp>

#include <gtest/gtest.h>

#include <cerrno>

#include "tests/support/io_run.hpp"
#include "tests/support/io_sockets.hpp"

namespace corespun::test {
namespace {

using namespace std::chrono_literals;

TEST(readable, waits_for_data_and_takes_none_of_them) {
  run_io([](scope& s) -> task<> {
    raw_pair ends = socket_pair();
    const auto later = [](const raw& to) -> task<> {
      co_await yield();
      send_now(to, "x");
    };
    (void)s.spawn(later, std::cref(ends.two));
    need(co_await readable(ends.one.get()));
    EXPECT_EQ(receive_now(ends.one, 1), "x");
  });
}

TEST(readable, can_be_asked_again_and_again) {
  run_io([]() -> task<> {
    raw_pair ends = socket_pair();
    for (int i = 0; i < 50; ++i) {
      send_now(ends.two, "x");
      need(co_await readable(ends.one.get()));
      EXPECT_EQ(receive_now(ends.one, 1), "x");
      const auto nothing = co_await with_timeout(0ms, readable(ends.one.get()));
      EXPECT_EQ(error_in(nothing), errc::timed_out);
    }
  });
}

TEST(readable, is_true_at_the_end_of_the_stream) {
  run_io([]() -> task<> {
    raw_pair ends = socket_pair();
    ends.two.reset();
    need(co_await readable(ends.one.get()));
    EXPECT_EQ(receive_now(ends.one, 1), "");
  });
}

TEST(readable, a_timeout_leaves_the_descriptor_as_it_was) {
  run_io([]() -> task<> {
    raw_pair ends = socket_pair();
    const auto nothing = co_await with_timeout(1ms, readable(ends.one.get()));
    EXPECT_EQ(error_in(nothing), errc::timed_out);
    send_now(ends.two, "x");
    need(co_await readable(ends.one.get()));
    EXPECT_EQ(receive_now(ends.one, 1), "x");
  });
}

TEST(writable, waits_for_room) {
  run_io([](scope& s) -> task<> {
    raw_pair ends = socket_pair();
    const std::size_t inside = fill(ends.one);
    const auto nothing = co_await with_timeout(1ms, writable(ends.one.get()));
    EXPECT_EQ(error_in(nothing), errc::timed_out);
    const auto drain = [inside](const raw& from) -> task<> {
      co_await yield();
      EXPECT_EQ(receive_now(from, inside).size(), inside);
    };
    (void)s.spawn(drain, std::cref(ends.two));
    need(co_await writable(ends.one.get()));
  });
}

TEST(readable, and_writable_wait_side_by_side) {
  run_io([](scope& s) -> task<> {
    raw_pair ends = socket_pair();
    const std::size_t inside = fill(ends.one);
    const auto wait_in = [](const raw& on) -> task<> { need(co_await readable(on.get())); };
    const auto wait_out = [](const raw& on) -> task<> { need(co_await writable(on.get())); };
    auto in = s.spawn(wait_in, std::cref(ends.one));
    auto out = s.spawn(wait_out, std::cref(ends.one));
    co_await yield();
    send_now(ends.two, "x");
    (void)co_await in.join();
    EXPECT_FALSE(out.done());
    EXPECT_EQ(receive_now(ends.two, inside).size(), inside);
    (void)co_await out.join();
  });
}

TEST(readable, of_what_is_not_open_is_an_error) {
  run_io([]() -> task<> {
    raw_pair ends = socket_pair();
    const int closed = ends.one.get();
    ends.one.reset();
    const result<> r = co_await readable(closed);
    EXPECT_EQ(error_in(r), system_error_code(EBADF));
    const result<> none = co_await readable(-1);
    EXPECT_EQ(error_in(none), system_error_code(EBADF));
  });
}

}  // namespace
}  // namespace corespun::test
