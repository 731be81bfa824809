#pragma once
// shared_block: memory that two own, such as a promise and its future; it goes with the second.
//
// Memory: as that of a frame. Threads: any.

#include <corespun/runtime/detail/frame.hpp>

#include <atomic>
#include <memory>

namespace corespun::detail {

class shared_block {
 public:
  shared_block() noexcept {}
  shared_block(const shared_block&) = delete;
  shared_block& operator=(const shared_block&) = delete;
  virtual ~shared_block() = default;

  static void* operator new(std::size_t bytes) { return allocate_frame(bytes); }
  static void operator delete(void* memory, std::size_t bytes) noexcept {
    release_frame(memory, bytes);
  }

  /// By each owner, once.
  void drop() noexcept {
    // U1: the one that deletes sees all uses
    if (owners_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

 private:
  std::atomic<unsigned> owners_{2};  // written by both; U1
};

/// One of both. Movable; nullptr: it owns nothing.
template <typename Block>
struct drop_block {
  void operator()(Block* b) const noexcept { b->drop(); }
};
template <typename Block>
using owned_block = std::unique_ptr<Block, drop_block<Block>>;

}  // namespace corespun::detail
