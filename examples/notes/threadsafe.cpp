// threadsafe: a loop without timers, to which another thread posts. It sleeps in the kernel until
// then, for ever if nobody came. That it does not spin is seen by its driver, with which it looks
// for something to do: a few times for each post, however long it waits. That it does not freeze is
// seen by the answers.

#include <corespun/runtime/driver.hpp>
#include <corespun/runtime/loop.hpp>
#include <corespun/runtime/promise.hpp>

#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>

using namespace corespun;
using namespace std::chrono_literals;

/// What a loop without I/O waits with, but counts how often it does.
class counting_driver final : public driver {
 public:
  explicit counting_driver(int& looks) : looks_(looks) {}

  void attach(detail::core& c) override { real_->attach(c); }
  void poll(clock::time_point until) override {
    ++looks_;
    real_->poll(until);
  }
  void wake() noexcept override { real_->wake(); }
  [[nodiscard]] std::size_t in_flight() const noexcept override { return real_->in_flight(); }
  void cancel_all() override { real_->cancel_all(); }
  [[nodiscard]] const char* name() const noexcept override { return real_->name(); }

 private:
  int& looks_;
  std::unique_ptr<driver> real_ = make_futex_driver(0);
};

void ask_from_elsewhere(loop& l) {
  for (int i = 1; i <= 3; ++i) {
    std::this_thread::sleep_for(20ms);  // meanwhile the loop falls asleep
    promise<int> squared;
    future<int> answer = squared.get_future();
    l.post([i, &squared] { squared.set_value(i * i); });
    std::printf("asked %d, answered %d\n", i, answer.get());
  }
  l.stop();
}

task<int> wait_for(future<int> answer) { co_return co_await std::move(answer); }

int main() {
  int looks = 0;
  loop_options o;
  o.driver = [&looks](unsigned) { return std::make_unique<counting_driver>(looks); };
  loop l(std::move(o));
  {
    const std::jthread other(ask_from_elsewhere, std::ref(l));
    l.run();
  }
  std::printf("%s\n", looks <= 10 ? "it slept in between" : "it did not sleep");

  promise<int> given;
  future<int> taken = given.get_future();
  const std::jthread other([&given] { given.set_value(7); });
  std::printf("a task got %d\n", l.run(wait_for, std::move(taken)).value());
}
