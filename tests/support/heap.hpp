#pragma once
// The heap of each test program: operator new of heap.cpp counts, and can be made to fail. Frames
// of coroutines, which have an allocator of their own, count as well. With the thread sanitizer,
// which keeps operator new for itself, only frames do.

#include <cstddef>

namespace corespun::test {

/// How many blocks this thread has taken from the heap, by new and for frames.
[[nodiscard]] std::size_t heap_blocks() noexcept;
/// By new alone.
[[nodiscard]] std::size_t calls_of_new() noexcept;
/// Blocks of all threads that new has given and delete not taken back; frames do not count.
[[nodiscard]] long blocks_in_use() noexcept;

enum class fails { once, for_good };

/// While it lives the n-th block, of whatever thread, is std::bad_alloc; with for_good each later
/// one, too. Frames are not kept for reuse meanwhile, so that each one counts. No runtime may live
/// before and after it, and only one at a time.
class failing_heap {
 public:
  static constexpr std::size_t never = static_cast<std::size_t>(-1) / 4;

  failing_heap(std::size_t n, fails how) noexcept;
  failing_heap(const failing_heap&) = delete;
  failing_heap& operator=(const failing_heap&) = delete;
  ~failing_heap();

  /// Counts anew from here on.
  void refuse(std::size_t n) noexcept;
  /// The n-th block was asked for.
  [[nodiscard]] bool reached() const noexcept;
};

}  // namespace corespun::test
