#pragma once
// signal_wait: the thread that called run() waits here for the end of main, for SIGINT or SIGTERM,
// or for a time.

#include <semaphore.h>

#include <atomic>
#include <chrono>
#include <csignal>

namespace corespun::detail {

class signal_wait {
 public:
  enum outcome { ended, signalled, timed_out };

  /// With `handle`: takes SIGINT and SIGTERM over until the destructor; one such object at a time,
  /// others take nothing.
  explicit signal_wait(bool handle) noexcept;
  signal_wait(const signal_wait&) = delete;
  signal_wait& operator=(const signal_wait&) = delete;
  ~signal_wait();

  /// The waiting thread only.
  [[nodiscard]] outcome next(std::chrono::steady_clock::time_point limit) noexcept;
  /// Any thread: next() returns `ended`. The object may be gone when this returns.
  void end() noexcept;
  /// Ends the process by the last signal, as it would have ended without us.
  [[noreturn]] void die() noexcept;

 private:
  static void on_signal(int number) noexcept;
  void take(int number, struct sigaction& before) noexcept;

  sem_t rung_;  // once per signal and once for the end
  std::atomic<bool> ended_{false};  // S1: written by the core before it rings
  std::atomic<int> last_signal_{0};  // written by the handler before it rings
  std::atomic<unsigned> signals_{0};  // written by the handler before it rings
  unsigned seen_ = 0;  // of them, by the waiting thread
  bool handling_ = false;
  struct sigaction int_before_{};
  struct sigaction term_before_{};
};

}  // namespace corespun::detail
