#pragma once
// helpers: the threads behind offload(). Made on demand, bounded, and they end when idle.
//
// Jobs lie in the frames of the tasks that wait for them, so the queue allocates nothing and is as
// long as there are waiting tasks.
//
// Invariants
//   - A job that waits has a thread that was called for it, or all threads that may be are busy and
//     look for jobs when they end theirs.
//   - There are never more threads than there were jobs at once.
//   - The thread that became idle last is called first, so that what is not needed stays idle, and
//     ends.

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>
#include <vector>

namespace corespun::detail {

class simulation;

struct job {
  job* prev = nullptr;
  job* next = nullptr;
  bool queued = false;
  void (*run)(job&) noexcept = nullptr;  ///< on a helper thread; may end the life of the job
};

class helpers {
 public:
  /// On a thread that may use all processors which the helpers may: those of a core are pinned.
  explicit helpers(unsigned limit);
  helpers(const helpers&) = delete;
  helpers& operator=(const helpers&) = delete;
  ~helpers();

  /// Jobs become events of the simulation; there are no threads. nullptr: nothing changes.
  void play(simulation* s) noexcept { simulation_ = s; }

  /// Any thread. Throws std::system_error if not even one thread can be made.
  void submit(job& j);
  /// True: the job was still queued and will not run.
  [[nodiscard]] bool withdraw(job& j) noexcept;

  /// While a helper thread waits for a task, it does not count, and another one may be made in its
  /// place: that task may itself wait for a helper. On other threads this does nothing.
  class stand_in {
   public:
    stand_in() noexcept;
    stand_in(const stand_in&) = delete;
    stand_in& operator=(const stand_in&) = delete;
    ~stand_in();

   private:
    helpers* const pool_;
  };

  struct load {
    std::size_t threads;
    std::size_t idle;  ///< of these
    std::size_t queued;  ///< jobs that no thread has begun
  };
  /// Any thread.
  [[nodiscard]] load present_load() const;

  /// A thread that was idle for so long ends. Tests make it small, before the first job.
  std::chrono::steady_clock::duration idle_limit = std::chrono::seconds(10);

 private:
  /// A thread that waits to be called.
  struct sleeper {
    std::condition_variable called_cv;
    bool called = false;
    sleeper* below = nullptr;
  };

  [[nodiscard]] bool call_idle_thread() noexcept;
  void call_or_make_thread();
  void make_thread();
  [[nodiscard]] bool wait_for_call(std::unique_lock<std::mutex>& lock);
  void work();
  void run_oldest();
  void unlink(job& j) noexcept;

  const std::size_t limit_;
  const std::vector<unsigned> cpus_;
  simulation* simulation_ = nullptr;
  mutable std::mutex mutex_;  // guards all below
  std::condition_variable all_ended_;
  job* first_ = nullptr;
  job* last_ = nullptr;
  std::size_t queued_ = 0;
  sleeper* idle_ = nullptr;  // a stack: who became idle last is on top
  std::size_t threads_ = 0;
  std::size_t waiting_ = 0;  // of these, those that a stand_in may be made for
  bool ending_ = false;
};

}  // namespace corespun::detail
