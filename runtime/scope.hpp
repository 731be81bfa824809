#pragma once
// scope: owns tasks. Nothing in corespun runs without an owner, and a scope ends only after all it
// owns has ended.
//
//   co_await with_scope([&](scope& s) -> task<> {
//     s.spawn(read_from, std::ref(peer));
//     auto sum = s.spawn(add, 1, 2);
//     std::printf("%d\n", (co_await sum.join()).value());
//   });                                        // here both have ended
//
// Invariants
//   - The first exception of a task or of the body cancels all others and is rethrown by with_scope
//     when they have ended.
//   - cancel() reaches the body and all tasks, those spawned later too. The tasks of a scope nested
//     in them as well.
//   - When with_scope itself is cancelled, it cancels all, waits for them, and then ends as
//     stopped.
//   - A scope that cancelled itself is not an error: with_scope returns. If the body was to return
//     a value and was stopped before, there is none, and the await of with_scope ends as stopped.
//   - There is no way to detach a task.
//   - The body may end before the tasks do, and its locals with it: what tasks refer to belongs
//     outside of the body.
// Threads: spawn, on_exit and alive on any core of the runtime; cancel() from any thread.

#include <corespun/runtime/detail/cancel_tour.hpp>
#include <corespun/runtime/detail/core.hpp>
#include <corespun/runtime/detail/spin_lock.hpp>
#include <corespun/runtime/task.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <source_location>
#include <tuple>

namespace corespun {

class scope;

namespace detail {

/// A task that a scope started. Ends its life when the task has ended, the handle has gone, and no
/// mail of a cancel is under way.
class spawned : public root {
 protected:
  // First, where the padding at the end of root has room for them.
  bool taken_ = false;  // the outcome, by join()
  bool settled_ = false;  // it has run, and its call is destroyed

 public:
  virtual ~spawned() = default;
  static void* operator new(std::size_t bytes) { return allocate_frame(bytes); }
  static void operator delete(void* memory, std::size_t bytes) noexcept {
    release_frame(memory, bytes);
  }

  /// Takes the outcome out of the frames and ends them, with fn and args: what they own ends on the
  /// core that used it, not when the handle goes. On the task's core.
  virtual void settle() noexcept = 0;
  /// After settle(); nullptr if it did not throw.
  [[nodiscard]] virtual std::exception_ptr failure() const noexcept = 0;
  /// It has ended: wakes who joins it. May end its life.
  void publish_end() noexcept;

  // --- the handle; any thread ---

  void drop_handle() noexcept;
  void ask_to_cancel() noexcept;
  [[nodiscard]] bool has_ended() const noexcept {
    return (life_.load(std::memory_order_acquire) & ended) != 0;  // H2: sees the result
  }
  /// Runs it inside of the waiter if that is what its core would do next, and waits for its end.
  /// False: it has ended.
  [[nodiscard]] bool wait_for_end(root& waiter, std::coroutine_handle<> leaf, void* what,
                                  const wait_kind& kind) noexcept;
  /// false: too late, the waiter is being woken
  [[nodiscard]] bool forget(root& waiter) noexcept;

  spawned* prev = nullptr;  // in its scope
  spawned* following = nullptr;

 private:
  [[nodiscard]] bool add_waiter(root& waiter) noexcept;
  void cancel_by_mail() noexcept;

  // The address of the task that waits in join(), or 0; and these marks.
  static constexpr std::uintptr_t ended = 1;
  static constexpr std::uintptr_t dropped = 2;  // nobody has a handle
  static constexpr std::uintptr_t mail_out = 4;
  static constexpr std::uintptr_t marks = ended | dropped | mail_out;

  std::atomic<std::uintptr_t> life_{0};  // H1, H2
  member_mail<spawned> cancel_mail_;
};

template <typename T>
class spawned_result : public spawned {
 public:
  [[nodiscard]] outcome<T> take() noexcept {
    if (std::exchange(this->taken_, true))
      caller_bug("the outcome of a task is taken twice",
                 "join a handle once and keep what it gives");
    return std::move(outcome_);
  }
  [[nodiscard]] std::exception_ptr failure() const noexcept final { return outcome_.error(); }

