// The n-th block from the heap is refused, for all n, once or for good, from the construction of
// the runtime to its end. Each run ends well, or with std::bad_alloc, or with ENOMEM; and leaves
// nothing.

#include "tests/support/sanitizers.hpp"
#if CORESPUN_TEST_OWN_NEW

#include <corespun/io/detail/buffer_pool.hpp>
#include <corespun/net/connect.hpp>
#include <corespun/net/serve.hpp>
#include <corespun/net/stream.hpp>
#include <corespun/runtime/as_result.hpp>
#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/offload.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/sleep.hpp>
#include <corespun/runtime/when.hpp>

#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <memory>
#include <new>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "tests/support/everywhere.hpp"
#include "tests/support/heap.hpp"
#include "tests/support/io_process.hpp"
#include "tests/support/io_sockets.hpp"
#include "tests/support/tasks.hpp"

namespace corespun::test {
namespace {

using namespace std::chrono_literals;

/// Without a text, which would need memory.
void need_now(const std::error_code& error) {
  if (error) throw error;
}

enum class ended { well, without_memory, otherwise };

/// main(scope&) of one run, from the runtime's construction to its end.
template <typename Fn>
ended run_once(const runtime_options& options, Fn main) {
  try {
    runtime rt(options);
    const outcome<void> o = rt.run(std::move(main));
    return o.has_value() ? ended::well : ended::otherwise;
  } catch (const std::bad_alloc&) {
    return ended::without_memory;
  } catch (const std::error_code& error) {
    return error == std::errc::not_enough_memory ? ended::without_memory : ended::otherwise;
  }
}

[[nodiscard]] std::ptrdiff_t threads_of_this_process() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {});
}

/// A helper thread gives its last block back after the runtime has seen it go.
void wait_for_threads(std::ptrdiff_t as_many) {
  while (threads_of_this_process() > as_many) std::this_thread::yield();
}

/// make(int& alive) gives the main of each run; what counts `alive` must be gone afterwards.
template <typename Make>
void refuse_each_block(const runtime_options& options, fails how, Make make) {
  constexpr std::size_t limit = 4000;
  constexpr int enough = 3;  // runs differ, so several in a row must not get as far
  int alive = 0;
  const std::ptrdiff_t threads = threads_of_this_process();
  (void)on_uring();
  EXPECT_EQ(run_once(options, make(alive)), ended::well);
  wait_for_threads(threads);
  std::size_t n = 1;
  for (int early = 0; early < enough && n < limit && !testing::Test::HasFailure(); ++n) {
    SCOPED_TRACE("without block " + std::to_string(n) + (how == fails::once ? "" : " and later"));
    const std::size_t descriptors = open_descriptors();
    const long blocks = blocks_in_use();
    auto main = make(alive);
    ended e = ended::otherwise;
    bool reached = false;
    {
      const failing_heap heap(n, how);
      e = run_once(options, std::move(main));
      reached = heap.reached();
    }
    wait_for_threads(threads);
    EXPECT_TRUE(e == ended::well || (e == ended::without_memory && reached));
    EXPECT_EQ(alive, 0) << "frames were lost";
    EXPECT_EQ(blocks_in_use(), blocks) << "memory was lost";
    EXPECT_EQ(open_descriptors(), descriptors) << "descriptors were lost or closed twice";
    early = reached ? 0 : early + 1;
  }
  EXPECT_LT(n, limit) << "the scenario takes too many blocks, or has no end";
  testing::Test::RecordProperty("runs", static_cast<int>(n));
}

class no_memory : public testing::TestWithParam<fails> {
 protected:
  void SetUp() override {
    if (on_sim()) GTEST_SKIP() << "the simulated kernel takes its memory from this heap";
  }
};
INSTANTIATE_TEST_SUITE_P(heap, no_memory, testing::Values(fails::once, fails::for_good),
                         [](const auto& p) {
                           return std::string(p.param == fails::once ? "once" : "for_good");
                         });

task<> nap(int& alive) {
  const counted here(alive);
  co_await sleep_for(detail::timer_wheel::tick_length);
}

