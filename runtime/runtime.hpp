#pragma once
// runtime: N cores, each a pinned thread with its loop and its driver.
//
// Many runtimes may live in one process, one after the other or at once. A runtime owns neither
// main, nor malloc, nor the signals of its host: it installs a signal handler only for the time of
// a run() that asks for it. Most programs use corespun::run() of corespun.hpp, which adds the I/O
// driver; this class alone is a compute pool.

#include <corespun/runtime/affinity.hpp>
#include <corespun/runtime/detail/machine.hpp>
#include <corespun/runtime/driver.hpp>
#include <corespun/runtime/metrics.hpp>
#include <corespun/runtime/result.hpp>
#include <corespun/runtime/scope.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

namespace corespun {

struct runtime_options {
  runtime_options() {}

  /// Cores; 0: as many as this process may use (sched_getaffinity).
  unsigned cores = 0;
  /// Bind each core's thread to one processor.
  bool pin = true;
  /// Of main, and so of the tasks that it starts: may they move between cores?
  corespun::affinity affinity = corespun::affinity::any;
  /// At most so many threads for blocking calls, at least one. One that itself waits in
  /// runtime::run() is not counted meanwhile: what it waits for may need a thread, too.
  unsigned offload_threads = 64;
  /// What each core waits with.
  driver_factory driver = make_futex_driver;
  /// During run(): SIGINT and SIGTERM cancel main; a second one ends the process. A signal that is
  /// ignored stays ignored.
  bool handle_signals = false;
  /// How long the drain after such a signal may take before the surviving tasks are listed on
  /// stderr.
  std::chrono::milliseconds drain_notice{10'000};
  /// A core that makes no turn of its loop for so long is told on stderr, with the task that holds
  /// it up; at most once a second. 0: never. Off in a simulation.
  std::chrono::milliseconds stall_notice{25};
  /// Plays the cores in place of threads; not owned. Set by sim::world.
  detail::simulation* simulation = nullptr;
};

class runtime {
 public:
  /// Starts the cores. Errors: std::system_error if a thread or a driver cannot be made,
  /// std::bad_alloc.
  explicit runtime(runtime_options options = {});
  runtime(const runtime&) = delete;
  runtime& operator=(const runtime&) = delete;
  /// Waits for descriptors that are still closing, then ends the threads.
  ~runtime();

  [[nodiscard]] unsigned cores() const noexcept;

  /// What has been done, and what waits. Any thread, at any time; nothing stops meanwhile.
  [[nodiscard]] corespun::metrics metrics() const;

  /// Runs fn(args…), or fn(scope&), a task, on core 0 and blocks until it and all it owns has
  /// ended. Returns what it returned; throws what it threw; outcome::stopped() after a signal.
  /// Threads: any but a core's own; several may call at once.
  template <typename Fn, typename... Args>
  auto run(Fn fn, Args... args) {
    return run_task(detail::main_task(std::move(fn), std::move(args)...));
  }

  /// Calls fn() on that core, between its tasks, so it must be short and may not throw. Calls of
  /// one thread begin in their order. Errors: errc::closed, if this runtime has begun to end; else
  /// fn is called. std::bad_alloc. Threads: any; the runtime must be there when the call begins.
  template <typename Fn>
  [[nodiscard]] result<> post_to(unsigned core, Fn fn) {
    static_assert(std::is_void_v<std::invoke_result_t<Fn&>>,
                  "post_to: fn returns nothing; tasks are started by run() or in a scope");
    struct posted : detail::mail {
      explicit posted(Fn&& f) : fn(std::move(f)) {}
      Fn fn;
    };
    auto m = std::make_unique<posted>(std::move(fn));
    m->deliver = [](detail::mail& arrived) noexcept {
      const std::unique_ptr<posted> call(&static_cast<posted&>(arrived));
      call->fn();
    };
    if (!post(core, *m)) return std::unexpected(make_error_code(errc::closed));
    (void)m.release();
    return {};
  }

  /// For the floors above.
  [[nodiscard]] detail::machine& inner() noexcept { return machine_; }

 private:
  template <typename T>
  outcome<T> run_task(task<T> main) {
    detail::root r;
    wait_for(r, main.release());
    if (r.error()) std::rethrow_exception(r.error());
    return detail::take_outcome<T>(r.outermost());
  }
  void wait_for(detail::root& r, std::coroutine_handle<> main);
  [[nodiscard]] bool post(unsigned core, detail::mail& m) noexcept;
  void start_threads();
  void start_simulated();
  void play(detail::root& r, std::coroutine_handle<> main);
  void play_until_finished() noexcept;

  struct threads;
  runtime_options options_;
  detail::machine machine_;
  clock::time_point started_{};
  std::unique_ptr<threads> threads_;
};

}  // namespace corespun
