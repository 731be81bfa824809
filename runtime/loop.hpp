#pragma once
// loop: an event loop without a thread of its own, as asyncio's: whoever made it runs it. One core
// that calls functions now or at a time, and runs tasks; with an I/O driver they do I/O.
//
//   loop l;
//   l.after(1s, [&] { l.stop(); });
//   std::jthread other([&] { l.post([] { std::puts("posted"); }); });
//   l.run();                                                      // until stop()
//   int n = l.run([]() -> task<int> { co_return 7; }).value();    // until that task has ended
//
// Invariants
//   - What was posted is called in that order, whichever thread posted it. Timers fire in the order
//     of their deadlines, equal ones in the order of arming; deadlines are rounded up to a tick of
//     50 us. A time that has passed is as good as post().
//   - What a call posts is called in a later turn: nobody keeps the loop to himself.
//   - With nothing to do and no timer it sleeps until another thread has something for it.
//   - What a call throws leaves the run…() that is under way at the end of its turn; what else was
//     ready has been called. If several have thrown, each run…() throws one, the oldest first,
//     before it does anything else. The loop stays as it was.
//   - What has not been called when the loop goes is not called; its tasks are cancelled and
//     awaited.
// Errors: std::bad_alloc, of whatever posts.
// Threads: made, run and destroyed on one thread, which is no core's; post, after, at, submit, stop
// and the handles: any.

#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/detail/machine.hpp>
#include <corespun/runtime/detail/shared_block.hpp>
#include <corespun/runtime/driver.hpp>
#include <corespun/runtime/promise.hpp>
#include <corespun/runtime/scope.hpp>

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>

namespace corespun {

class loop;

struct loop_options {
  loop_options() {}

  /// What it waits with; io_drivers() brings I/O.
  driver_factory driver = make_futex_driver;
  /// At most so many threads for blocking calls of its tasks, at least one.
  unsigned offload_threads = 64;
  /// Plays the core; not owned. Time is virtual then.
  detail::simulation* simulation = nullptr;
};

namespace detail {

/// A function that a loop is to call. One owner is the loop, which has it from its arrival until it
/// was called or its cancel has arrived; the other one is the handle.
class loop_call : public shared_block, private timer {
 public:
  [[nodiscard]] bool cancel() noexcept;

 protected:
  loop_call(loop& l, clock::time_point due) noexcept : loop_(l), due_(due) {}
  virtual void call() = 0;
  virtual void forget() noexcept = 0;

 private:
  friend class corespun::loop;
  void arrive() noexcept;
  void come_due() noexcept;
  void is_due() noexcept;
  void cancel_arrives() noexcept;

  loop& loop_;
  const clock::time_point due_;  // min(): at once
  std::atomic<bool> decided_{false};  // it is called, or cancelled: by who sets it
  // the rest only on the loop's thread
  bool arrived_ = false;  // and is not on its way again
  loop_call* before_ = nullptr;
  loop_call* after_ = nullptr;
  std::exception_ptr thrown_;
  member_mail<loop_call> arrival_;
  member_mail<loop_call> cancel_;
};

template <typename Fn>
class loop_call_of final : public loop_call {
 public:
  loop_call_of(loop& l, clock::time_point due, Fn&& fn)
      : loop_call(l, due), fn_(std::in_place, std::move(fn)) {}

 private:
  void call() override { std::invoke(*fn_); }
  void forget() noexcept override { fn_.reset(); }

  std::optional<Fn> fn_;
};

/// A task that a loop owns.
class loop_task : public root {
 public:
  virtual ~loop_task() = default;

 protected:
  explicit loop_task(loop& l) noexcept : loop_(l) {}

 private:
  friend class corespun::loop;
  virtual void settle() noexcept = 0;
  void arrive() noexcept;

  loop& loop_;
  loop_task* before_ = nullptr;
  loop_task* after_ = nullptr;
  member_mail<loop_task> arrival_;
};

template <typename T>
class loop_task_of final : public loop_task {
 public:
  explicit loop_task_of(loop& l) : loop_task(l) {}
  [[nodiscard]] future<T> get_future() noexcept { return result_.get_future(); }

 private:
  void settle() noexcept override {
    try {
      outcome<T> o = take_outcome<T>(outermost());
      destroy_frames();  // before others hear of it
      if (o.stopped()) throw std::system_error(make_error_code(errc::cancelled), "loop::submit");
      if constexpr (std::is_void_v<T>) {
        std::move(o).value();
        result_.set_value();
      } else {
        result_.set_value(std::move(o).value());
      }
    } catch (...) {
      result_.set_exception(std::current_exception());
    }
  }

  corespun::promise<T> result_;
};

}  // namespace detail

class loop final : private detail::joiner {
 public:
  /// Of a call that is to be made. Dropping it changes nothing.
  class handle {
   public:
    handle() noexcept {}

    /// True: it will not be called; what fn owns goes soon, on the loop's thread. False: it has
    /// been called or is being called, was cancelled before, or the loop is gone. Any thread.
    bool cancel() noexcept { return call_ && call_->cancel(); }

