#include <corespun/runtime/detail/forced_barrier.hpp>

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace corespun::detail {
namespace {

#if defined(__SANITIZE_THREAD__)
constexpr bool seen_by_tools = false;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
constexpr bool seen_by_tools = false;
#else
constexpr bool seen_by_tools = true;
#endif
#else
constexpr bool seen_by_tools = true;
#endif

long membarrier(int command) noexcept { return ::syscall(SYS_membarrier, command, 0, 0); }

}  // namespace

bool can_force_barriers() noexcept {
  return seen_by_tools && membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) == 0;
}

bool force_barriers() noexcept { return membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) == 0; }

}  // namespace corespun::detail