TEST_P(no_memory, for_a_runtime_and_its_tasks_ends_them_in_order) {
  refuse_each_block(io_cores(2, few_buffers()), GetParam(), [](int& alive) {
    return [&alive](scope& s) -> task<> {
      s.on_exit(nap, std::ref(alive));
      for (int i = 0; i < 3; ++i) (void)s.spawn(nap, std::ref(alive));
      auto far = s.spawn_on(1, nap, std::ref(alive));
      auto some = when_all(nap(alive), nap(alive));
      (void)co_await std::move(some);
      std::vector<task<>> list;
      for (int i = 0; i < 3; ++i) list.push_back(nap(alive));
      auto first = when_any(std::move(list));
      (void)co_await std::move(first);
      auto in_time = with_timeout(1min, sleep_for(detail::timer_wheel::tick_length));
      const result<> slept = co_await std::move(in_time);
      need_now(error_in(slept));
      auto seen = as_result(shield(1min, nap(alive)));
      (void)co_await std::move(seen);
      const counted here(alive);
      auto call = offload([&alive] { return std::make_unique<counted>(alive); });
      (void)co_await std::move(call);
      const outcome<void> there = co_await far.join();
      if (there.failed()) std::rethrow_exception(there.error());
    };
  });
}

// All but the one whose own frame was refused.
TEST(no_memory, for_one_exit_handler_leaves_the_others) {
  constexpr std::size_t enough = 20;  // blocks: more than the handlers take
  for (std::size_t n = 1; n < enough; ++n) {
    SCOPED_TRACE("without block " + std::to_string(n));
    int registered = 0;
    int ran = 0;
    failing_heap heap(failing_heap::never, fails::once);
    const ended e = run_once(io_cores(1, few_buffers()), [&](scope& s) -> task<> {
      auto handler = [&ran]() -> task<> {
        ++ran;
        co_return;
      };
      heap.refuse(n);
      for (int i = 0; i < 3; ++i) {
        s.on_exit(handler);
        ++registered;
      }
      co_return;
    });
    EXPECT_TRUE(e == ended::well || e == ended::without_memory);
    EXPECT_GE(ran, registered - 1);
  }
}

task<> echo_one(int& alive, tcp_listener& listener, bool multishot) {
  const counted here(alive);
  result<tcp_stream> stream = co_await listener.accept();
  need_now(error_in(stream));
  if (multishot) stream->use_multishot();
  while (true) {
    const result<lease> data = co_await stream->recv();
    need_now(error_in(data));
    if (data->empty()) co_return;
    const result<> sent = co_await stream->write_all(data->text());
    need_now(error_in(sent));
  }
}

/// Sends three times without waiting, so that a receive that stays armed is ahead of its task.
task<> echo_client(int& alive, const address& to) {
  const counted here(alive);
  result<tcp_stream> stream = co_await connect(to);
  need_now(error_in(stream));
  std::array<std::byte, 30> bytes{};
  for (int i = 0; i < 3; ++i) {
    const result<> sent = co_await stream->write_all(std::span(bytes).first(10));
    need_now(error_in(sent));
  }
  const result<> answered = co_await stream->read_exactly(bytes);
  need_now(error_in(answered));
  const result<> closed = co_await stream->close();
  need_now(error_in(closed));
}

auto echo_of(bool multishot) {
  return [multishot](int& alive) {
    return [&alive, multishot](scope& s) -> task<> {
      listen_options options;
      options.multishot = multishot;
      result<tcp_listener> listener = tcp_listener::bind(address::loopback(0), options);
      need_now(error_in(listener));
      auto server = s.spawn(echo_one, std::ref(alive), std::ref(*listener), multishot);
      auto client = echo_client(alive, listener->local_address());
      co_await std::move(client);
      (void)co_await server.join();
    };
  };
}

TEST_P(no_memory, for_an_echo_ends_it_with_an_error) {
  refuse_each_block(io_cores(1, few_buffers()), GetParam(), echo_of(false));
}
TEST_P(no_memory, for_a_multishot_echo_ends_it_with_an_error) {
  refuse_each_block(io_cores(1, few_buffers()), GetParam(), echo_of(true));
}

