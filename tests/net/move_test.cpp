// Streams that change their core while their task waits for data: no byte is lost, doubled or
// swapped.

#include <corespun/net/stream.hpp>
#include <corespun/runtime/affinity.hpp>
#include <corespun/runtime/when.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "tests/support/io_run.hpp"
#include "tests/support/io_sockets.hpp"
#include "tests/support/sanitizers.hpp"

namespace corespun::test {
namespace {

using namespace std::chrono_literals;

/// A connection as those who move it know it.
struct connection {
  std::mutex lock;
  detail::root* task = nullptr;  // while it echoes
  detail::file* file = nullptr;
  std::uint32_t generation = 0;

  void begins(const tcp_stream& s) {
    const std::lock_guard hold(lock);
    file = &s.inner();
    generation = file->generation;
    task = detail::core::current()->running();
  }
  void ends() {
    const std::lock_guard hold(lock);
    task = nullptr;
  }
  [[nodiscard]] bool send_to(unsigned there) {
    detail::core& here = *detail::core::current();
    detail::root* r = nullptr;
    {
      const std::lock_guard hold(lock);
      r = task;
      if (r == nullptr || !detail::waits_for_data(*r) || &r->home() != &here) return false;
    }
    return detail::send_away(*file, generation, *r, detail::core_beside(here, there, "test"));
  }
};

std::byte byte_at(std::size_t position) {
  return static_cast<std::byte>(position * 31 + position / 251);
}

/// Sends back what comes, and counts how often it was elsewhere.
task<> echo(raw end, connection& c, bool multishot, std::atomic<int>& moves) {
  tcp_stream stream(adopted(std::move(end)));
  if (multishot) stream.use_multishot();
  c.begins(stream);
  unsigned at = this_core::index();
  while (true) {
    result<lease> data = co_await stream.recv();
    if (this_core::index() != at) ++moves;
    at = this_core::index();
    if (!data || data->empty()) break;
    need(co_await stream.write_all(data->bytes()));
  }
  c.ends();
  need(co_await stream.close());
}

/// The other end: a burst, and on when all of it is back, so that each stream is idle now and then.
/// A stream that always has data never waits, and need not move.
task<> talk(raw end, const std::atomic<int>& moves, int enough) {
  tcp_stream stream(adopted(std::move(end)));
  std::minstd_rand random(static_cast<unsigned>(stream.native_handle()));
  std::size_t written = 0;
  std::size_t read = 0;
  while (moves < enough) {
    for (unsigned writes = 1 + random() % 8; writes > 0; --writes) {
      std::vector<std::byte> bytes(1 + random() % 300);
      for (std::byte& b : bytes) b = byte_at(written++);
      need(co_await stream.write_all(bytes));
    }
    while (read < written) {
      const lease data = need(co_await stream.recv());
      if (data.empty()) {
        ADD_FAILURE() << "the end after " << read << " of " << written << " bytes";
        co_return;
      }
      for (const std::byte b : data.bytes()) {
        if (b != byte_at(read)) {
          ADD_FAILURE() << "a wrong byte at " << read;
          co_return;
        }
        ++read;
      }
    }
  }
  need(co_await stream.shutdown_write());
  const lease end_of_it = need(co_await stream.recv());
  EXPECT_TRUE(end_of_it.empty()) << end_of_it.size() << " bytes too many";
  need(co_await stream.close());
}

task<> move_all(std::vector<connection>& all, const std::atomic<int>& moves, int enough) {
  std::minstd_rand random(this_core::index() + 1);
  while (moves < enough) {
    for (connection& c : all) {
      if (random() % 2 == 0) (void)c.send_to(static_cast<unsigned>(random()) % this_core::count());
    }
    co_await sleep_for(10us);  // else they are moved again before the ring has seen them
  }
}

void streams_keep_their_bytes(affinity how, bool multishot) {
  constexpr std::size_t connections = 12;
  const char* const moves_wanted = std::getenv("CORESPUN_TEST_MOVES");
  const int enough = moves_wanted != nullptr ? std::atoi(moves_wanted) : sanitized ? 200 : 1000;
  std::vector<connection> all(connections);
  std::atomic<int> moves{0};
  runtime_options options = io_cores(2);
  options.affinity = how;
  run_with(std::move(options), [&](scope& s) -> task<> {
    for (connection& c : all) {
      auto [one, two] = tcp_pair();
      (void)s.spawn(echo, std::move(one), std::ref(c), multishot, std::ref(moves));
      (void)s.spawn_on(1, talk, std::move(two), std::cref(moves), enough);
    }
    for (unsigned core = 0; core < this_core::count(); ++core)
      (void)s.spawn_on(core, move_all, std::ref(all), std::cref(moves), enough);
    co_return;
  });
  EXPECT_GE(moves, enough);
}

TEST(move, streams_of_bound_tasks_keep_their_bytes) {
  streams_keep_their_bytes(affinity::core, false);
}
TEST(move, streams_of_free_tasks_keep_their_bytes) {
  streams_keep_their_bytes(affinity::any, false);
}
TEST(move, multishot_streams_keep_their_bytes) { streams_keep_their_bytes(affinity::core, true); }

/// A bound task that goes elsewhere itself and takes its armed stream with it.
TEST(move, a_multishot_stream_follows_its_task_with_what_came_before) {
  run_io(io_cores(2), []() -> task<> {
    auto [one, two] = tcp_pair();
    tcp_stream stream(adopted(std::move(one)));
    stream.use_multishot();
    std::string received;
    for (int i = 0; i < 20; ++i) {
      const std::string text = "message " + std::to_string(i) + " ";
      write_now(two.get(), text.data(), text.size());
      if (i % 3 == 0) co_await sleep_for(1ms);  // so that it lies in the queue, or not
      co_await resume_on(static_cast<unsigned>(i) % 2);
      if (i % 4 == 3) {
        while (received.size() < 10u * static_cast<unsigned>(i)) {
          const lease data = need(co_await stream.recv());
          received += data.text();
        }
      }
    }
    two.reset();
    while (true) {
      const lease data = need(co_await stream.recv());
      if (data.empty()) break;
      received += data.text();
    }
    std::string expected;
    for (int i = 0; i < 20; ++i) expected += "message " + std::to_string(i) + " ";
    EXPECT_EQ(received, expected);
    need(co_await stream.close());
    co_await resume_on(0);
  });
}

/// The bytes come when its receive is about to end, and may or may not be the last that it brings.
TEST(move, what_comes_while_a_task_leaves_goes_with_it) {
  run_io(io_cores(2), []() -> task<> {
    for (const bool multishot : {false, true}) {
      for (int i = 0; i < 50; ++i) {
        auto [one, two] = tcp_pair();
        connection c;
        auto body = [&](scope& s) -> task<> {
          auto receives = [&]() -> task<> {
            tcp_stream stream(adopted(std::move(one)));
            if (multishot) stream.use_multishot();
            c.begins(stream);
            const lease data = need(co_await stream.recv());
            EXPECT_EQ(data.text(), "x");
            EXPECT_EQ(this_core::index(), 1u);
            c.ends();
          };
          (void)s.spawn_on(0, receives);
          co_await yield();
          co_await yield();
          send_now(two, "x");
          EXPECT_TRUE(c.send_to(1));
        };
        co_await with_scope(body);
      }
    }
  });
}

/// Cancel and timeout at any point of the way.
TEST(move, a_task_that_is_cancelled_on_its_way_ends) {
  run_io(io_cores(2), []() -> task<> {
    for (int i = 0; i < 50; ++i) {
      for (const bool multishot : {false, true}) {
        auto [one, two] = tcp_pair();
        connection c;
        auto body = [&](scope& s) -> task<> {
          auto waits = [&]() -> task<> {
            tcp_stream stream(adopted(std::move(one)));
            if (multishot) stream.use_multishot();
            c.begins(stream);
            (void)co_await stream.recv();
            ADD_FAILURE() << "there was nothing to receive";
          };
          auto waiting = s.spawn_on(0, waits);
          co_await yield();
          co_await yield();
          (void)c.send_to(1);
          for (int steps = i % 10; steps > 0; --steps) co_await yield();
          waiting.cancel();
          (void)co_await waiting.join();
        };
        co_await with_scope(body);
      }
    }
  });
}

/// Another task closes the stream while its reader is on the way, at any point of it.
TEST(move, a_stream_that_is_closed_on_its_way_says_so) {
  run_io(io_cores(2), []() -> task<> {
    for (int i = 0; i < 60; ++i) {
      for (const bool multishot : {false, true}) {
        auto [one, two] = tcp_pair();
        connection c;
        tcp_stream stream(adopted(std::move(one)));
        if (multishot) stream.use_multishot();
        std::error_code said;
        auto body = [&](scope& s) -> task<> {
          auto waits = [&]() -> task<> {
            c.begins(stream);
            const result<lease> data = co_await stream.recv();
            said = error_in(data);
          };
          (void)s.spawn_on(0, waits);
          co_await yield();
          co_await yield();
          (void)c.send_to(1);
          for (int steps = i % 15; steps > 0; --steps) co_await yield();
          need(co_await stream.close());
        };
        co_await with_scope(body);
        EXPECT_EQ(said, make_error_code(errc::closed));
      }
    }
  });
}

TEST(move, what_does_not_wait_for_data_stays) {
  run_io(io_cores(2), []() -> task<> {
    auto [one, two] = tcp_pair();
    tcp_stream stream(adopted(std::move(one)));
    connection c;
    c.begins(stream);
    EXPECT_FALSE(c.send_to(1)) << "it runs";
    ++c.generation;
    EXPECT_FALSE(c.send_to(1)) << "another stream";
    need(co_await stream.close());
    co_return;
  });
}

}  // namespace
}  // namespace corespun::test
