#include <corespun/runtime/detail/injection.hpp>

#include <concurrentqueue/concurrentqueue.h>

namespace corespun::detail {

struct injection::queue {
  moodycamel::ConcurrentQueue<root*> roots;
};

injection::injection() : queue_(std::make_unique<queue>()) {}
injection::~injection() = default;

bool injection::push(root& r) noexcept {
  // Counted first: who finds nothing counted has announced its sleep before (I1).
  size_.fetch_add(1, std::memory_order_seq_cst);
  // Q6: publishes the root; the queue's own ordering is by fences, which sanitizers do not see.
  r.home_.store(&r.home(), std::memory_order_release);
  if (queue_->roots.enqueue(&r)) return true;
  size_.fetch_sub(1, std::memory_order_relaxed);
  return false;
}

root* injection::take() noexcept {
  root* r = nullptr;
  if (!queue_->roots.try_dequeue(r)) return nullptr;
  (void)r->home_.load(std::memory_order_acquire);  // Q6
  size_.fetch_sub(1, std::memory_order_relaxed);
  return r;
}

}  // namespace corespun::detail
