// The end of a descriptor: close(), destructors, and the mistakes that abort.

#include <corespun/io/fd.hpp>
#include <corespun/runtime/as_result.hpp>
#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/sleep.hpp>

#include <gtest/gtest.h>

#include <fcntl.h>

#include <array>
#include <memory>

#include "tests/support/io_run.hpp"
#include "tests/support/io_sockets.hpp"
#include "tests/support/outlive.hpp"

namespace corespun::test {
namespace {

using namespace std::chrono_literals;

bool is_open(int native) {
  mode_t mode = 0;
  return os().mode(native, mode) == 0;
}

task<std::error_code> read_one(fd& from) {
  std::array<std::byte, 1> byte{};
  const result<std::size_t> n = co_await from.read_some(byte);
  co_return error_in(n);
}
task<std::error_code> write_much(fd& to) {
  const std::vector<std::byte> much = pattern(4'000'000);
  const result<> r = co_await to.write_all(much);
  co_return error_in(r);
}

TEST(close, has_closed_when_it_returns) {
  run_io([]() -> task<> {
    raw_pair ends = socket_pair();
    fd ours = adopted(std::move(ends.one));
    const int native = ours.native_handle();
    EXPECT_TRUE(is_open(native));
    need(co_await ours.close());
    EXPECT_FALSE(ours.valid());
    EXPECT_FALSE(is_open(native));
    EXPECT_EQ(receive_now(ends.two, 1), "");
  });
}

TEST(close, of_what_is_dropped_when_the_cores_have_ended_is_done_all_the_same) {
  const std::size_t before = open_descriptors();
  {
    runtime rt(io_cores(2));
    (void)rt.run([]() -> task<> {
      raw_pair ends = socket_pair();
      co_await let_outlive_the_cores(std::make_shared<fd>(adopted(std::move(ends.one))));
    });
  }
  EXPECT_EQ(open_descriptors(), before);
}

TEST(close, of_a_descriptor_that_took_the_place_of_another_is_not_kept_from_its_owner) {
  using where = detail::file::where;
  run_io(io_cores(2), []() -> task<> {
    detail::io_driver& here = detail::io_driver::here();
    detail::core& other = detail::core_beside(here.home(), 1 - this_core::index(), "test");
    raw_pair ends = socket_pair();
    detail::file& f = here.open_file(ends.one.release(), detail::file::kind::socket);
    const std::uint32_t earlier = f.generation - 2;
    EXPECT_EQ(f.hold(detail::io_driver::of(other), earlier), where::closed);
    EXPECT_EQ(f.hold(here, earlier), where::closed);
    EXPECT_EQ(&f.driver(), &here);
    EXPECT_EQ(f.hold(here, f.generation), where::here);
    EXPECT_EQ(f.hold(here, earlier), where::closed);
    f.let_go();
    f.close_there();
    co_return;
  });
}

TEST(close, of_none_does_nothing) {
  run_io([]() -> task<> {
    fd none;
    need(co_await none.close());
  });
}

TEST(close, ends_a_reader_and_a_writer_with_closed) {
  run_io([](scope& s) -> task<> {
    raw_pair ends = socket_pair();
    fd ours = adopted(std::move(ends.one));
    auto reader = s.spawn(read_one, std::ref(ours));
    auto writer = s.spawn(write_much, std::ref(ours));
    for (int i = 0; i < 5; ++i) co_await yield();
    need(co_await ours.close());
    const std::error_code read = (co_await reader.join()).value();
    const std::error_code written = (co_await writer.join()).value();
    EXPECT_EQ(read, errc::closed);
    EXPECT_EQ(written, errc::closed);
  });
}

TEST(close, of_a_cancelled_task_still_closes) {
  run_io([](scope& s) -> task<> {
    raw_pair ends = socket_pair();
    fd ours = adopted(std::move(ends.one));
    const auto late = [](fd mine) -> task<> {
      (void)co_await as_result(sleep_for(1h));
      (void)co_await mine.close();
    };
    auto closing = s.spawn(late, std::move(ours));
    co_await yield();
    closing.cancel();
    const auto ended = co_await closing.join();
    EXPECT_TRUE(ended.stopped());
    co_await quiet();
    EXPECT_EQ(receive_now(ends.two, 1), "");
  });
}

TEST(close, that_is_never_awaited_closes_too) {
  run_io([]() -> task<> {
    raw_pair ends = socket_pair();
    fd ours = adopted(std::move(ends.one));
    {
      const auto forgotten = ours.close();
    }
    co_await quiet();
    EXPECT_EQ(receive_now(ends.two, 1), "");
  });
}

TEST(fd, its_destructor_closes) {
  run_io([]() -> task<> {
    raw_pair ends = socket_pair();
    {
      const fd ours = adopted(std::move(ends.one));
    }
    co_await quiet();
    EXPECT_EQ(receive_now(ends.two, 1), "");
  });
}

TEST(fd, assigning_closes_what_was_there) {
  run_io([]() -> task<> {
    raw_pair first = socket_pair();
    raw_pair second = socket_pair();
    fd ours = adopted(std::move(first.one));
    ours = adopted(std::move(second.one));
    co_await quiet();
    EXPECT_EQ(receive_now(first.two, 1), "");
    need(co_await ours.write_all(bytes_of("x")));
    EXPECT_EQ(receive_now(second.two, 1), "x");
  });
}

TEST(fd, its_destructor_on_another_core_closes_at_home) {
  run_io(io_cores(2), [](scope& s) -> task<> {
    raw_pair ends = socket_pair();
    auto ours = std::make_unique<fd>(adopted(std::move(ends.one)));
    auto elsewhere = s.spawn_on(1, [moved = std::move(ours)]() mutable -> task<> {
      moved.reset();
      co_return;
    });
    (void)co_await elsewhere.join();
    const auto wait_for_end = [](const raw& peer) -> task<> {
      need(co_await readable(peer.get()));
      EXPECT_EQ(receive_now(peer, 1), "");
    };
    co_await wait_for_end(ends.two);
  });
}

TEST(fd, closing_a_thousand_at_the_end_of_main_loses_none) {
  run_io([]() -> task<> {
    descriptor_limit();
    std::vector<fd> all;
    for (int i = 0; i < 500; ++i) {
      raw_pair ends = socket_pair();
      all.push_back(adopted(std::move(ends.one)));
      all.push_back(adopted(std::move(ends.two)));
    }
    co_return;
  });
}

// Without the wait for quiet that run_io() makes: the runtime itself has to wait.
TEST(runtime, its_end_waits_for_descriptors_that_still_close) {
  (void)on_uring();
  const std::size_t before = open_descriptors();
  run_with(io_cores(2), [](scope& s) -> task<> {
    const auto leave = []() -> task<> {
      for (int i = 0; i < 100; ++i) {
        raw_pair ends = socket_pair();
        fd ours = adopted(std::move(ends.one));
        (void)co_await with_timeout(0ms, read_one(ours));
      }
    };
    (void)s.spawn_on(1, leave);
    co_await leave();
  });
  EXPECT_EQ(open_descriptors(), before);
}

// --- mistakes ---

void run_mistake(unsigned cores, auto fn) { run_with(io_cores(cores), std::move(fn)); }

TEST(fd_death, a_second_reader_at_once_aborts_and_says_so) {
  EXPECT_DEATH(run_mistake(1,
                           [](scope& s) -> task<> {
                             raw_pair ends = socket_pair();
                             fd ours = adopted(std::move(ends.one));
                             (void)s.spawn(read_one, std::ref(ours));
                             (void)s.spawn(read_one, std::ref(ours));
                             co_await sleep_for(1h);
                           }),
               "two tasks read from the same descriptor");
}

TEST(fd_death, a_second_writer_at_once_aborts_and_says_so) {
  EXPECT_DEATH(run_mistake(1,
                           [](scope& s) -> task<> {
                             raw_pair ends = socket_pair();
                             fd ours = adopted(std::move(ends.one));
                             (void)s.spawn(write_much, std::ref(ours));
                             (void)s.spawn(write_much, std::ref(ours));
                             co_await sleep_for(1h);
                           }),
               "two tasks write to the same descriptor");
}

TEST(fd_death, use_after_close_aborts_and_says_so) {
  EXPECT_DEATH(run_mistake(1,
                           []() -> task<> {
                             raw_pair ends = socket_pair();
                             fd ours = adopted(std::move(ends.one));
                             need(co_await ours.close());
                             (void)co_await read_one(ours);
                           }),
               "closed or moved from");
}

TEST(fd_death, use_by_bound_tasks_of_two_cores_at_once_aborts_and_says_so) {
  EXPECT_DEATH(run_mistake(2,
                           [](scope& s) -> task<> {
                             raw_pair ends = socket_pair();
                             fd ours = adopted(std::move(ends.one));
                             (void)s.spawn([&ours]() -> task<> { (void)co_await read_one(ours); });
                             co_await yield();
                             (void)s.spawn_on(1, [&ours]() -> task<> {
                               (void)co_await ours.write_all(bytes_of("x"));
                             });
                             co_await sleep_for(1h);
                           }),
               "a bound task uses a descriptor that is on another core");
}

TEST(fd_death, io_in_a_runtime_without_io_aborts_and_says_so) {
  if (on_sim()) GTEST_SKIP() << "every core has I/O";
  EXPECT_DEATH(run_on(1,
                      []() -> task<> {
                        raw_pair ends = socket_pair();
                        const fd ours = adopted(std::move(ends.one));
                        co_return;
                      }),
               "an I/O operation in a runtime whose driver is futex");
}

TEST(fd_death, adopting_outside_of_a_core_aborts_and_says_so) {
  EXPECT_DEATH((void)fd::adopt(0), "adopt on a thread that is no core");
}

}  // namespace
}  // namespace corespun::test
