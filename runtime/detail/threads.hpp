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

/// How long a thread of this process could have run, but others had its processor.
class processor_wait {
 public:
  explicit processor_wait(int thread) noexcept;
  /// Counts from now on.
  void begin(std::chrono::nanoseconds now) noexcept { start_ = times_at(now); }
  /// Since then; 0 if the kernel does not tell. Sleeping counts as well if the thread can run by
  /// now.
  [[nodiscard]] std::chrono::nanoseconds until(std::chrono::nanoseconds now) const noexcept;

 private:
  struct times {
    std::chrono::nanoseconds at{};
    std::chrono::nanoseconds ran{};
    std::chrono::nanoseconds waited{};  // without a wait that has not ended
    bool known = false;
  };
  struct closer {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
  };
  [[nodiscard]] times times_at(std::chrono::nanoseconds now) const noexcept;
  [[nodiscard]] bool can_run() const noexcept;
  std::unique_ptr<std::FILE, closer> times_;  // schedstat of proc(5)
  std::unique_ptr<std::FILE, closer> status_;  // stat of proc(5)
  times start_;
};

}  // namespace corespun::detail
