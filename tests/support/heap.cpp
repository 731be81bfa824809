#include "tests/support/heap.hpp"

#include <corespun/runtime/detail/frame.hpp>

#include <atomic>
#include <cstdlib>
#include <new>

#include "tests/support/sanitizers.hpp"

namespace corespun::test {
namespace {

constinit thread_local std::size_t calls = 0;
constinit std::atomic<long> in_use{0};
constinit std::atomic<bool> armed{false};
constinit std::atomic<bool> ever{false};
constinit std::atomic<long> left{0};  // blocks that are still given

bool refuses() noexcept {
  if (!armed.load(std::memory_order_relaxed)) return false;
  const long n = left.fetch_sub(1, std::memory_order_relaxed);
  return n == 0 || (n < 0 && ever.load(std::memory_order_relaxed));
}

[[maybe_unused]] void* counted_block(void* memory) {
  ++calls;
  if (memory == nullptr) throw std::bad_alloc();
  in_use.fetch_add(1, std::memory_order_relaxed);
  return memory;
}

[[maybe_unused]] void give_back(void* memory) noexcept {
  if (memory == nullptr) return;
  in_use.fetch_sub(1, std::memory_order_relaxed);
  std::free(memory);
}

}  // namespace

// Not inlined: a coroutine must not keep the address of a thread-local.
[[gnu::noinline]] std::size_t calls_of_new() noexcept { return calls; }
std::size_t heap_blocks() noexcept { return calls_of_new() + detail::frames_from_below(); }
long blocks_in_use() noexcept { return in_use.load(); }

failing_heap::failing_heap(std::size_t n, fails how) noexcept {
  refuse(n);
  ever = how == fails::for_good;
  detail::refuse_frames(refuses);
  armed = true;
}
failing_heap::~failing_heap() {
  armed = false;
  detail::refuse_frames(nullptr);
}
void failing_heap::refuse(std::size_t n) noexcept { left = static_cast<long>(n) - 1; }
bool failing_heap::reached() const noexcept { return left.load() < 0; }

}  // namespace corespun::test

#if CORESPUN_TEST_OWN_NEW

void* operator new(std::size_t bytes) {
  using namespace corespun::test;
  return counted_block(refuses() ? nullptr : std::malloc(bytes != 0 ? bytes : 1));
}
void* operator new[](std::size_t bytes) { return ::operator new(bytes); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  using namespace corespun::test;
  const auto step = static_cast<std::size_t>(alignment);
  return counted_block(refuses() ? nullptr
                                 : std::aligned_alloc(step, (bytes + step - 1) / step * step));
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  try {
    return ::operator new(bytes);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void* operator new[](std::size_t bytes, const std::nothrow_t& none) noexcept {
  return ::operator new(bytes, none);
}
void operator delete(void* memory) noexcept { corespun::test::give_back(memory); }
void operator delete[](void* memory) noexcept { corespun::test::give_back(memory); }
void operator delete(void* memory, std::size_t) noexcept { corespun::test::give_back(memory); }
void operator delete[](void* memory, std::size_t) noexcept { corespun::test::give_back(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { corespun::test::give_back(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  corespun::test::give_back(memory);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
  corespun::test::give_back(memory);
}
#endif
