#include <corespun/runtime/detail/frame.hpp>

#include <corespun/runtime/detail/core.hpp>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <utility>

#if defined(CORESPUN_MIMALLOC)
#include <mimalloc.h>
#endif

namespace corespun::detail {
namespace {

constexpr std::size_t class_bytes = 32;     // less is lost to rounding than tasks differ by
constexpr std::size_t class_count = 64;     // up to 2 KiB; larger frames are rare and go below
constexpr std::size_t usually_kept_bytes = 1 << 20;

// Written by refuse_frames() while no core runs.
constinit std::size_t keep_bytes_per_class = usually_kept_bytes;
using refusal = bool (*)() noexcept;
constinit refusal refuses_block = nullptr;

struct free_block {
  free_block* next;
};
struct free_list {
  free_block* first = nullptr;
  std::uint32_t size = 0;
  std::uint32_t most = 0;  // 0: this thread is no core's
};

// Trivially destructible on purpose: nothing runs at thread end, cores release their lists
// themselves.
struct thread_lists {
  std::array<free_list, class_count> lists;
  std::size_t from_below = 0;
};
constinit thread_local thread_lists tls;

// A coroutine can be resumed on another thread between two uses, so nothing that uses this may be
// inlined into one: the compiler would keep the address.
thread_lists& here() noexcept { return tls; }

void* below(std::size_t bytes) {
  if (core* const c = core::current(); c != nullptr) c->counts.allocated.add();
  if (refuses_block != nullptr && refuses_block()) throw std::bad_alloc();
#if defined(CORESPUN_MIMALLOC)
  void* const memory = mi_malloc(bytes);
#else
  void* const memory = std::malloc(bytes);
#endif
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void give_below(void* memory) noexcept {
#if defined(CORESPUN_MIMALLOC)
  mi_free(memory);
#else
  std::free(memory);
#endif
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool pooled = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool pooled = false;
#else
constexpr bool pooled = true;
#endif
#else
constexpr bool pooled = true;
#endif

}  // namespace

[[gnu::noinline]] void* allocate_frame(std::size_t bytes) {
  const std::size_t cls = (bytes - 1) / class_bytes;
  thread_lists& t = here();
  if (pooled && cls < class_count) {
    free_list& list = t.lists[cls];
    if (free_block* const block = list.first; block != nullptr) {
      list.first = block->next;
      --list.size;
      return block;
    }
    ++t.from_below;
    return below((cls + 1) * class_bytes);
  }
  ++t.from_below;
  return below(bytes);
}

[[gnu::noinline]] void release_frame(void* memory, std::size_t bytes) noexcept {
  const std::size_t cls = (bytes - 1) / class_bytes;
  if (pooled && cls < class_count) {
    free_list& list = here().lists[cls];
    if (list.size < list.most) {
      list.first = ::new (memory) free_block{list.first};
      ++list.size;
      return;
    }
  }
  give_below(memory);
}

[[gnu::noinline]] std::size_t frames_from_below() noexcept { return here().from_below; }

void refuse_frames(bool (*refuses)() noexcept) noexcept {
  refuses_block = refuses;
  keep_bytes_per_class = refuses != nullptr ? 0 : usually_kept_bytes;
}

void keep_free_frames(bool keep) noexcept {
  for (std::size_t cls = 0; free_list & list : here().lists) {
    const std::size_t most = keep_bytes_per_class / (++cls * class_bytes);
    list.most = keep ? static_cast<std::uint32_t>(most) : 0;
  }
}

void release_free_frames() noexcept {
  keep_free_frames(false);
  for (free_list& list : here().lists) {
    while (list.first != nullptr) give_below(std::exchange(list.first, list.first->next));
    list.size = 0;
  }
}

}  // namespace corespun::detail