   private:
    friend loop;
    explicit handle(detail::loop_call& c) noexcept : call_(&c) {}
    detail::owned_block<detail::loop_call> call_;
  };

  /// Errors: what the driver throws, std::bad_alloc.
  explicit loop(loop_options options = {});
  loop(const loop&) = delete;
  loop& operator=(const loop&) = delete;
  /// Waits for descriptors that are still closing.
  ~loop();

  // --- any thread ---

  /// fn() is called by the loop, between its tasks, so it is short.
  template <typename Fn>
  handle post(Fn fn) {
    return call_at(clock::time_point::min(), std::move(fn));
  }
  /// The same when the time has come; never early.
  template <typename Fn>
  handle at(clock::time_point when, Fn fn) {
    const bool passed = when <= core_.now();
    return call_at(passed ? clock::time_point::min() : when, std::move(fn));
  }
  template <typename Fn>
  handle after(clock::duration d, Fn fn) {
    return at(detail::after(d, core_.now()), std::move(fn));
  }

  /// Starts fn(args…), or fn(scope&), as a task of the loop, which goes on whenever the loop is
  /// run. The future gives what it returns or throws; dropping it changes nothing. Errors there:
  /// errc::cancelled, if the loop went before; errc::broken_promise, if the task had not begun.
  template <typename Fn, typename... Args>
  auto submit(Fn fn, Args... args) {
    auto body = detail::main_task(std::move(fn), std::move(args)...);
    using value = typename decltype(body)::value_type;
    auto owned = std::make_unique<detail::loop_task_of<value>>(*this);
    owned->own(body.release());
    future<value> f = owned->get_future();
    send(*owned.release());
    return f;
  }

  /// The run…() that is under way ends with its turn, whatever else ends it; if there is none, the
  /// next one does. run() and run_once() return; a task that is run is cancelled.
  void stop() noexcept;

  // --- its own thread, not inside a task or a call ---

  /// Until stop().
  void run();
  /// One turn: all that is ready; if that is nothing, waits for something, but no longer than
  /// max_wait. False: nothing has run.
  bool run_once(clock::duration max_wait);

  /// Runs fn(args…), or fn(scope&), a task, until it and all it owns has ended. Returns what it
  /// returned; throws what it threw; outcome::stopped() after stop(). What a call of post, after or
  /// at throws cancels it, and is thrown when it has ended; by the next run…(), if it has ended by
  /// itself.
  template <typename Fn, typename... Args>
  auto run(Fn fn, Args... args) {
    return run(detail::main_task(std::move(fn), std::move(args)...));
  }
  template <typename T>
  outcome<T> run(task<T> main) {
    detail::root r;
    wait_for(r, main.release());
    if (r.error()) std::rethrow_exception(r.error());
    return detail::take_outcome<T>(r.outermost());
  }
  /// The value; or throws what the future throws. Errors: errc::cancelled in a std::system_error,
  /// after stop().
  template <typename T>
  T run_until(future<T> f) {
    outcome<T> o = run(detail::to_task(std::move(f)));
    if (o.stopped()) throw std::system_error(make_error_code(errc::cancelled), "loop::run_until");
    return std::move(o).value();
  }

 private:
  friend detail::loop_call;
  friend detail::loop_task;
  class running;

  template <typename Fn>
  handle call_at(clock::time_point due, Fn fn) {
    static_assert(std::is_void_v<std::invoke_result_t<Fn&>>,
                  "loop: fn returns nothing; tasks are started by run() or in a scope");
    auto* const call = new detail::loop_call_of<Fn>(*this, due, std::move(fn));
    handle h(*call);
    send(*call);
    return h;
  }
  void send(detail::loop_call& c) noexcept;
  void send(detail::loop_task& t) noexcept;
  void wait_for(detail::root& main, std::coroutine_handle<> frame);
  bool turn(clock::time_point until);
  bool play(clock::time_point until);
  [[nodiscard]] std::uint64_t done() const noexcept;
  void rethrow();
  template <typename Done>
  void drive_until(Done done) noexcept;
  void stop_arrives() noexcept;

  void begin(detail::loop_task& t) noexcept;
  std::coroutine_handle<> child_ended(detail::root& task) noexcept override;
  template <typename Node>
  static void link(Node*& list, Node& n) noexcept;
  template <typename Node>
  static void unlink(Node*& list, Node& n) noexcept;
  void call(detail::loop_call& c) noexcept;
  void discard(detail::loop_call& c) noexcept;
  void discard_calls() noexcept;

  detail::simulation* const simulation_;
  detail::machine machine_;
  detail::core& core_;
  const std::thread::id thread_;
  detail::loop_call* calls_ = nullptr;  // have arrived, are not yet called
  detail::loop_task* tasks_ = nullptr;  // have arrived, have not ended
  detail::loop_call* thrown_first_ = nullptr;  // oldest first
  detail::loop_call* thrown_last_ = nullptr;
  std::uint64_t called_ = 0;
  bool ending_ = false;
  bool stopped_ = false;
  std::atomic<bool> stop_is_out_{false};  // set by who posts it, cleared when it has arrived; O1
  detail::member_mail<loop> stop_mail_;
};

}  // namespace corespun