 protected:
  void take_from_frames() noexcept {
    outcome_.~outcome();
    try {
      std::construct_at(&outcome_, take_outcome<T>(outermost()));
    } catch (...) {  // of moving the value
      std::construct_at(&outcome_, outcome<T>::of_error(std::current_exception()));
    }
    destroy_frames();
  }

 private:
  outcome<T> outcome_;  // set at the end
};

template <typename T, typename Fn, typename... Args>
class spawned_call final : public spawned_result<T> {
 public:
  template <typename F, typename... A>
  explicit spawned_call(F&& fn, A&&... args)
      : call_(std::forward<F>(fn), std::forward<A>(args)...) {}
  ~spawned_call() override {
    if (!this->settled_) call_.~bound();  // it never began
  }

  auto call() { return std::apply(call_.fn, std::move(call_.args)); }
  void settle() noexcept override {
    this->take_from_frames();
    call_.~bound();
    this->settled_ = true;
  }

 private:
  struct bound {
    template <typename F, typename... A>
    explicit bound(F&& f, A&&... a) : fn(std::forward<F>(f)), args(std::forward<A>(a)...) {}
    [[no_unique_address]] Fn fn;
    [[no_unique_address]] std::tuple<Args...> args;
  };
  union {
    bound call_;  // until it is settled
  };
};

template <typename T>
class join_awaiter;

/// A core's index, and where the source code named it.
struct core_from_here {
  core_from_here(unsigned index, std::source_location at = std::source_location::current()) noexcept
      : index(index), at(at) {}
  unsigned index;
  std::source_location at;
};

}  // namespace detail

/// Watches a spawned task. Dropping it neither cancels nor detaches. Movable; any thread.
template <typename T>
class [[nodiscard("a handle observes its task; write (void) if you do not need it")]] task_handle {
 public:
  explicit task_handle(detail::spawned_result<T>& s) noexcept : task_(&s) {}
  task_handle(task_handle&& other) noexcept : task_(std::exchange(other.task_, nullptr)) {}
  task_handle& operator=(task_handle&& other) noexcept {
    std::swap(task_, other.task_);
    return *this;
  }
  ~task_handle() {
    if (task_ != nullptr) task_->drop_handle();
  }

  /// Asks this task alone to stop; returns at once.
  void cancel() noexcept { task_->ask_to_cancel(); }
  [[nodiscard]] bool done() const noexcept { return task_->has_ended(); }

  /// Waits for the end and takes the outcome: once, by one task. An exception cancels the scope all
  /// the same. The newest fork of this core begins at once, inside of the caller. Cancel: the
  /// joined task goes on.
  [[nodiscard]] detail::join_awaiter<T> join() noexcept;

 private:
  detail::spawned_result<T>* task_;
};

class scope : private detail::joiner {
 public:
  /// How long all on_exit handlers of one scope may take together.
  static constexpr std::chrono::seconds exit_limit{10};

  scope(const scope&) = delete;
  scope& operator=(const scope&) = delete;

  /// Starts fn(args…) as a task with the affinity of the caller. A bound one runs here, when the
  /// caller waits, in the order of spawning. A free one is a fork: the newest runs first, and other
  /// cores may take the oldest at once. fn and args are moved into the task; std::ref is explicit.
  /// A lambda that is a coroutine is kept alive. In a cancelled scope the task starts cancelled.
  /// The location is what reports call the task by; pass a lambda where more than four arguments
  /// are needed. Errors: std::bad_alloc, and what calling fn throws; then nothing was started. Each
  /// takes 260 bytes or more until it ends, begun or not; 355 if it waits for an event, more for
  /// large args or locals and for the tasks that it awaits. A semaphore bounds how many there are.
  template <typename Fn>
  auto spawn(Fn fn, std::source_location at = std::source_location::current()) {
    return start(nullptr, at, std::move(fn));
  }
  template <typename Fn, typename A>
  auto spawn(Fn fn, A a, std::source_location at = std::source_location::current()) {
    return start(nullptr, at, std::move(fn), std::move(a));
  }
  template <typename Fn, typename A, typename B>
  auto spawn(Fn fn, A a, B b, std::source_location at = std::source_location::current()) {
    return start(nullptr, at, std::move(fn), std::move(a), std::move(b));
  }
  template <typename Fn, typename A, typename B, typename C>
  auto spawn(Fn fn, A a, B b, C c, std::source_location at = std::source_location::current()) {
    return start(nullptr, at, std::move(fn), std::move(a), std::move(b), std::move(c));
  }
  template <typename Fn, typename A, typename B, typename C, typename D>
  auto spawn(Fn fn, A a, B b, C c, D d, std::source_location at = std::source_location::current()) {
    return start(nullptr, at, std::move(fn), std::move(a), std::move(b), std::move(c),
                 std::move(d));
  }

