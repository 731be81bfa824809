// coming_from: what other libraries' constructs are here. docs/coming-from.md quotes it piece by
// piece; it runs to its end and prints what each piece has done.

#include <corespun/corespun.hpp>

#include <cstdio>
#include <ranges>
#include <string>
#include <thread>
#include <tuple>
#include <variant>
#include <vector>

using namespace corespun;
using namespace std::chrono_literals;

task<int> fetch(int n) {
  co_await sleep_for(1ms);
  co_return 10 * n;
}

// asyncio.gather, Go's WaitGroup with results, tokio::join!
task<> several_at_once() {
  auto [one, two] = co_await when_all(fetch(1), fetch(2));
  std::printf("both: %d\n", one + two);
}

// asyncio.TaskGroup, gevent.pool.Group, Go's errgroup, tokio's JoinSet
task<> a_group() {
  int sum = 0;
  auto body = [&](scope& s) -> task<> {
    auto ten = s.spawn(fetch, 1);
    auto twenty = s.spawn(fetch, 2);
    sum = (co_await ten.join()).value();
    sum += (co_await twenty.join()).value();
  };
  co_await with_scope(body);  // whatever happens, none of them outlives this line
  std::printf("group: %d\n", sum);
}

// asyncio.wait_for, context.WithTimeout, tokio::time::timeout
task<> a_time_limit() {
  auto limited = with_timeout(1ms, sleep_for(1h));
  const result<> in_time = co_await std::move(limited);
  std::printf("in time: %s\n", in_time ? "yes" : in_time.error().message().c_str());
}

task<> count_up(channel<int>& numbers) {
  for (int n = 1; n <= 3; ++n) (void)co_await numbers.send(n);
  numbers.close();
}

// asyncio.Queue, Go's channels, tokio::sync::mpsc
task<> a_channel() {
  channel<int> numbers(1);
  int sum = 0;
  auto body = [&](scope& s) -> task<> {
    (void)s.spawn(count_up, std::ref(numbers));
    while (true) {
      result<int> n = co_await numbers.recv();
      if (!n) break;  // closed and empty
      sum += *n;
    }
  };
  co_await with_scope(body);
  std::printf("received: %d\n", sum);
}

// asyncio.wait(FIRST_COMPLETED), Go's select, tokio::select!
task<> the_first() {
  channel<int> numbers(1);
  (void)numbers.try_send(7);
  const auto first = co_await select(numbers.recv(), sleep_for(1h));
  if (first.index() == 0) std::printf("first: %d\n", *std::get<0>(first));
}

int blocks(int n) {
  std::this_thread::sleep_for(1ms);
  return n + 1;
}

// asyncio.to_thread, gevent's threadpool, tokio::task::spawn_blocking; in Go the runtime does it
task<> a_blocking_call() {
  const int n = co_await offload(blocks, 1);
  std::printf("blocked elsewhere: %d\n", n);
}

task<> clean_up() {
  co_await sleep_for(1ms);  // it may wait, although the scope is cancelled
  std::printf("cleaned up\n");
}

// except CancelledError and finally, Go's defer with ctx.Done(), Drop and CancellationToken
task<> a_cancel() {
  auto body = [](scope& s) -> task<> {
    s.on_exit(clean_up);
    auto sleeper = []() -> task<> {
      const result<> slept = co_await as_result(sleep_for(1h));
      std::printf("slept: %s\n", slept ? "yes" : slept.error().message().c_str());
    };
    (void)s.spawn(sleeper);
    co_await yield();
    s.cancel();
  };
  co_await with_scope(body);
}

void answers(promise<int> p) { p.set_value(42); }

// loop.call_soon_threadsafe with a Future, asio::use_future the other way round
task<> a_callback() {
  promise<int> p;
  future<int> f = p.get_future();
  std::thread library(answers, std::move(p));
  const int answer = co_await std::move(f);
  library.join();
  std::printf("answered: %d\n", answer);
}

generator<int> numbers_from(int n) {
  while (true) co_yield n++;
}

// a Python generator, iter::from_fn
void a_generator() {
  int sum = 0;
  for (int n : numbers_from(1) | std::views::take(3)) sum += n;
  std::printf("numbers: %d\n", sum);
}

async_generator<int> ticks(int count) {
  for (int n = 1; n <= count; ++n) {
    co_await sleep_for(1ms);
    co_yield n;
  }
}

// async for, a Stream in Rust
task<> an_async_generator() {
  int sum = 0;
  auto add = [&](int n) { sum += n; };
  co_await for_each(ticks(3), add);
  std::printf("ticks: %d\n", sum);
}

struct account {
  explicit account(int) {}
  int balance = 0;
};

// a strand, an actor, a Mutex around shared state: state that one core owns
task<> owned_by_a_core() {
  sharded<account> accounts;
  co_await accounts.start(0);
  auto deposit = [](account& a) { return a.balance += 5; };
  const int balance = co_await accounts.on(0, deposit);
  co_await accounts.stop();
  std::printf("balance: %d\n", balance);
}

task<> start() {
  co_await several_at_once();
  co_await a_group();
  co_await a_time_limit();
  co_await a_channel();
  co_await the_first();
  co_await a_blocking_call();
  co_await a_cancel();
  co_await a_callback();
  a_generator();
  co_await an_async_generator();
  co_await owned_by_a_core();
}

int main() { return run(start); }
