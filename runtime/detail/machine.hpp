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
    while (posters.load(std::memory_order_seq_cst) != 0) {  // P1, P2
      std::this_thread::yield();                            // a few instructions on their side
    }
  }

  // P1, P2: threads inside core::post() that the runtime does not join
  std::atomic<unsigned> posters{0};
  std::atomic<bool> closed{false};  // set when the runtime begins to end: P2
  injection injected;
  std::atomic<unsigned> sleepers{0};   // cores that sleep, or are about to; a glance
  std::atomic<unsigned> searching{0};  // cores that look for work, or are being woken to
  std::vector<std::unique_ptr<core>> cores;  // fixed once the runtime has started
  bool ended = false;  // all cores have; written by the thread that takes their mail then
  watchdog watch;
  helpers pool;                              // declared last: its threads post to cores
};

/// Counted before what is posted can be seen, until this thread has let go of the core.
class visit {
 public:
  explicit visit(machine& m) noexcept : count_(is_joined_by(m) ? nullptr : &m.posters) {
    if (count_ != nullptr) count_->fetch_add(1, std::memory_order_seq_cst);  // P2 step 1
  }
  visit(const visit&) = delete;
  visit& operator=(const visit&) = delete;
  ~visit() {
    if (count_ != nullptr) count_->fetch_sub(1, std::memory_order_release);  // P1
  }

 private:
  [[nodiscard]] static bool is_joined_by(const machine& m) noexcept {
    const core* const here = core::current();
    return here != nullptr && &here->all() == &m;
  }
  std::atomic<unsigned>* const count_;
};

}  // namespace corespun::detail
