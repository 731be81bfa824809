#pragma once
// watchdog: the thread that notices a core which does not turn, says so, and has others take the
// tasks that wait there.
//
// A core is stuck while one turn of its loop lasts: its tasks, timers and I/O wait for a task that
// computes or blocks without an await. While a core is awake the watchdog looks at all of them
// twice per notice period; while all sleep it sleeps, too, until the first of them rings.
//
// W1: no core is awake and unwatched
//
//   watchdog, going to sleep                core, waking up
//   1  dozing_ = true             seq_cst   1  rest_ = awake, by itself or       seq_cst
//   2  look at rest_ of all       seq_cst      by who woke it
//   3  sleep, if all are set                2  look at dozing_; ring if it is set  seq_cst
//
// At least one side sees the other.

#include <corespun/runtime/detail/counters.hpp>
#include <corespun/runtime/detail/threads.hpp>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace corespun::detail {

class core;
struct machine;

/// What is known of one core between two looks: decides what is told, and when.
class stall {
 public:
  static constexpr clock::duration pause = std::chrono::seconds(1);

  struct verdict {
    clock::duration lasts{};  ///< the present turn; 0: the core is between two turns
    bool is_news = false;  ///< to be told: once per turn, and then not before the pause is over
  };
  /// `running_since`: before that the process stood still, or the watchdog did. `waited`: how long
  /// in this turn others had the processor of the core; nobody is blamed for that.
  [[nodiscard]] verdict look(clock::time_point turn_began, clock::time_point now,
                             clock::time_point running_since, clock::duration waited,
                             clock::duration notice) noexcept;

 private:
  clock::time_point told_of_ = counters::no_turn;  // the turn that it was
  clock::time_point quiet_until_ = clock::time_point::min();
};

class watchdog {
 public:
  watchdog() = default;
  watchdog(const watchdog&) = delete;
  watchdog& operator=(const watchdog&) = delete;
  ~watchdog() { stop(); }

  /// Once all cores turn. Errors: std::system_error if no thread can be made, std::bad_alloc.
  void start(machine& m, clock::duration notice);
  /// Before the cores end. Nothing happens if it was not started.
  void stop() noexcept;

  /// A core is no longer asleep; on its own thread.
  void core_woke() noexcept {
    if (dozing_.load(std::memory_order_seq_cst)) ring();  // W1 step 2
  }

  // For tests, any thread.
  [[nodiscard]] bool is_on() const noexcept { return thread_.joinable(); }
  [[nodiscard]] bool dozing() const noexcept { return dozing_.load(std::memory_order_relaxed); }
  [[nodiscard]] unsigned long looks() const noexcept {
    return looks_.load(std::memory_order_relaxed);
  }

 private:
  void work();
  void doze(std::unique_lock<std::mutex>& lock);
  [[nodiscard]] bool all_asleep() const noexcept;
  void look() noexcept;
  void have_stolen_from(const core& stuck) noexcept;
  void ring() noexcept;

  machine* machine_ = nullptr;
  clock::duration notice_{};
  struct watched {
    explicit watched(int thread) noexcept : wait(thread) {}
    /// In this turn, since the first look at it.
    [[nodiscard]] clock::duration waited(clock::time_point turn, clock::time_point now) noexcept;
    stall stalls;
    processor_wait wait;
    clock::time_point turn = counters::no_turn;
  };
  std::vector<watched> cores_;
  clock::time_point running_since_{};  // its own thread only
  std::atomic<bool> dozing_{false};  // set by its thread, cleared by it or by who rings: W1
  std::atomic<unsigned long> looks_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ending_ = false;  // under mutex_
  std::thread thread_;
};

}  // namespace corespun::detail
