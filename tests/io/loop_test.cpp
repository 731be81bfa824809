// loop with an I/O driver: its tasks read and write as those of a runtime.

#include <corespun/io/fd.hpp>
#include <corespun/runtime/loop.hpp>
#include <corespun/runtime/sleep.hpp>

#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string>
#include <utility>

#include "tests/support/io_run.hpp"
#include "tests/support/io_sockets.hpp"

namespace corespun::test {
namespace {

using namespace std::chrono_literals;

task<std::string> read_once(fd& from) {
  std::array<std::byte, 100> buffer{};
  const std::size_t n = need(co_await from.read_some(buffer));
  co_return text_of(std::span(buffer).first(n));
}

TEST(loop, its_tasks_wait_for_bytes_while_it_calls_what_is_due) {
  (void)on_uring();
  const std::size_t before = open_descriptors();
  {
    loop l(loop_like(io_cores(1)));
    const auto main = [&]() -> task<std::string> {
      raw_pair ends = socket_pair();
      fd ours = adopted(std::move(ends.one));
      std::string all;
      for (const char* const text : {"to ", "be "}) {
        l.after(1ms, [&ends, text] { send_now(ends.two, text); });
        all += co_await read_once(ours);
      }
      l.post([&ends] { send_now(ends.two, "read"); });
      all += co_await read_once(ours);
      co_return all;
    };
    EXPECT_EQ(l.run(main).value(), "to be read");
  }
  EXPECT_EQ(open_descriptors(), before) << "its end waits for what is closing";
}

TEST(loop, by_single_turns_its_tasks_read_and_its_end_cancels_what_still_waits) {
  (void)on_uring();
  const std::size_t before = open_descriptors();
  {
    raw_pair ends = socket_pair();
    loop l(loop_like(io_cores(1)));
    const auto main = [&]() -> task<std::string> {
      fd ours = adopted(std::move(ends.one));
      std::string first = co_await read_once(ours);
      l.post([&] { l.stop(); });
      std::string second = co_await read_once(ours);
      ADD_FAILURE() << "nobody has written " << second;
      co_return first;
    };
    (void)l.submit(main);
    send_now(ends.two, "hello");
    l.run();
    EXPECT_FALSE(l.run_once(0s));
  }
  EXPECT_EQ(open_descriptors(), before);
}

/// When it goes it posts a call that owns a descriptor.
class posts_a_descriptor {
 public:
  posts_a_descriptor(loop& l, fd owned) : loop_(&l), owned_(std::move(owned)) {}
  posts_a_descriptor(posts_a_descriptor&& other) noexcept
      : loop_(std::exchange(other.loop_, nullptr)), owned_(std::move(other.owned_)) {}
  ~posts_a_descriptor() {
    if (loop_ != nullptr) loop_->post([late = std::move(owned_)] {});
  }

 private:
  loop* loop_;
  fd owned_;
};

TEST(loop, closes_what_a_call_owned_that_was_posted_at_its_end) {
  (void)on_uring();
  const std::size_t before = open_descriptors();
  {
    raw_pair ends = socket_pair();
    loop l(loop_like(io_cores(1)));
    const auto waits = [&]() -> task<> {
      const posts_a_descriptor late(l, adopted(std::move(ends.one)));
      co_await sleep_for(1h);
    };
    (void)l.submit(waits);
    (void)l.run_once(0s);
  }
  EXPECT_EQ(open_descriptors(), before);
}

TEST(loop, closes_what_is_dropped_between_its_turns_while_a_task_reads_from_it) {
  (void)on_uring();
  const std::size_t before = open_descriptors();
  {
    raw_pair ends = socket_pair();
    loop l(loop_like(io_cores(1)));
    std::optional<fd> ours;
    const auto reads = [&]() -> task<> {
      ours = adopted(std::move(ends.one));
      std::array<std::byte, 1> byte{};
      (void)co_await ours->read_some(byte);
    };
    (void)l.submit(reads);
    (void)l.run_once(0s);
    ours.reset();
  }
  EXPECT_EQ(open_descriptors(), before);
}

TEST(loop, stop_ends_a_read_that_waits) {
  (void)on_uring();
  const std::size_t before = open_descriptors();
  {
    loop l(loop_like(io_cores(1)));
    const auto main = [&]() -> task<std::string> {
      raw_pair ends = socket_pair();
      fd ours = adopted(std::move(ends.one));
      l.after(1ms, [&l] { l.stop(); });
      co_return co_await read_once(ours);
    };
    EXPECT_TRUE(l.run(main).stopped());
  }
  EXPECT_EQ(open_descriptors(), before);
}

}  // namespace
}  // namespace corespun::test
