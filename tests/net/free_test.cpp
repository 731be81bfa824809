// Streams of free tasks: a descriptor comes to the task that uses it, or the task goes to it.

#include <corespun/net/connect.hpp>
#include <corespun/net/serve.hpp>
#include <corespun/net/stream.hpp>
#include <corespun/runtime/affinity.hpp>
#include <corespun/runtime/when.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

#include "tests/support/io_run.hpp"
#include "tests/support/io_sockets.hpp"

namespace corespun::test {
namespace {

using namespace std::chrono_literals;

template <typename Fn>
void run_free(unsigned cores, Fn fn) {
  run_with(eager(io_cores(cores)), std::move(fn));
}

/// Somewhere else, perhaps.
task<> wander() {
  auto two = when_all(yield(), yield());
  (void)co_await std::move(two);
}

task<> echo(tcp_stream stream) {
  while (true) {
    result<lease> data = co_await stream.recv();
    if (!data || data->empty()) co_return;
    co_await wander();
    need(co_await stream.write_all(data->bytes()));
    co_await wander();
  }
}

task<> ask(address at, int times, std::atomic<int>& answers) {
  tcp_stream stream = need(co_await connect(at));
  for (int i = 0; i < times; ++i) {
    const std::string question = "question " + std::to_string(i);
    need(co_await stream.write_all(question));
    co_await wander();
    std::string answer(question.size(), ' ');
    need(co_await stream.read_exactly(std::as_writable_bytes(std::span(answer))));
    EXPECT_EQ(answer, question);
    ++answers;
  }
  need(co_await stream.close());
}

TEST(free_streams, go_on_on_whichever_core_their_task_is) {
  constexpr int clients = 20;
  constexpr int times = 20;
  std::atomic<int> answers{0};
  run_free(3, [&]() -> task<> {
    tcp_listener listener = need(tcp_listener::bind(address::loopback(0)));
    co_await with_scope([&](scope& s) -> task<> {
      for (int i = 0; i < clients; ++i)
        (void)s.spawn(ask, listener.local_address(), times, std::ref(answers));
      for (int i = 0; i < clients; ++i) (void)s.spawn(echo, need(co_await listener.accept()));
    });
  });
  EXPECT_EQ(answers, clients * times);
}

TEST(free_streams, one_task_reads_while_another_writes) {
  constexpr std::size_t messages = 300;
  std::size_t received = 0;
  run_free(3, [&]() -> task<> {
    raw_pair ends = socket_pair();
    tcp_stream near = stream_on(std::move(ends.one));
    tcp_stream far = stream_on(std::move(ends.two));
    auto back_and_forth = [](tcp_stream& stream, std::size_t& bytes) -> task<> {
      auto writes = [&stream]() -> task<> {
        for (std::size_t i = 0; i < messages; ++i) {
          need(co_await stream.write_all(std::string_view("0123456789")));
          co_await wander();
        }
        need(co_await stream.shutdown_write());
      };
      auto reads = [&stream, &bytes]() -> task<> {
        while (true) {
          result<lease> data = co_await stream.recv();
          if (need(std::move(data)).empty()) co_return;
          bytes += 1;
          co_await wander();
        }
      };
      auto both = when_all(writes, reads);
      (void)co_await std::move(both);
    };
    std::size_t there = 0;
    auto both = when_all(back_and_forth(near, received), back_and_forth(far, there));
    (void)co_await std::move(both);
    EXPECT_GT(there, 0u);
  });
  EXPECT_GT(received, 0u);
}

task<> something_in_flight() {
  while (this_core_io().in_flight == 0) co_await yield();
}

TEST(free_streams, close_ends_a_read_that_waits_on_another_core) {
  int closed = 0;
  run_free(2, [&]() -> task<> {
    for (int i = 0; i < 20; ++i) {
      co_await resume_on(0);
      raw_pair ends = socket_pair();
      tcp_stream stream = stream_on(std::move(ends.one));
      co_await with_scope([&](scope& s) -> task<> {
        auto reads = [&]() -> task<> {
          const result<lease> data = co_await stream.recv();
          EXPECT_TRUE(!data && data.error() == errc::closed);
          ++closed;
        };
        (void)s.spawn_on(1, reads);
        auto began = s.spawn_on(1, something_in_flight);
        (void)co_await began.join();
        need(co_await stream.close());
      });
    }
  });
  EXPECT_EQ(closed, 20);
}

// Core 1 writes, so the reader has to go there; it is on its way when core 1 closes.
TEST(free_streams, a_read_that_arrives_after_the_close_ends_as_closed) {
  if (on_sim()) GTEST_SKIP() << "one thread plays all cores";
  std::atomic<bool> set_out{false};
  bool ended = false;
  run_free(2, [&]() -> task<> {
    co_await resume_on(1);
    const std::string much(16 << 20, 'x');
    raw_pair ends = socket_pair();
    tcp_stream stream = stream_on(std::move(ends.one));
    co_await with_scope([&](scope& s) -> task<> {
      (void)s.spawn([&]() -> task<> { (void)co_await stream.write_all(std::string_view(much)); });
      co_await yield();
      (void)s.spawn([&]() -> task<> {
        while (!set_out) std::this_thread::yield();
        need(co_await stream.close());
      });
      bool begins = false;
      auto reads = [&]() -> task<> {
        co_await resume_anywhere();
        auto receiving = stream.recv();
        begins = true;
        const result<lease> data = co_await std::move(receiving);
        EXPECT_TRUE(!data && data.error() == errc::closed);
        ended = true;
      };
      auto watches = [&]() -> task<> {
        while (!begins) co_await yield();
        set_out = true;
      };
      auto reading = s.spawn_on(0, reads);
      auto watching = s.spawn_on(0, watches);
      (void)co_await watching.join();
      (void)co_await reading.join();
    });
  });
  EXPECT_TRUE(ended);
}

TEST(free_streams, a_cancel_reaches_reads_wherever_they_wait) {
  run_free(4, []() -> task<> {
    for (int i = 0; i < 50; ++i) {
      std::vector<raw_pair> ends;
      for (int k = 0; k < 8; ++k) ends.push_back(socket_pair());
      co_await with_scope([&](scope& s) -> task<> {
        for (raw_pair& pair : ends) {
          auto reads =
              [stream = std::make_shared<tcp_stream>(stream_on(std::move(pair.one)))]() -> task<> {
            co_await wander();
            (void)co_await stream->recv();
          };
          (void)s.spawn(reads);
        }
        for (int y = 0; y < i % 4; ++y) co_await wander();
        s.cancel();
      });
    }
  });
}

TEST(free_streams, may_be_used_after_a_bound_task_opened_them) {
  run_free(2, []() -> task<> {
    co_await resume_on(1);
    raw_pair ends = socket_pair();
    tcp_stream near = stream_on(std::move(ends.one));
    tcp_stream far = stream_on(std::move(ends.two));
    co_await resume_on(0);
    need(co_await near.write_all(std::string_view("x")));
    co_await resume_anywhere();
    EXPECT_EQ(need(co_await far.recv()).text(), "x");
  });
}

TEST(free_streams, with_multishot_are_used_where_they_are) {
  constexpr int messages = 50;
  int received = 0;
  run_free(3, [&]() -> task<> {
    raw_pair ends = socket_pair();
    tcp_stream near = stream_on(std::move(ends.one));
    tcp_stream far = stream_on(std::move(ends.two));
    near.use_multishot();
    for (int i = 0; i < messages; ++i) {
      need(co_await far.write_all(std::string_view("x")));
      co_await wander();
      EXPECT_EQ(need(co_await near.recv()).text(), "x");
      ++received;
      co_await wander();
    }
  });
  EXPECT_EQ(received, messages);
}

}  // namespace
}  // namespace corespun::test
