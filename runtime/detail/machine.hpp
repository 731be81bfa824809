#pragma once
// machine: what the cores of one runtime share.

#include <corespun/runtime/detail/core.hpp>
#include <corespun/runtime/detail/helpers.hpp>
#include <corespun/runtime/detail/injection.hpp>
#include <corespun/runtime/detail/watchdog.hpp>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace corespun::detail {

struct machine {
  explicit machine(unsigned offload_threads) : pool(offload_threads) {}

  /// Returns when no thread that is not a core's is inside core::post() any more: it may still
  /// touch a core whose last mail has ended the run.
  void wait_for_posters() noexcept {
    for (unsigned n = posters.load(std::memory_order_acquire); n != 0;
         n = posters.load(std::memory_order_acquire)) {
      std::this_thread::yield();  // P1; a few instructions on their side
    }
  }

  // P1: threads inside core::post() that the runtime does not join
  std::atomic<unsigned> posters{0};
  injection injected;
  std::atomic<unsigned> sleepers{0};   // cores that sleep, or are about to; a glance
  std::atomic<unsigned> searching{0};  // cores that look for work, or were woken to
  std::vector<std::unique_ptr<core>> cores;  // fixed once the runtime has started
  watchdog watch;
  helpers pool;                              // declared last: its threads post to cores
};

}  // namespace corespun::detail
