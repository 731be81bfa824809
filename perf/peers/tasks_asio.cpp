// The operations of perf/micro on Asio, under the same names. A line of JSON for each: ns, or
// bytes. Asio has no mutex for coroutines. As in echo_asio.cpp the executor stands in the types,
// and one thread does without locks: channels that are for one only, and the concurrency hint
// UNSAFE.

#include <unistd.h>

#include <asio.hpp>
#include <asio/experimental/as_tuple.hpp>
#include <asio/experimental/channel.hpp>
#include <asio/experimental/concurrent_channel.hpp>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;
using executor = asio::io_context::executor_type;
using timer_of_executor =
    asio::basic_waitable_timer<std::chrono::steady_clock,
                               asio::wait_traits<std::chrono::steady_clock>, executor>;
template <class T>
using awaitable = asio::awaitable<T, executor>;
constexpr asio::use_awaitable_t<executor> use_awaitable;

using single_channel = asio::experimental::channel<executor, void(asio::error_code, int)>;
using shared_channel =
    asio::experimental::concurrent_channel<executor, void(asio::error_code, int)>;

constexpr long many = 1'000'000;

[[gnu::noinline]] awaitable<int> child(int x) { co_return x; }

awaitable<void> await_child(long n) {
  int sum = 0;
  for (long i = 0; i < n; ++i) sum += co_await child(1);
  if (sum != static_cast<int>(n)) std::abort();
}

awaitable<void> yield(long n) {
  for (long i = 0; i < n; ++i) co_await asio::post(use_awaitable);
}

/// Waits for others. Shared, since the last one may still be in arrive() when the wait is over.
template <class Channel>
class countdown {
 public:
  countdown(executor on, long n) : left_(n), done_(on, 1) {}
  void arrive() {
    if (left_.fetch_sub(1) == 1) done_.try_send(asio::error_code(), 0);
  }
  awaitable<void> wait() { co_await done_.async_receive(use_awaitable); }

 private:
  std::atomic<long> left_;
  Channel done_;
};

template <class Channel>
awaitable<void> yield_1000(long n) {
  const executor on = co_await asio::this_coro::executor;
  const auto all = std::make_shared<countdown<Channel>>(on, 1000);
  for (int i = 0; i < 1000; ++i)
    asio::co_spawn(on, yield(n / 1000), [all](std::exception_ptr) { all->arrive(); });
  co_await all->wait();
}

awaitable<void> spawn_join(long n) {
  const executor on = co_await asio::this_coro::executor;
  for (long i = 0; i < n; ++i) co_await asio::co_spawn(on, child(1), use_awaitable);
}

template <class Channel>
awaitable<void> spawn_many(long n) {
  const executor on = co_await asio::this_coro::executor;
  for (; n > 0; n -= many) {
    const auto all = std::make_shared<countdown<Channel>>(on, many);
    for (long i = 0; i < many; ++i)
      asio::co_spawn(on, child(1), [all](std::exception_ptr, int) { all->arrive(); });
    co_await all->wait();
  }
}

template <class Channel>
awaitable<void> answer(Channel& ping, Channel& pong, long n) {
  for (long i = 0; i < n; ++i)
    co_await pong.async_send({}, co_await ping.async_receive(use_awaitable), use_awaitable);
}

template <class Channel>
awaitable<void> ping_pong(long n) {
  const executor on = co_await asio::this_coro::executor;
  Channel ping(on, 1), pong(on, 1);
  const auto ended = std::make_shared<countdown<Channel>>(on, 1);
  asio::co_spawn(on, answer(ping, pong, n), [ended](std::exception_ptr) { ended->arrive(); });
  for (long i = 0; i < n; ++i) {
    co_await ping.async_send({}, 1, use_awaitable);
    co_await pong.async_receive(use_awaitable);
  }
  co_await ended->wait();
}

template <class Channel>
awaitable<void> send(Channel& items, long n) {
  for (long i = 0; i < n; ++i) co_await items.async_send({}, 1, use_awaitable);
}

template <class Channel>
awaitable<void> channel(long n) {
  const executor on = co_await asio::this_coro::executor;
  Channel items(on, 128);
  const auto ended = std::make_shared<countdown<Channel>>(on, 1);
  asio::co_spawn(on, send(items, n), [ended](std::exception_ptr) { ended->arrive(); });
  for (long i = 0; i < n; ++i) co_await items.async_receive(use_awaitable);
  co_await ended->wait();
}

