#pragma once
// on_core: calls a function on another core and brings its result back.
//
//   std::size_t n = co_await on_core(2, [&] { return cache.size(); });
//   co_await on_core(owner, flush_to_disk, path);      // a task runs there as a bound task
//
// fn may return a task, which runs on that core as a bound task, or a value; then it is called in
// between other tasks and must be short. fn and args are moved into the await and used over there;
// std::ref is explicit. The result is moved back; references to what lives there are refused.
// Order: calls from one core to another begin in the order in which they were made.
// Deadlock: none by messages. A call that finds the mailbox full waits in the frame of its task,
// which waits for the answer in any case; answers wait in the same way. So calls may be nested in
// any way.
// Errors: what fn throws is rethrown at the await; std::bad_alloc.
// Cancel: the task over there is cancelled and awaited; if it returned all the same, the value is
// delivered. One that has not begun does not. A function cannot be interrupted.
// Threads: a task's own. A task that is free goes on on the core where it was, or is stolen there.

#include <corespun/runtime/detail/core.hpp>
#include <corespun/runtime/outcome.hpp>
#include <corespun/runtime/task.hpp>

#include <cstdint>
#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace corespun {
namespace detail {

/// The calls that a core has made and that are counted together; touched by that core only.
struct alignas(64) call_count {
  std::uint64_t begun = 0;
  std::uint64_t under_way = 0;
  root* waits_for_none = nullptr;  ///< a task, until none is under way
};

/// The part that does not depend on types: there, back, and the cancel that follows.
class core_call : private joiner {
 public:
  core_call(const core_call&) = delete;
  core_call& operator=(const core_call&) = delete;

 protected:
  core_call(unsigned core, bool is_function, call_count* counts) noexcept
      : index_(core), is_function_(is_function), counts_(counts) {}
  ~core_call() = default;

  /// What to resume: the leaf, if all is done, or nothing for now.
  [[nodiscard]] std::coroutine_handle<> start(root& parent, std::coroutine_handle<> leaf);

  // --- on the other core ---

  /// Returns the task that was made, or nothing: then the outcome is there.
  [[nodiscard]] virtual std::coroutine_handle<> call() noexcept = 0;
  /// The task has ended: takes its outcome and ends its frames.
  virtual void settle() noexcept = 0;

  [[nodiscard]] virtual bool was_stopped() const noexcept = 0;

  root child_;

 private:
  std::coroutine_handle<> child_ended(root& child) noexcept override;
  void begin() noexcept;
  void end() noexcept;
  void reach_child() noexcept;
  void follow_child() noexcept;
  void send_cancel_back() noexcept;

  // where the parent waits
  void come_home() noexcept;
  void cancel() noexcept;
  void cancel_came_back() noexcept;
  void finish() noexcept;
  static const wait_kind kind;

  const unsigned index_;
  const bool is_function_;  // not a task
  bool cancel_sent_ = false;
  bool cancel_is_out_ = false;
  bool ended_ = false;
  call_count* counts_;  // of each core; nullptr: it is not counted
  root* parent_ = nullptr;
  core* home_ = nullptr;  // where the parent waits
  core* there_ = nullptr;
  member_mail<core_call> call_mail_;  // there and back
  member_mail<core_call> cancel_mail_;
};

template <typename R>
struct called {
  using value = R;
  static constexpr bool is_task = false;
};
template <typename T>
struct called<task<T>> {
  using value = T;
  static constexpr bool is_task = true;
};

/// Call: a function without arguments, for the other core.
template <typename Call>
class core_call_awaiter final : private core_call {
  using result_of_call = called<std::invoke_result_t<Call&>>;
  using value = typename result_of_call::value;
  static_assert(!std::is_reference_v<value>,
                "on_core: a reference to what lives on another core; return a copy");

 public:
  core_call_awaiter(unsigned core, call_count* counts, Call&& call)
      : core_call(core, !result_of_call::is_task, counts), call_(std::move(call)) {}

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <typename Promise>
  [[nodiscard]] std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) {
    return start(*self.promise().owner, self);
  }
  value await_resume() { return std::move(outcome_).value(); }

 private:
  [[nodiscard]] std::coroutine_handle<> call() noexcept override {
    try {
      if constexpr (result_of_call::is_task) {
        auto made = call_();
        return made.release();
      } else if constexpr (std::is_void_v<value>) {
        call_();
        outcome_ = outcome<void>::of({});
      } else {
        outcome_ = outcome<value>::of(call_());
      }
    } catch (...) {
      outcome_ = outcome<value>::of_error(std::current_exception());
    }
    return nullptr;
  }
  void settle() noexcept override {
    try {
      outcome_ = take_outcome<value>(child_.outermost());
    } catch (...) {
      outcome_ = outcome<value>::of_error(std::current_exception());  // of moving the value
    }
    child_.destroy_frames();
  }
  [[nodiscard]] bool was_stopped() const noexcept override { return outcome_.stopped(); }

  Call call_;
  outcome<value> outcome_;
};

/// What on_core returns: the call, which begins when it is awaited.
template <typename Call>
class [[nodiscard]] core_call_request {
 public:
  core_call_request(unsigned core, call_count* counts, Call&& call)
      : core_(core), counts_(counts), call_(std::move(call)) {}
  core_call_awaiter<Call> operator co_await() && { return {core_, counts_, std::move(call_)}; }

 private:
  unsigned core_;
  call_count* counts_;
  Call call_;
};

/// fn(args…), once.
template <typename Fn, typename... Args>
class bound_call {
 public:
  template <typename... A>
  explicit bound_call(Fn&& fn, A&&... args) : fn_(std::move(fn)), args_(std::forward<A>(args)...) {}
  auto operator()() { return std::apply(fn_, std::move(args_)); }

 private:
  Fn fn_;
  std::tuple<std::unwrap_ref_decay_t<Args>...> args_;
};

}  // namespace detail

/// Calls fn(args…) on that core and yields what it returns, or what the task that it returns does.
template <typename Fn, typename... Args>
[[nodiscard]] auto on_core(unsigned core, Fn fn, Args... args) {
  using call = detail::bound_call<Fn, Args...>;
  return detail::core_call_request<call>(core, nullptr, call(std::move(fn), std::move(args)...));
}

}  // namespace corespun
