// Which core gets a connection, and what evens them out.

#include <corespun/net/connect.hpp>
#include <corespun/net/serve.hpp>
#include <corespun/runtime/detail/machine.hpp>
#include <corespun/runtime/detail/threads.hpp>
#include <corespun/runtime/event.hpp>

#include <gtest/gtest.h>

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <optional>
#include <random>
#include <vector>

#include "tests/support/io_run.hpp"
#include "tests/support/io_sockets.hpp"

namespace corespun::test {
namespace {

using namespace std::chrono_literals;

constexpr unsigned cores = 3;

/// A server that counts the connections of each core.
class counting_server {
 public:
  void start(scope& s, serve_options options) {
    tcp_listener listener = need(tcp_listener::bind(address::loopback(0)));
    at_ = listener.local_address();
    const auto handler = [this](tcp_stream stream) -> task<> {
      const counted here(open_[this_core::index()]);
      need(co_await stream.write_all("x"));
      (void)co_await stream.recv();
    };
    auto serving = [options, handler](tcp_listener l) -> task<> {
      auto running = serve(std::move(l), handler, options);
      need(co_await std::move(running));
    };
    server_ = s.spawn(serving, std::move(listener));
  }
  /// Returns when the handler runs.
  task<tcp_stream> client() const {
    tcp_stream stream = need(co_await connect(at_));
    std::array<std::byte, 1> byte{};
    need(co_await stream.read_exactly(byte));
    co_return stream;
  }
  task<> settled(int connections) const {
    while (open_[0] + open_[1] + open_[2] != connections) co_await sleep_for(100us);
  }
  task<> stop() {
    server_->cancel();
    (void)co_await server_->join();
  }
  [[nodiscard]] std::vector<int> open() const { return {open_[0], open_[1], open_[2]}; }
  [[nodiscard]] const address& at() const { return at_; }

 private:
  class counted {
   public:
    explicit counted(std::atomic<int>& n) : n_(n) { ++n_; }
    counted(const counted&) = delete;
    ~counted() { --n_; }

