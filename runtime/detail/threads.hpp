#pragma once
// Threads of the runtime: pinned, named, and never the ones that take the signals of the host.

#include <chrono>
#include <cstdio>
#include <memory>
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
/// The kernel's number of it.
[[nodiscard]] int this_thread() noexcept;

/// How long a thread of this process could have run, but others had its processor. A sleep between two
/// looks may count as well, if the thread can run at the second.
class processor_wait {
 public:
  explicit processor_wait(int thread) noexcept;
  /// Since it began; always 0 if the kernel does not tell.
  [[nodiscard]] std::chrono::nanoseconds until(std::chrono::nanoseconds now) noexcept;

 private:
  [[nodiscard]] bool can_run() const noexcept;
  struct closer {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
  };
  std::unique_ptr<std::FILE, closer>
      times_;  // schedstat of proc(5): a wait counts when it has ended
  std::unique_ptr<std::FILE, closer> status_;  // stat of proc(5)
  // at the last look
  std::chrono::nanoseconds at_;
  std::chrono::nanoseconds ran_{};
  std::chrono::nanoseconds ended_{};  // waits
  std::chrono::nanoseconds lasts_{};  // the one that had not ended
};

}  // namespace corespun::detail