TEST_P(no_memory, for_connect_is_an_error) {
  const raw listening = raw_listener(address::loopback(0));
  refuse_each_block(io_cores(1, few_buffers()), GetParam(), [&](int& alive) {
    return [&alive, to = bound_address(listening)](scope&) -> task<> {
      const counted here(alive);
      const result<tcp_stream> stream = co_await connect(to);
      need_now(error_in(stream));
    };
  });
}

/// There are bytes, or the end.
bool answered(const raw& s) {
  char c = 0;
  return ::recv(s.get(), &c, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN;
}

/// Until it is cancelled.
task<> greet_all(tcp_listener listener, serve_options options) {
  const auto handler = [](tcp_stream stream) -> task<> {
    const std::string_view hello = "hello";
    (void)co_await stream.write_all(hello);
  };
  auto serving = serve(std::move(listener), handler, options);
  (void)co_await std::move(serving);
}

// A server that has begun goes on: what it has no memory for is that one connection.
TEST_P(no_memory, for_a_connection_does_not_end_the_server) {
  constexpr std::size_t enough = 20;  // blocks: more than a connection takes
  const captured_stderr said;
  for (std::size_t n = 1; n < enough; ++n) {
    SCOPED_TRACE("without block " + std::to_string(n));
    failing_heap heap(failing_heap::never, GetParam());
    run_io(io_cores(1, few_buffers()), [n, &heap](scope& s) -> task<> {
      tcp_listener listener = need(tcp_listener::bind(address::loopback(0)));
      const address at = listener.local_address();
      serve_options options;
      options.max_accepts_per_second = 1e6;
      (void)s.spawn(greet_all, std::move(listener), options);
      for (int turns = 0; turns < 10; ++turns) co_await yield();
      for (int i = 0; i < 3; ++i) {
        const raw client = connected_to(at);
        if (i == 1) heap.refuse(n);
        while (!answered(client)) co_await yield();
        heap.refuse(failing_heap::never);
        if (i != 1) {
          EXPECT_EQ(receive_now(client, 5), "hello");
        }
      }
      s.cancel();
    });
  }
}

TEST_P(no_memory, to_look_at_the_cores_does_not_end_the_server) {
  constexpr std::size_t enough = 6;  // blocks: of the first looks
  for (std::size_t n = 1; n < enough; ++n) {
    SCOPED_TRACE("without block " + std::to_string(n));
    failing_heap heap(failing_heap::never, GetParam());
    run_io(io_cores(1, few_buffers()), [n, &heap](scope& s) -> task<> {
      tcp_listener listener = need(tcp_listener::bind(address::loopback(0)));
      const address at = listener.local_address();
      serve_options options;
      options.balance_every = 1ms;
      auto server = s.spawn(greet_all, std::move(listener), options);
      for (int turns = 0; turns < 10; ++turns) co_await yield();
      heap.refuse(n);
      while (!heap.reached()) co_await yield();
      for (int turns = 0; turns < 10; ++turns) co_await yield();
      heap.refuse(failing_heap::never);
      EXPECT_FALSE(server.done());
      const raw client = connected_to(at);
      while (!answered(client)) co_await yield();
      s.cancel();
    });
  }
}

std::size_t mapped_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t pages = 0;
  statm >> pages;
  return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

TEST(no_memory, for_the_lists_of_a_pool_gives_its_buffers_back) {
  io_options io;
  io.small_buffers = 32'768;
  io.small_buffer_bytes = 4096;
  const std::size_t before = mapped_bytes();
  bool reached = true;
  for (std::size_t n = 1; reached; ++n) {
    const failing_heap heap(n, fails::once);
    try {
      const detail::buffer_pool pool(io);
    } catch (const std::bad_alloc&) {
    }
    reached = heap.reached();
  }
  EXPECT_LT(mapped_bytes(), before + std::size_t{io.small_buffers} * io.small_buffer_bytes);
}

}  // namespace
}  // namespace corespun::test
#endif