   private:
    std::atomic<int>& n_;
  };
  std::array<std::atomic<int>, cores> open_{};
  address at_ = address::loopback(0);
  std::optional<task_handle<void>> server_;
};

serve_options with(placement p) {
  serve_options options;
  options.placement = std::move(p);
  return options;
}

TEST(placement, round_robin_takes_one_core_after_the_other) {
  run_io(io_cores(cores), [](scope& s) -> task<> {
    counting_server server;
    server.start(s, with(round_robin()));
    std::vector<tcp_stream> clients;
    for (int i = 0; i < 9; ++i) clients.push_back(co_await server.client());
    EXPECT_EQ(server.open(), std::vector<int>({3, 3, 3}));
    co_await server.stop();
  });
}

TEST(placement, a_function_of_the_user_decides) {
  run_io(io_cores(cores), [](scope& s) -> task<> {
    counting_server server;
    const auto mine = [](const tcp_stream& stream, std::span<const unsigned> connections) {
      EXPECT_TRUE(stream.valid());
      return connections[2] < 4 ? 2U : 1U;
    };
    server.start(s, with(mine));
    std::vector<tcp_stream> clients;
    for (int i = 0; i < 6; ++i) clients.push_back(co_await server.client());
    EXPECT_EQ(server.open(), std::vector<int>({0, 2, 4}));
    co_await server.stop();
  });
}

TEST(placement, the_core_that_is_pinned_to_the_processor_that_received_gets_it) {
  if (on_sim()) GTEST_SKIP() << "there are no processors";
  if (detail::usable_cpus().size() < 2) GTEST_SKIP() << "needs two processors";
  runtime_options options = io_cores(2);
  options.pin = true;
  int matched = 0;
  run_io(options, [&matched](scope& s) -> task<> {
    const auto checked = [&matched, chosen_by = incoming_cpu()](
                             const tcp_stream& stream, std::span<const unsigned> connections) {
      const int received_on = need(stream.option(SOL_SOCKET, SO_INCOMING_CPU));
      const auto& all = detail::core::current()->all().cores;
      const auto is_there = [&](const auto& core) { return core->processor == received_on; };
      const unsigned core = chosen_by(stream, connections);
      if (std::ranges::any_of(all, is_there)) {
        ++matched;
        EXPECT_EQ(all[core]->processor, received_on);
      }
      return core;
    };
    counting_server server;
    server.start(s, with(checked));
    const auto connects = [&server]() -> task<> {
      for (int i = 0; i < 5; ++i) const tcp_stream client = co_await server.client();
    };
    for (unsigned core = 0; core < 2; ++core) {
      auto clients = s.spawn_on(core, connects);
      (void)co_await clients.join();
    }
    co_await server.stop();
  });
  if (matched == 0) GTEST_SKIP() << "the kernel names other processors than those of the cores";
}

TEST(placement, by_the_processor_takes_one_core_after_the_other_where_none_is_pinned) {
  run_io(io_cores(cores), [](scope& s) -> task<> {
    counting_server server;
    server.start(s, with(incoming_cpu()));
    std::vector<tcp_stream> clients;
    for (int i = 0; i < 6; ++i) clients.push_back(co_await server.client());
    EXPECT_EQ(server.open(), std::vector<int>({2, 2, 2}));
    co_await server.stop();
  });
}

TEST(placement, of_a_core_that_is_not_there_aborts_with_advice) {
  const auto too_far = [](const tcp_stream&, std::span<const unsigned>) { return cores; };
  EXPECT_DEATH(run_io(io_cores(cores),
                      [too_far](scope& s) -> task<> {
                        counting_server server;
                        server.start(s, with(too_far));
                        (void)co_await server.client();
                      }),
               "placement: chose core 3 of 3(.|\n)*this_core::count");
}

TEST(placement, connections_that_open_and_close_at_random_stay_even) {
  const std::size_t count = on_sim() ? 100 : 1000;
  run_io(io_cores(cores), [count](scope& s) -> task<> {
    counting_server server;
    server.start(s, with(least_connections()));
    std::minstd_rand random(1);
    std::vector<tcp_stream> clients;
    for (std::size_t step = 0; step < 4 * count; ++step) {
      const bool full = clients.size() == count;
      const bool closes = !clients.empty() && (full || random() % 4 == 0);
      if (closes) {
        std::swap(clients[random() % clients.size()], clients.back());
        clients.pop_back();
      } else {
        clients.push_back(co_await server.client());
      }
    }
    while (clients.size() < count) clients.push_back(co_await server.client());
    co_await server.settled(static_cast<int>(count));
    const std::vector<int> open = server.open();
    const auto [idlest, busiest] = std::ranges::minmax(open);
    EXPECT_LE(busiest, 1.1 * idlest) << open[0] << " " << open[1] << " " << open[2];
    co_await server.stop();
  });
}

TEST(placement, the_limit_holds_over_all_cores) {
  run_io(io_cores(cores), [](scope& s) -> task<> {
    counting_server server;
    serve_options options = with(round_robin());
    options.max_connections = 2;
    server.start(s, options);
    std::vector<tcp_stream> clients;
    for (int i = 0; i < 2; ++i) clients.push_back(co_await server.client());
    auto third = server.client();
    auto waits = with_timeout(20ms, std::move(third));
    const result<tcp_stream> refused = co_await std::move(waits);
    EXPECT_EQ(refused.error(), make_error_code(errc::timed_out));
    clients.clear();
    clients.push_back(co_await server.client());
    co_await server.stop();
  });
}

TEST(placement, direct_descriptors_belong_to_the_core_that_accepts) {
  if (!on_uring()) GTEST_SKIP() << "there are direct descriptors with io_uring only";
  io_options io = lane_io();
  io.direct_descriptors = 10;
  run_io(io_cores(cores, io), []() -> task<> {
    auto listener = need(tcp_listener::bind(address::loopback(0)));
    const auto handler = [](tcp_stream) -> task<> { co_return; };
    auto serving = serve(std::move(listener), handler, with(round_robin()));
    const result<> served = co_await std::move(serving);
    EXPECT_EQ(served.error(), make_error_code(errc::not_supported));
  });
}

/// All connections are placed on one core, and are work for it.
TEST(balance, moves_connections_to_a_core_that_works_less) {
  if (on_sim()) GTEST_SKIP() << "there work takes no time";
  std::atomic<bool> moved{false};
  run_io(io_cores(2), [&moved](scope& s) -> task<> {
    tcp_listener listener = need(tcp_listener::bind(address::loopback(0)));
    const address at = listener.local_address();
    const auto handler = [&moved](tcp_stream stream) -> task<> {
      while (true) {
        const lease data = need(co_await stream.recv());
        if (data.empty()) co_return;
        if (this_core::index() == 1) moved = true;
        for (const auto end = clock::now() + 200us; clock::now() < end;) {
        }
        need(co_await stream.write_all(data.bytes()));
      }
    };
    serve_options options = with([](const tcp_stream&, std::span<const unsigned>) { return 0U; });
    options.balance_every = 5ms;
    auto serving = [options, handler](tcp_listener l) -> task<> {
      auto running = serve(std::move(l), handler, options);
      need(co_await std::move(running));
    };
    auto server = s.spawn(serving, std::move(listener));
    auto asks = [at, &moved]() -> task<> {
      tcp_stream stream = need(co_await connect(at));
      std::array<std::byte, 8> bytes{};
      while (!moved) {
        need(co_await stream.write_all(bytes));
        need(co_await stream.read_exactly(bytes));
      }
    };
    auto clients = [asks](scope& all) -> task<> {
      for (int i = 0; i < 8; ++i) (void)all.spawn_on(1, asks);
      co_return;
    };
    co_await with_scope(clients);
    server.cancel();
    (void)co_await server.join();
  });
  EXPECT_TRUE(moved);
}

}  // namespace
}  // namespace corespun::test