/// The handlers of cancelled timers run at the next post.
awaitable<void> timer(long n) {
  timer_of_executor t(co_await asio::this_coro::executor);
  for (long i = 0; i < n; ++i) {
    t.expires_after(1h);
    t.async_wait([](asio::error_code) {});
    t.cancel();
    if (i % 128 == 0) co_await asio::post(use_awaitable);
  }
}

double resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  double pages = 0;
  statm >> pages >> pages;
  return pages * static_cast<double>(sysconf(_SC_PAGESIZE));
}

struct crowd {
  explicit crowd(executor on) : gate(on, timer_of_executor::time_point::max()) {}
  timer_of_executor gate;
  long waiting = 0;
};

awaitable<void> park(crowd& c) {
  ++c.waiting;
  co_await c.gate.async_wait(asio::experimental::as_tuple(use_awaitable));
}

/// On one thread: a timer is not for several at once.
awaitable<double> parked() {
  constexpr long tasks = 100'000;
  const executor on = co_await asio::this_coro::executor;
  crowd c(on);
  const auto ended = std::make_shared<countdown<single_channel>>(on, tasks);
  const double before = resident_bytes();
  for (long i = 0; i < tasks; ++i)
    asio::co_spawn(on, park(c), [ended](std::exception_ptr) { ended->arrive(); });
  while (c.waiting < tasks) co_await asio::post(use_awaitable);
  const double bytes = (resident_bytes() - before) / tasks;
  c.gate.cancel();
  co_await ended->wait();
  co_return bytes;
}

struct options {
  int cores = 1;
  double seconds = 0.2;
  std::string only;

  bool chosen(std::string_view name) const {
    return only.empty() || ("," + only + ",").find("," + std::string(name) + ",") != only.npos;
  }
};

options parse(int argc, char** argv) {
  options o;
  for (int i = 1; i < argc; i += 2) {
    const std::string_view word = argv[i];
    if (i + 1 < argc && word == "--cores") {
      o.cores = std::atoi(argv[i + 1]);
    } else if (i + 1 < argc && word == "--seconds") {
      o.seconds = std::atof(argv[i + 1]);
    } else if (i + 1 < argc && word == "--only") {
      o.only = argv[i + 1];
    } else {
      std::fputs("usage: tasks_asio [--cores N] [--seconds S] [--only NAME,…]\n", stderr);
      std::exit(2);
    }
  }
  return o;
}

struct operation {
  const char* name;
  long least;
  awaitable<void> (*run)(long);
};

template <class Channel>
constexpr operation operations[] = {
    {"await_child", 1000, await_child},        {"yield", 1000, yield},
    {"yield_1000", many, yield_1000<Channel>}, {"spawn_join", 1000, spawn_join},
    {"spawn_many", many, spawn_many<Channel>}, {"ping_pong", 1000, ping_pong<Channel>},
    {"channel", 1000, channel<Channel>},       {"timer", 1000, timer},
};

/// Repeats more and more often until it takes long enough.
template <class Channel>
awaitable<void> measure(const options& o) {
  if (o.cores == 1 && !o.only.empty() &&
      o.chosen("parked"))  // first, while no memory has been used
    std::printf(R"({"operation": "parked", "bytes": %.1f})"
                "\n",
                co_await parked());
  for (const operation& op : operations<Channel>) {
    if (!o.chosen(op.name)) continue;
    double took = 0;
    for (long n = op.least; took < o.seconds; n *= 2) {
      const auto start = std::chrono::steady_clock::now();
      co_await op.run(n);
      took = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      if (took >= o.seconds)
        std::printf(R"({"operation": "%s", "ns": %.2f})"
                    "\n",
                    op.name, took * 1e9 / static_cast<double>(n));
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const options o = parse(argc, argv);
  const bool single = o.cores == 1;
  asio::io_context context(single ? ASIO_CONCURRENCY_HINT_UNSAFE : o.cores);
  asio::co_spawn(context, single ? measure<single_channel>(o) : measure<shared_channel>(o),
                 [](std::exception_ptr error) {
                   if (error) std::rethrow_exception(error);
                 });
  std::vector<std::jthread> others;
  for (int i = 1; i < o.cores; ++i) others.emplace_back([&] { context.run(); });
  context.run();
}
