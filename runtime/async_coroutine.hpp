#pragma once
// async_coroutine<Out, In, Ret>: a coroutine<> that may co_await; async_generator<T> is the one
// that only gives.
//
//   async_generator<std::string> lines(tcp_stream& from) {
//     while (true) {
//       std::string line = …co_await from.read_some(buffer)…;
//       if (line.empty()) co_return;
//       co_yield std::move(line);
//     }
//   }
//   auto all = lines(stream);
//   while (std::string* line = co_await all.next()) …
//   co_await for_each(lines(stream), print);
//
// As coroutine<>: next(), send() and throw_in() are awaited and end when it yields (not null, true)
// or has ended (nullptr, false); delegate(), state(), result(), close() and the errors are the
// same.
//
// Invariants
//   - It runs as a part of the task that asks: on its core, under its cancel and deadline.
//     Different tasks may ask, one after the other.
//   - When the asking task is cancelled while it awaits something, also by a limit of time for the
//     step, its frames are destroyed, from the innermost outwards, before those of the task. It has
//     ended then, and each later step throws errc::cancelled in a std::system_error, lest what is
//     missing be taken for the end.
//   - close(), or the destructor: the same where it stands at a co_yield. Clean-up that has to wait
//     belongs into scope::on_exit() or shield() of who asks.
// Memory: one frame; nothing per step.
// Threads: one at a time.

#include <corespun/runtime/coroutine.hpp>
#include <corespun/runtime/result.hpp>
#include <corespun/runtime/task.hpp>

#include <coroutine>
#include <exception>
#include <memory>
#include <system_error>
#include <type_traits>
#include <utility>
#include <variant>

namespace corespun {

template <typename Out = void, typename In = void, typename Ret = void>
class async_coroutine;

template <typename T>
using async_generator = async_coroutine<T>;

namespace detail {

[[noreturn]] inline void was_cancelled() {
  throw std::system_error(make_error_code(errc::cancelled),
                          "a step of a coroutine whose step before was cancelled");
}

/// Of those that take and give the same, and so can be inside of each other: each is awaited by the
/// one around it, the outermost by who asks.
template <typename Yielded, typename In>
struct async_promise : promise_start {
  using handle = std::coroutine_handle<async_promise>;
  async_promise* outermost = this;
  // of the outermost
  handle innermost = handle::from_promise(*this);  // goes on when it is asked
  passed<Yielded> yielded;
  bool started = false;
  bool running = false;
  bool has_thrown = false;
  // of the innermost
  passed<or_monostate<In>&&> sent;
  std::exception_ptr thrown_in;

  [[nodiscard]] passed<Yielded>& element() noexcept { return outermost->yielded; }

  // of a co_yield: who asks goes on
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  [[nodiscard]] std::coroutine_handle<> await_suspend(std::coroutine_handle<>) const noexcept {
    return outermost->awaited_by->parent;
  }
  In await_resume() {
    if (thrown_in) [[unlikely]]
      rethrow(thrown_in);
    if constexpr (!std::is_void_v<In>) return static_cast<In&&>(*sent.get());
  }
};

}  // namespace detail

template <typename Out, typename In, typename Ret>
class [[nodiscard]] async_coroutine {
 public:
  using yielded = detail::or_monostate<Out>&&;
  using input = detail::or_monostate<In>;
  using step = std::conditional_t<std::is_void_v<Out>, bool, std::add_pointer_t<yielded>>;

  class promise_type;
  template <typename Gift>
  class asks;

  async_coroutine(async_coroutine&& other) noexcept
      : frame_(other.release()), cancelled_(other.cancelled_) {}
  async_coroutine& operator=(async_coroutine&& other) noexcept {
    async_coroutine old(std::exchange(frame_, other.release()));
    cancelled_ = other.cancelled_;
    return *this;
  }
  ~async_coroutine() {
    if (is_running())
      detail::caller_bug("a coroutine is destroyed while a task waits for it",
                         "let the task end first");
    end();
  }

  /// co_await c.next(): starts it, or, if In is void, lets it go on.
  asks<std::monostate> next() { return {*this, {}}; }

  /// co_await c.send(value): the value of the co_yield where it stands.
  auto send(input value)
    requires(!std::is_void_v<In>)
  {
    return asks<sent_value>(*this, {std::move(value)});
  }

