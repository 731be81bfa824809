#pragma once
// helpers: the threads behind offload(). Made on demand, bounded, and they end when idle.
//
// Jobs lie in the frames of the tasks that wait for them, so the queue allocates nothing and is as
// long as there are waiting tasks.

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
  explicit helpers(unsigned limit) noexcept : limit_(limit) {}
  helpers(const helpers&) = delete;
  helpers& operator=(const helpers&) = delete;
  ~helpers();

  /// Jobs become events of the simulation; there are no threads. nullptr: nothing changes.
  void play(simulation* s) noexcept { simulation_ = s; }

  /// Any thread. Throws std::system_error if not even one thread can be made.
  void submit(job& j);
  /// True: the job was still queued and will not run.
  [[nodiscard]] bool withdraw(job& j) noexcept;

  struct load {
    std::size_t threads;
    std::size_t queued;  ///< jobs that no thread has begun
  };
  /// Any thread.
  [[nodiscard]] load present_load() const;

 private:
  void start_thread_if_needed();
  void work();
  void run_oldest();
  void unlink(job& j) noexcept;

  const unsigned limit_;
  simulation* simulation_ = nullptr;
  mutable std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  job* first_ = nullptr;
  job* last_ = nullptr;
  std::size_t queued_ = 0;
  std::size_t idle_ = 0;
  std::size_t running_ = 0;  // threads
  bool ending_ = false;
};

}  // namespace corespun::detail