  /// The same on that core, where the task stays, as do the tasks that it starts. fn and args move
  /// there; a plain function that returns a task is called here, and only the task runs there.
  template <typename Fn, typename... Args>
  auto spawn_on(detail::core_from_here core, Fn fn, Args... args) {
    return start(&core_at(core.index), core.at, std::move(fn), std::move(args)...);
  }

  /// Runs fn(args…), a task, when all tasks have ended; in reverse order of registration, even if
  /// the scope was cancelled, under exit_limit. Errors: std::bad_alloc, then it is not registered.
  template <typename Fn, typename... Args>
  void on_exit(Fn fn, Args... args) {
    using call = exit_call<Fn, std::unwrap_ref_decay_t<Args>...>;
    add_exit(std::make_unique<call>(std::move(fn), std::move(args)...));
  }

  /// Level-triggered: each await in the body and in the tasks ends as stopped until the scope has
  /// ended.
  void cancel() noexcept;
  [[nodiscard]] bool cancelled() const noexcept {
    return cancelled_.load(std::memory_order_relaxed);
  }

  /// Tasks that have not ended yet, the body included.
  [[nodiscard]] std::size_t alive() const noexcept {
    const std::lock_guard hold(lock_);
    return alive_ - (touring_ ? 1 : 0);
  }

 protected:
  scope() = default;
  ~scope() = default;

  void open(detail::root& parent, std::coroutine_handle<> body) noexcept;
  void visit(detail::child_visitor visitor, void* context) noexcept;

  std::exception_ptr error_;  // the first; under lock_ until all have ended
  detail::root body_;
  bool returns_nothing_ = false;  // the body has no value that could be lost or kept

 private:
  struct exit_node {
    virtual ~exit_node() = default;
    [[nodiscard]] virtual task<> call() = 0;
    std::unique_ptr<exit_node> next;
  };
  template <typename Fn, typename... Args>
  struct exit_call final : exit_node {
    template <typename... A>
    explicit exit_call(Fn f, A&&... a) : fn(std::move(f)), args(std::forward<A>(a)...) {}
    task<> call() override { return std::apply(fn, std::move(args)); }
    Fn fn;
    std::tuple<Args...> args;
  };

  template <typename Fn, typename... Args>
  auto start(detail::core* where, std::source_location at, Fn fn, Args... args) {
    using result_task = std::invoke_result_t<Fn&, std::unwrap_ref_decay_t<Args>...>;
    static_assert(detail::is_task<result_task>::value,
                  "spawn: the function must return a corespun::task");
    using call = detail::spawned_call<typename result_task::value_type, Fn,
                                      std::unwrap_ref_decay_t<Args>...>;
    static_assert(alignof(call) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__,
                  "spawn: fn or an argument is over-aligned; pass it in a std::unique_ptr");
    auto owned = std::make_unique<call>(std::move(fn), std::move(args)...);
    result_task body = owned->call();
    link(*owned, where, at, body.release());
    return task_handle<typename result_task::value_type>(*owned.release());
  }

  [[nodiscard]] detail::core& core_at(unsigned index) const;
  [[nodiscard]] detail::root& begun_parent() const {
    if (parent_ == nullptr) not_begun();
    return *parent_;
  }
  [[noreturn]] static void not_begun();
  void link(detail::spawned& s, detail::core* where, std::source_location at,
            std::coroutine_handle<> body) noexcept;
  std::coroutine_handle<> child_ended(detail::root& child) noexcept override;
  void spawned_ended(detail::spawned& s) noexcept;
  void fail(std::exception_ptr error) noexcept;
  void one_less() noexcept;
  void all_ended() noexcept;
  void carry_out_cancel() noexcept;
  void add_exit(std::unique_ptr<exit_node> exit);
  [[nodiscard]] std::unique_ptr<exit_node> next_exit() noexcept;
  task<> run_exits();