  /// co_await c.throw_in(error): the co_yield where it stands throws. One that has not started
  /// ends, and this throws.
  asks<std::exception_ptr> throw_in(std::exception_ptr error) { return {*this, std::move(error)}; }
  template <typename E>
    requires(!std::is_convertible_v<E, std::exception_ptr>)
  asks<std::exception_ptr> throw_in(E error) {
    return throw_in(std::make_exception_ptr(std::move(error)));
  }

  /// Ends it where it stands. A second time: nothing.
  void close() {
    detail::must_not_run(is_running(), "close()");
    if (!is_closed()) end();
    cancelled_ = false;
  }

  [[nodiscard]] coroutine_state state() const noexcept {
    if (is_running()) return coroutine_state::running;
    if (is_closed()) return coroutine_state::closed;
    return frame_.promise().started ? coroutine_state::suspended : coroutine_state::created;
  }

  /// What it has returned.
  [[nodiscard]] decltype(auto) result() {
    if (!frame_ || !frame_.done() || frame_.promise().has_thrown) detail::has_no_result();
    return std::coroutine_handle<promise_type>::from_address(frame_.address()).promise().get();
  }

 private:
  template <typename Coroutine>
  friend class delegate;
  using promise = detail::async_promise<yielded, In>;
  using handle = typename promise::handle;
  static_assert(!std::is_reference_v<In>,
                "async_coroutine: send a pointer in place of a reference");
  struct sent_value {
    input value;
  };
  explicit async_coroutine(handle frame) noexcept : frame_(frame) {}

  [[nodiscard]] bool is_running() const noexcept { return frame_ && frame_.promise().running; }
  [[nodiscard]] bool is_closed() const noexcept { return !frame_ || frame_.done(); }

  [[nodiscard]] handle release() noexcept {
    if (is_running())
      detail::caller_bug("a coroutine is moved while a task waits for it",
                         "let the step end first; keep it where nothing moves it");
    return std::exchange(frame_, nullptr);
  }

  void end() noexcept {
    if (!frame_) return;
    const handle outermost = frame_;
    outermost.promise().running = true;  // to what it holds
    handle at = outermost.promise().innermost;
    while (at != outermost) {
      detail::task_await& by = *at.promise().awaited_by;
      by.child = nullptr;
      at.destroy();
      at = handle::from_address(by.parent.address());
    }
    outermost.destroy();
    frame_ = nullptr;
  }

  handle frame_;
  bool cancelled_ = false;  // and that was its end
};

/// A step, to be awaited at once. Gift: what goes in: nothing, a value or an exception.
template <typename Out, typename In, typename Ret>
template <typename Gift>
class [[nodiscard]] async_coroutine<Out, In, Ret>::asks : private detail::task_await {
 public:
  asks(async_coroutine& of, Gift&& gift) : of_(of), gift_(std::move(gift)) {}
  asks(asks&& not_awaited) : of_(not_awaited.of_), gift_(std::move(not_awaited.gift_)) {}
  ~asks() {
    if (!parent || child) return;
    of_.frame_ = nullptr;  // stopped: its frames are gone
    of_.cancelled_ = true;
  }

  /// True: it has ended.
  [[nodiscard]] bool await_ready() {
    detail::must_not_run(of_.is_running(), "a step");
    if constexpr (std::is_same_v<Gift, std::exception_ptr>) {
      if (!gift_) throw std::logic_error("throw_in() of no exception");
      if (of_.state() == coroutine_state::created) of_.end();
      if (of_.is_closed()) std::rethrow_exception(std::move(gift_));
    } else {
      if (of_.cancelled_) detail::was_cancelled();
      if (of_.is_closed()) return true;
      if constexpr (std::is_same_v<Gift, sent_value>) {
        if (!of_.frame_.promise().started) detail::has_not_started();
      } else if constexpr (!std::is_void_v<In>) {
        if (of_.frame_.promise().started) detail::waits_for_a_value();
      }
    }
    return false;
  }
  template <typename Promise>
  [[nodiscard]] std::coroutine_handle<> await_suspend(
      std::coroutine_handle<Promise> self) noexcept {
    static_assert(std::is_base_of_v<detail::promise_base, Promise>,
                  "an async_coroutine can only be asked in a corespun task");
    parent = self;
    child = of_.frame_;
    promise& p = of_.frame_.promise();
    promise& goes_on = p.innermost.promise();
    p.awaited_by = this;
    p.started = p.running = true;
    goes_on.owner = self.promise().owner;
    if constexpr (std::is_same_v<Gift, std::exception_ptr>) {
      goes_on.thrown_in = std::move(gift_);
    } else if constexpr (std::is_same_v<Gift, sent_value>) {
      goes_on.sent.set(std::move(gift_.value));
    }
    return p.innermost;
  }
  step await_resume() {
    if (!child) return {};  // it had ended
    promise& p = of_.frame_.promise();
    p.running = false;
    if (p.error) {
      p.has_thrown = true;
      std::rethrow_exception(std::exchange(p.error, nullptr));
    }
    if constexpr (std::is_void_v<Out>) {
      return !of_.frame_.done();
    } else {
      return of_.frame_.done() ? nullptr : p.yielded.get();
    }
  }

