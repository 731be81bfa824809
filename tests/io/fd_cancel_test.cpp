// Cancelling reads and writes: what moved is delivered, what did not move stays, and the caller's
// memory is free when the await has returned.

#include <corespun/io/fd.hpp>
#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/event.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/sleep.hpp>

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "tests/support/io_memory.hpp"
#include "tests/support/io_run.hpp"
#include "tests/support/io_sockets.hpp"

namespace corespun::test {
namespace {

using namespace std::chrono_literals;

TEST(cancelled_read, the_kernel_has_let_go_of_the_buffer) {
  run_io([]() -> task<> {
    raw_pair ends = socket_pair();
    fd ours = adopted(std::move(ends.one));
    for (int i = 0; i < 50; ++i) {
      guarded_page page;
      const auto late = co_await with_timeout(100us, ours.read_some(page.bytes()));
      page.forbid();
      EXPECT_EQ(error_in(late), errc::timed_out);
      send_now(ends.two, "x");
      std::array<std::byte, 1> byte{};
      need(co_await with_timeout(10s, ours.read_exactly(byte)));
      EXPECT_EQ(text_of(byte), "x");
    }
  });
}

TEST(cancelled_write, the_kernel_has_let_go_of_the_buffer) {
  run_io([]() -> task<> {
    raw_pair ends = socket_pair();
    const std::size_t before = fill(ends.one);
    fd ours = adopted(std::move(ends.one));
    for (int i = 0; i < 20; ++i) {
      guarded_page page;
      const auto late = co_await with_timeout(100us, ours.write_some(page.bytes()));
      page.forbid();
      EXPECT_EQ(error_in(late), errc::timed_out);
    }
    EXPECT_EQ(receive_now(ends.two, before), std::string(before, 'x'));
    need(co_await ours.write_all(bytes_of("end")));
    EXPECT_EQ(receive_now(ends.two, 3), "end") << "a cancelled write was carried out later";
  });
}

TEST(cancelled_read_exactly, the_kernel_has_let_go_of_the_buffer_when_part_of_it_was_filled) {
  run_io([]() -> task<> {
    raw_pair ends = socket_pair();
    fd ours = adopted(std::move(ends.one));
    guarded_page page;
    send_now(ends.two, "abc");
    const auto late = co_await with_timeout(5ms, ours.read_exactly(page.bytes()));
    EXPECT_EQ(error_in(late), errc::timed_out);
    page.forbid();
    send_now(ends.two, "next");
    std::array<std::byte, 10> buffer{};
    const std::size_t n = need(co_await ours.read_some(buffer));
    EXPECT_EQ(text_of(std::span(buffer).first(n)), "next");
  });
}

TEST(cancelled_write_all, has_written_a_prefix_and_nothing_comes_after) {
  run_io([]() -> task<> {
    raw_pair ends = socket_pair();
    shrink_buffers(ends.one);
    fd ours = adopted(std::move(ends.one));
    const std::vector<std::byte> bytes = pattern(1'000'000);
    const auto late = co_await with_timeout(5ms, ours.write_all(bytes));
    EXPECT_EQ(error_in(late), errc::timed_out);
    need(co_await ours.close());
    const std::string got = receive_now(ends.two, bytes.size());
    EXPECT_GT(got.size(), 0u);
    EXPECT_LT(got.size(), bytes.size());
    EXPECT_TRUE(text_of(bytes).starts_with(got));
  });
}

// Bytes are there, and the cancel comes a few turns before or after the kernel says so: either the
// task gets them, or they stay.
TEST(cancelled_read, takes_the_bytes_or_leaves_them_in_each_order_of_events) {
  run_io([](scope& s) -> task<> {
    for (int turns = 0; turns < 8; ++turns) {
      for (const bool data_first : {false, true}) {
        raw_pair ends = socket_pair();
        fd ours = adopted(std::move(ends.one));
        std::string got;
        const auto read = [&got](fd& from) -> task<> {
          std::array<std::byte, 10> buffer{};
          const std::size_t n = need(co_await from.read_some(buffer));
          got = text_of(std::span(buffer).first(n));
        };
        if (data_first) send_now(ends.two, "abc");
        auto reader = s.spawn(read, std::ref(ours));
        for (int i = 0; i < turns; ++i) co_await yield();
        if (!data_first) send_now(ends.two, "abc");
        reader.cancel();
        (void)co_await reader.join();
        ends.two.reset();
        std::array<std::byte, 10> buffer{};
        const std::size_t n = need(co_await ours.read_some(buffer));
        EXPECT_EQ(got + text_of(std::span(buffer).first(n)), "abc") << turns << " " << data_first;
      }
    }
  });
}

struct wire {
  wire() {
    raw_pair ends = socket_pair();
    shrink_buffers(ends.one);
    shrink_buffers(ends.two);
    one = adopted(std::move(ends.one));
    two = adopted(std::move(ends.two));
  }
  fd one;
  fd two;
};

// Deadlines of all lengths race with a peer that writes all the time.
TEST(cancelled_read, loses_no_byte_in_a_race_with_deadlines) {
  run_io([](scope& s) -> task<> {
    wire w;
    const std::vector<std::byte> bytes = pattern(200'000);
    const auto write = [](fd to, const std::vector<std::byte>& all) -> task<> {
      for (std::size_t at = 0; at < all.size(); at += 500) {
        need(co_await to.write_all(std::span(all).subspan(at, 500)));
        if (at % 2'000 == 0) co_await sleep_for(50us);
      }
    };
    (void)s.spawn(write, std::move(w.two), std::cref(bytes));
    std::vector<std::byte> got;
    std::size_t stopped = 0;
    for (unsigned round = 0;; ++round) {
      guarded_page page;
      const auto n = co_await with_timeout(std::chrono::microseconds(round % 60),
                                           w.one.read_some(page.bytes()));
      if (!n) {
        EXPECT_EQ(n.error(), errc::timed_out);
        ++stopped;
        continue;
      }
      if (*n == 0) break;
      got.insert(got.end(), page.bytes().begin(),
                 page.bytes().begin() + static_cast<std::ptrdiff_t>(*n));
    }
    EXPECT_TRUE(got == bytes) << got.size() << " bytes after " << stopped << " deadlines";
    EXPECT_GT(stopped, 0u);
  });
}

TEST(cancelled_write, writes_no_byte_twice_and_skips_none_in_a_race_with_deadlines) {
  run_io([](scope& s) -> task<> {
    wire w;
    const std::vector<std::byte> bytes = pattern(200'000);
    std::vector<std::byte> got;
    const auto read = [&got](fd from) -> task<> {
      std::array<std::byte, 700> buffer{};
      while (true) {
        const std::size_t n = need(co_await from.read_some(buffer));
        if (n == 0) break;
        got.insert(got.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(n));
        if (got.size() % 4 == 0) co_await sleep_for(50us);
      }
    };
    auto reader = s.spawn(read, std::move(w.two));
    std::size_t at = 0;
    for (unsigned round = 0; at < bytes.size(); ++round) {
      const auto rest =
          std::span(bytes).subspan(at, std::min<std::size_t>(3'000, bytes.size() - at));
      const auto n =
          co_await with_timeout(std::chrono::microseconds(round % 60), w.one.write_some(rest));
      if (n) {
        at += *n;
      } else {
        EXPECT_EQ(n.error(), errc::timed_out);
      }
    }
    need(co_await w.one.close());
    (void)co_await reader.join();
    EXPECT_TRUE(got == bytes) << got.size();
  });
}

}  // namespace
}  // namespace corespun::test
