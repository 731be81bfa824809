#pragma once
// task<T>: a coroutine that runs on corespun.
//
//   task<int> twice(int x) { co_await yield(); co_return 2 * x; }
//   task<> caller() { int four = co_await twice(2); }
//
// Invariants
//   - Lazy: nothing runs before it is awaited or handed to a scope.
//   - Awaited once, by one task, which goes on when the body has ended (symmetric transfer, no
//     queue).
//   - T may be void, a reference, or move-only. An exception in the body is rethrown at the await.
//   - If the awaiting task is cancelled, the await ends as stopped: nothing is returned or thrown,
//     the frames are destroyed from the innermost outwards and their destructors run.
//   - Parameters taken by reference must outlive the task. A lambda that is a coroutine must
//     outlive it, too: pass such lambdas only where the documentation says that they are kept alive
//     (scope::spawn, with_scope, with_timeout).
// Errors: creating a task throws std::bad_alloc if there is no memory for its frame.
// Threads: a task object belongs to who made it; a running one to the core that runs it, which a
// co_await may change (affinity.hpp).

#include <corespun/runtime/detail/frame.hpp>
#include <corespun/runtime/detail/returned.hpp>
#include <corespun/runtime/detail/root.hpp>
#include <corespun/runtime/outcome.hpp>

#include <coroutine>
#include <exception>
#include <functional>
#include <type_traits>
#include <utility>

namespace corespun {

template <typename T>
class task;

namespace detail {

struct final_await {
  final_await() noexcept {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <typename Promise>
  [[nodiscard]] std::coroutine_handle<> await_suspend(
      std::coroutine_handle<Promise> self) const noexcept {
    const promise_base& p = self.promise();
    return p.awaited_by != nullptr ? p.awaited_by->parent : p.owner->ended();
  }
  void await_resume() const noexcept {}
};

struct promise_start : promise_base {
  std::suspend_always initial_suspend() const noexcept { return {}; }
  final_await final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { error = std::current_exception(); }

  static void* operator new(std::size_t bytes) { return allocate_frame(bytes); }
  static void operator delete(void* memory, std::size_t bytes) noexcept {
    release_frame(memory, bytes);
  }
};

template <typename T>
struct promise : promise_start, returned<T> {
  task<T> get_return_object() noexcept;
};

template <typename T>
[[nodiscard]] promise<T>& promise_of(std::coroutine_handle<> h) noexcept {
  static_assert(alignof(promise<T>) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__,
                "task<T>: T is over-aligned; return a std::unique_ptr<T> instead");
  return std::coroutine_handle<promise<T>>::from_address(h.address()).promise();
}

/// What the task returned, or throws what it threw. For tasks that have ended, not stopped.
template <typename T>
T take_value(std::coroutine_handle<> ended) {
  promise<T>& p = promise_of<T>(ended);
  if (p.error) std::rethrow_exception(std::move(p.error));
  return p.take();
}

/// The same without throwing; a null handle is a stopped task.
template <typename T>
outcome<T> take_outcome(std::coroutine_handle<> ended) {
  if (!ended) return {};
  promise<T>& p = promise_of<T>(ended);
  if (p.error) return outcome<T>::of_error(p.error);
  if constexpr (std::is_void_v<T>) {
    return outcome<T>::of({});
  } else if constexpr (std::is_reference_v<T>) {
    return outcome<T>::of(&p.take());
  } else {
    return outcome<T>::of(p.take());
  }
}

/// co_await of a task: calls it.
template <typename T>
class task_awaiter : protected task_await {
 public:
  explicit task_awaiter(std::coroutine_handle<> task) noexcept : task_await{task, {}, false} {}
  task_awaiter(task_awaiter&& other) noexcept
      : task_await{std::exchange(other.child, nullptr), {}, other.catches_stop} {}
  ~task_awaiter() {
    if (child) child.destroy();
  }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <typename Promise>
  [[nodiscard]] std::coroutine_handle<> await_suspend(
      std::coroutine_handle<Promise> self) noexcept {
    static_assert(std::is_base_of_v<promise_base, Promise>,
                  "a corespun task can only be awaited in a corespun task");
    parent = self;
    promise_base& p = promise_base::of(child);
    p.awaited_by = this;
    p.owner = self.promise().owner;
    return child;
  }
  T await_resume() { return take_value<T>(child); }
};

}  // namespace detail

template <typename T = void>
class [[nodiscard]] task {
 public:
  using promise_type = detail::promise<T>;
  using value_type = T;

  task(task&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  task& operator=(task&& other) noexcept {
    task old(std::exchange(frame_, std::exchange(other.frame_, nullptr)));
    return *this;
  }
  ~task() {
    if (frame_) frame_.destroy();
  }

  /// Runs the task and waits for its end. A task is awaited once: co_await std::move(t), or
  /// co_await f().
  detail::task_awaiter<T> operator co_await() && noexcept {
    return detail::task_awaiter<T>(release());
  }

  /// Gives the frame away; for those who run tasks.
  [[nodiscard]] std::coroutine_handle<> release() noexcept {
    if (!frame_)
      detail::caller_bug("a task is used twice", "await each task once; call the function again");
    return std::exchange(frame_, nullptr);
  }

 private:
  friend promise_type;
  explicit task(std::coroutine_handle<> frame) noexcept : frame_(frame) {}

  std::coroutine_handle<> frame_;
};

namespace detail {

template <typename T>
task<T> promise<T>::get_return_object() noexcept {
  return task<T>(std::coroutine_handle<promise>::from_promise(*this));
}

template <typename A>
decltype(auto) awaiter_of(A&& a) {
  if constexpr (requires { std::forward<A>(a).operator co_await(); }) {
    return std::forward<A>(a).operator co_await();
  } else {
    return std::forward<A>(a);
  }
}

/// What co_await of an A yields.
template <typename A>
using await_value = decltype(awaiter_of(std::declval<A>()).await_resume());

template <typename T>
struct is_task : std::false_type {};
template <typename T>
struct is_task<task<T>> : std::true_type {};

/// Any awaitable as a task. It is moved into the frame.
template <typename A>
task<await_value<A>> wrap_awaitable(A a) {
  co_return co_await std::move(a);
}

/// Calls a function that returns a task and keeps the function and its arguments alive until the
/// task has ended.
template <typename Fn, typename... Args>
auto call_in_task(Fn fn, Args... args) -> std::invoke_result_t<Fn, Args...> {
  auto inner = std::invoke(std::move(fn), std::move(args)...);
  co_return co_await std::move(inner);
}

/// What the combinators accept: a task, another awaitable, or a function that returns a task.
template <typename A>
auto to_task(A a) {
  if constexpr (is_task<A>::value) {
    return a;
  } else if constexpr (std::is_invocable_v<A>) {
    // A second frame keeps the function object alive; a lambda coroutine refers to it.
    static_assert(is_task<std::invoke_result_t<A>>::value,
                  "the function must return a corespun::task");
    return call_in_task(std::move(a));
  } else {
    return wrap_awaitable<A>(std::move(a));
  }
}

template <typename A>
using task_value = typename decltype(to_task(std::declval<A>()))::value_type;

}  // namespace detail
}  // namespace corespun