 private:
  async_coroutine& of_;
  [[no_unique_address]] Gift gift_;
};

template <typename Out, typename In, typename Ret>
class async_coroutine<Out, In, Ret>::promise_type
    : public detail::yields_elements<
          detail::async_promise<typename async_coroutine<Out, In, Ret>::yielded, In>,
          typename async_coroutine<Out, In, Ret>::yielded>,
      public detail::returned<Ret> {
  using base = detail::async_promise<yielded, In>;

 public:
  async_coroutine get_return_object() noexcept {
    static_assert(alignof(promise_type) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__,
                  "async_coroutine: Ret is over-aligned; return a std::unique_ptr instead");
    return async_coroutine(base::handle::from_promise(*this));
  }
};

/// co_await delegate(inner()), in an async_coroutine of the same Out and In.
template <typename Out, typename In, typename Ret>
class [[nodiscard]] delegate<async_coroutine<Out, In, Ret>> {
  using inner_type = async_coroutine<Out, In, Ret>;
  using promise = typename inner_type::promise;

 public:
  class awaiter : private detail::task_await {
   public:
    explicit awaiter(std::coroutine_handle<> inner) noexcept
        : detail::task_await{inner, {}, false} {}
    awaiter(const awaiter&) = delete;
    awaiter& operator=(const awaiter&) = delete;
    ~awaiter() {
      if (child) child.destroy();
    }

    [[nodiscard]] bool await_ready() const {
      detail::can_delegate_to(bool(child), false,  // one that runs cannot be moved here
                              child && !std::is_void_v<In> && inner().started && !child.done());
      if (inner().has_thrown) detail::has_no_result();
      return child.done();
    }
    template <typename Promise>
    [[nodiscard]] std::coroutine_handle<> await_suspend(
        std::coroutine_handle<Promise> self) noexcept {
      static_assert(std::is_base_of_v<promise, Promise>,
                    "delegate() in an async_coroutine of the same Out and In");
      parent = self;
      promise& goes_on = inner().innermost.promise();
      inner().awaited_by = this;
      goes_on.owner = self.promise().owner;
      goes_on.outermost = self.promise().outermost;
      goes_on.outermost->innermost = inner().innermost;
      return inner().innermost;
    }
    Ret await_resume() {
      if (parent) goes_on_around();
      if (inner().error) std::rethrow_exception(std::move(inner().error));
      return std::coroutine_handle<typename inner_type::promise_type>::from_address(child.address())
          .promise()
          .take();
    }

   private:
    /// It takes over what the inner one has learned: who asks, and the outermost.
    void goes_on_around() noexcept {
      promise& around = promise::handle::from_address(parent.address()).promise();
      around.owner = inner().owner;
      around.outermost = inner().outermost;
      around.outermost->innermost = promise::handle::from_promise(around);
    }
    [[nodiscard]] promise& inner() const noexcept {
      return promise::handle::from_address(child.address()).promise();
    }
  };

  explicit delegate(inner_type&& to) noexcept : to_(std::move(to)) {}
  awaiter operator co_await() && noexcept { return awaiter(std::exchange(to_.frame_, nullptr)); }

 private:
  inner_type to_;
};

/// Awaits fn(element) for each element, or calls it, if it returns no task.
template <typename T, typename Fn>
task<> for_each(async_generator<T> all, Fn fn) {
  using element = typename async_generator<T>::yielded;
  while (true) {
    auto* const e = co_await all.next();
    if (e == nullptr) co_return;
    if constexpr (detail::is_task<std::invoke_result_t<Fn&, element>>::value) {
      auto work = std::invoke(fn, static_cast<element>(*e));
      co_await std::move(work);
    } else {
      static_assert(std::is_void_v<std::invoke_result_t<Fn&, element>>,
                    "for_each: fn returns a task or nothing");
      std::invoke(fn, static_cast<element>(*e));
    }
  }
}

}  // namespace corespun
