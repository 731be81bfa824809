#pragma once
// injection: the queue that all cores of a runtime share: free tasks that other threads made ready.
// Unbounded; order is kept per thread that pushes.
//
// Method: moodycamel::ConcurrentQueue, a lock-free queue with a part per producer.
// Threads: any.

#include <corespun/runtime/detail/root.hpp>

#include <atomic>
#include <cstddef>
#include <memory>

namespace corespun::detail {

class injection {
 public:
  injection();
  ~injection();

  /// False: there is no memory.
  [[nodiscard]] bool push(root& r) noexcept;
  /// nullptr: there is none.
  [[nodiscard]] root* pop() noexcept { return empty() ? nullptr : take(); }
  /// seq_cst: step 2 of I1 (core.hpp). False also while a push is half done: that one wakes.
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  [[nodiscard]] std::size_t size() const noexcept { return size_.load(std::memory_order_seq_cst); }

 private:
  [[nodiscard]] root* take() noexcept;
  struct queue;
  std::unique_ptr<queue> queue_;
  std::atomic<std::size_t> size_{0};  // counted up before a push, down after a pop
};

}  // namespace corespun::detail
