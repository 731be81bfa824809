#pragma once
// Threads of the runtime: pinned, named, and never the ones that take the signals of the host.

#include <span>
#include <string>
#include <vector>

namespace corespun::detail {

/// Blocks all signals of this thread while it lives; a thread made meanwhile inherits that for
/// good.
class all_signals_blocked {
 public:
  all_signals_blocked() noexcept;
  all_signals_blocked(const all_signals_blocked&) = delete;
  all_signals_blocked& operator=(const all_signals_blocked&) = delete;
  ~all_signals_blocked();

 private:
  unsigned long before_[16];  // sigset_t, kept out of this header
};

/// The processors this process may use, as in sched_getaffinity(2). Never empty.
[[nodiscard]] std::vector<unsigned> usable_cpus();
/// A refusal is ignored: a container may forbid it, and the thread works all the same.
void pin_this_thread(std::span<const unsigned> cpus) noexcept;
/// For debuggers and top; at most 15 characters.
void name_this_thread(const std::string& name) noexcept;

}  // namespace corespun::detail
