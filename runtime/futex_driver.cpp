// futex driver: sleeps on one word. No operations, so nothing ever completes here.

#include <corespun/runtime/driver.hpp>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <ctime>

namespace corespun {
namespace {

class futex_driver final : public driver {
 public:
  void attach(detail::core&) override {}

  void poll(clock::time_point deadline) override {
    if (deadline != clock::time_point::min() && word_.load(std::memory_order_relaxed) == 0) {
      const auto since_boot = deadline.time_since_epoch();
      const auto seconds = std::chrono::floor<std::chrono::seconds>(since_boot);
      timespec until{seconds.count(), (since_boot - seconds).count()};
      const bool forever = deadline == clock::time_point::max();
      // WAIT_BITSET takes an absolute CLOCK_MONOTONIC time (futex(2)).
      ::syscall(SYS_futex, &word_, FUTEX_WAIT_BITSET_PRIVATE, 0, forever ? nullptr : &until,
                nullptr, FUTEX_BITSET_MATCH_ANY);
    }
    word_.store(0, std::memory_order_relaxed);
  }

  // The word is only a doorbell: what was rung for is published by the queue that the core looks
  // into (edge I1).
  void wake() noexcept override {
    if (word_.exchange(1, std::memory_order_relaxed) == 0) {
      ::syscall(SYS_futex, &word_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
    }
  }

  std::size_t in_flight() const noexcept override { return 0; }
  void cancel_all() override {}
  const char* name() const noexcept override { return "futex"; }

 private:
  std::atomic<std::uint32_t> word_{0};
};

}  // namespace

std::unique_ptr<driver> make_futex_driver(unsigned) { return std::make_unique<futex_driver>(); }

}  // namespace corespun
