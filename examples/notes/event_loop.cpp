// event_loop: what asyncio's loop has. Calls at once, later and at a time, each with a handle that
// cancels it; futures with callbacks; tasks, several at once and under a time limit.

#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/loop.hpp>
#include <corespun/runtime/promise.hpp>
#include <corespun/runtime/sleep.hpp>
#include <corespun/runtime/when.hpp>

#include <cstdio>
#include <exception>
#include <stdexcept>
#include <tuple>

using namespace corespun;
using namespace std::chrono_literals;

void calls(loop& l) {
  loop::handle never = l.after(1h, [] { std::printf("never\n"); });
  l.post([] { std::printf("at once\n"); });
  l.post([&never] {
    const bool cancelled = never.cancel();
    std::printf("at once, after that: %s\n", cancelled ? "cancelled" : "too late to cancel");
  });
  l.after(10ms, [] { std::printf("after 10 ms\n"); });
  loop::handle last = l.at(clock::now() + 40ms, [&l] {
    std::printf("at its time\n");
    l.stop();
  });
  std::printf("nothing runs yet\n");
  l.run();  // until stop()
  std::printf("%s\n", last.cancel() ? "cancelled" : "too late to cancel");
}

void show(const char* name, outcome<int> answer) {
  try {
    std::printf("%s: %d\n", name, std::move(answer).value());
  } catch (const std::exception& e) {
    std::printf("%s: %s\n", name, e.what());
  }
}

void futures(loop& l) {
  promise<int> first;
  promise<int> second;
  promise<> both;
  first.get_future().then([](outcome<int> answer) { show("first", std::move(answer)); });
  second.get_future().then([&both](outcome<int> answer) {
    show("second", std::move(answer));
    both.set_value();
  });
  l.post([&] { first.set_value(42); });
  l.after(1ms,
          [&] { second.set_exception(std::make_exception_ptr(std::runtime_error("no answer"))); });
  l.run_until(both.get_future());
}

task<int> square(int n, clock::duration takes) {
  co_await sleep_for(takes);
  co_return n* n;
}

task<> several() {
  auto [one, two] = co_await when_all(square(3, 20ms), square(4, 10ms));
  std::printf("squares: %d and %d\n", one, two);
  auto slow = with_timeout(1ms, square(5, 1h));
  const result<int> too_late = co_await std::move(slow);
  std::printf("under a limit: %s\n", too_late ? "done" : too_late.error().message().c_str());
  auto quick = with_timeout(1h, square(6, 1ms));
  const result<int> in_time = co_await std::move(quick);
  std::printf("under a limit: %d\n", in_time.value_or(0));
}

int main() {
  loop l;
  calls(l);
  futures(l);
  future<int> answer = l.submit(square, 2, 1ms);  // a task that goes on while the loop is run
  l.run(several).value();                         // until that task has ended
  std::printf("submitted before: %d\n", l.run_until(std::move(answer)));
}