  detail::root* parent_ = nullptr;
  mutable detail::spin_lock lock_;  // guards what follows
  detail::spawned* tasks_ = nullptr;
  std::size_t alive_ = 0;  // tasks, the body, a cancel that travels
  bool touring_ = false;  // the latter
  std::unique_ptr<exit_node> exits_;
  std::optional<task<>>
      exit_run_;  // runs them; made with the first, so that the end needs no memory
  detail::root exit_root_;
  std::atomic<bool> cancelled_{false};  // set once, by any thread
  detail::cancel_tour<scope> tour_;
};

namespace detail {

template <typename T, typename Fn>
class scope_awaiter final : public scope {
 public:
  explicit scope_awaiter(Fn&& fn) noexcept : fn_(std::move(fn)) {
    returns_nothing_ = std::is_void_v<T>;
  }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <typename Promise>
  [[nodiscard]] std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) {
    root& parent = *self.promise().owner;
    if (parent.stops_at(self)) return std::noop_coroutine();
    // may throw: then nothing was begun, and the await throws
    auto body = fn_(static_cast<scope&>(*this));
    const std::coroutine_handle<> frame = body.release();
    open(parent, frame);
    if (!parent.begin_owning_wait(self, this, kind)) cancel();
    parent.home().goes_on(body_);
    return frame;
  }
  T await_resume() {
    if (error_) std::rethrow_exception(std::move(error_));
    if constexpr (!std::is_void_v<T>) return take_value<T>(body_.outermost());
  }

 private:
  static constexpr wait_kind kind{
      "scope", [](root&, void* self) noexcept { static_cast<scope_awaiter*>(self)->cancel(); },
      [](void* self, child_visitor v, void* context) {
        static_cast<scope_awaiter*>(self)->visit(v, context);
      }};

  Fn fn_;
};

template <typename T, typename Fn>
class [[nodiscard]] scope_call {
 public:
  explicit scope_call(Fn&& fn) noexcept : fn_(std::move(fn)) {}
  scope_awaiter<T, Fn> operator co_await() && noexcept {
    return scope_awaiter<T, Fn>(std::move(fn_));
  }

 private:
  Fn fn_;
};

template <typename T>
class join_awaiter {
 public:
  explicit join_awaiter(spawned_result<T>& s) noexcept : task_(&s) {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <typename Promise>
  [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> self) noexcept {
    return task_->wait_for_end(*self.promise().owner, self, this, kind);
  }
  outcome<T> await_resume() { return task_->take(); }

 private:
  spawned_result<T>* task_;

  static constexpr wait_kind kind{"join", [](root& waiter, void* self) noexcept {
                                    if (static_cast<join_awaiter*>(self)->task_->forget(waiter))
                                      waiter.stop();
                                  }};
};

}  // namespace detail

template <typename T>
detail::join_awaiter<T> task_handle<T>::join() noexcept {
  return detail::join_awaiter<T>(*task_);
}

/// Opens a scope, runs fn(scope&), a task, as its body, and returns what the body returned when all
/// tasks have ended. fn is kept alive meanwhile.
template <typename Fn>
[[nodiscard]] auto with_scope(Fn fn) {
  using body = std::invoke_result_t<Fn&, scope&>;
  static_assert(detail::is_task<body>::value,
                "with_scope: the function must return a corespun::task");
  return detail::scope_call<typename body::value_type, Fn>(std::move(fn));
}

namespace detail {

template <typename Fn>
auto scope_as_task(Fn fn) -> std::invoke_result_t<Fn&, scope&> {
  auto body = with_scope(std::move(fn));
  co_return co_await std::move(body);
}

/// fn(args…), or fn(scope&) in a scope of its own: what runs as main.
template <typename Fn, typename... Args>
auto main_task(Fn fn, Args... args) {
  if constexpr (sizeof...(Args) == 0 && std::is_invocable_v<Fn&, scope&>) {
    return scope_as_task(std::move(fn));
  } else {
    return call_in_task(std::move(fn), std::move(args)...);
  }
}

}  // namespace detail
}  // namespace corespun
