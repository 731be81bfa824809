#pragma once
// coroutine<Out, In, Ret>: a coroutine that is asked, step by step, by who holds it: out come
// values, in go values, in the end comes a result.
//
//   coroutine<double, double, int> average() {
//     double sum = 0;
//     int count = 0;
//     for (double x = co_yield 0; x >= 0; x = co_yield sum / count) { sum += x; ++count; }
//     co_return count;
//   }
//   auto c = average();
//   c.next();            // runs it to its first co_yield; points to 0
//   c.send(4.0);         // co_yield is 4.0 there; points to the next that is yielded: 4.0
//   c.send(-1.0);        // nullptr: it has ended
//   c.result();          // 1
//
// Out void: it only takes; x = co_yield {}, and next() and send() tell whether it goes on;
// started() makes one that waits for its first value. In void: it only gives, and next() asks for
// each. Both may be references. The mere coroutine<> is one that others switch to: co_await
// transfer_to(other).
//
// Invariants
//   - Lazy: nothing runs before next(). A yielded value lives until the coroutine goes on.
//   - next(), send() and throw_in() end when it yields (not null, true) or has ended (nullptr,
//     false); what its body throws they throw, and it has ended then. One that has ended stays so:
//     send() then drops its value, throw_in() throws.
//   - co_await delegate(inner) is the inner coroutine's result. Until it ends, what is sent, thrown
//     in and closed goes to the inner one, and what that yields comes out. A step costs the same at
//     each depth.
//   - close(), or the destructor: it ends where it stands. Its frames are destroyed from the
//     innermost outwards, destructors run, and so does what on_close() holds. It cannot prevent
//     that, nor yield meanwhile.
// Errors: std::logic_error, which changes nothing, for what makes no sense: send() to one that has
// not started, next() of one that waits for a value, all of them of one that runs (from its own
// body, or from its on_close()), result() without one. Destroyed by its own body, or delegated to
// while it runs: aborts.
// It cannot co_await tasks: that is refused by the compiler. async_coroutine can.
// Arguments are those of a coroutine: references must outlive it, and so must a lambda that is one.
// Threads: one at a time.
// Long, since it is one class and the three things that its body may co_await.

#include <corespun/runtime/detail/fatal.hpp>
#include <corespun/runtime/detail/frame.hpp>
#include <corespun/runtime/detail/inside.hpp>
#include <corespun/runtime/detail/returned.hpp>

#include <coroutine>
#include <cstddef>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

namespace corespun {

template <typename Out = void, typename In = void, typename Ret = void>
class coroutine;

enum class coroutine_state {
  created,  ///< nothing has run yet
  running,  ///< it asks this itself, or who it has called does
  suspended,  ///< at a co_yield or a transfer_to()
  closed  ///< ended: returned, thrown, or closed
};

[[nodiscard]] constexpr const char* name_of(coroutine_state s) noexcept {
  switch (s) {
    case coroutine_state::created: return "created";
    case coroutine_state::running: return "running";
    case coroutine_state::suspended: return "suspended";
    case coroutine_state::closed: return "closed";
  }
  return "?";
}

/// co_await delegate(inner()): the inner coroutine takes the place of this one until it ends. It
/// must not have started, unless In is void.
template <typename Coroutine>
class [[nodiscard]] delegate {
 public:
  explicit delegate(Coroutine&& to) noexcept : to(std::move(to)) {}
  Coroutine to;
};

/// const auto guard = co_await on_close(fn): calls fn() if the coroutine is closed while the guard
/// lives; not if it returns or throws. fn may not throw.
template <typename Fn>
class [[nodiscard]] on_close {
 public:
  explicit on_close(Fn fn) noexcept : fn(std::move(fn)) {}
  Fn fn;
};

/// co_await transfer_to(other): the other coroutine goes on in place of this one, at the price of a
/// jump. This one goes on when somebody transfers to it. When one of them ends or yields, who had
/// asked the first one goes on, and only then may ask it again, or close it.
template <typename Ret>
class [[nodiscard]] transfer_to {
 public:
  explicit transfer_to(coroutine<void, void, Ret>& other) noexcept : other(other) {}
  coroutine<void, void, Ret>& other;
};

namespace detail {

// What makes no sense; each throws.
inline void must_not_run(bool runs, const char* what) {
  if (runs)
    throw std::logic_error(std::string(what) +
                           " of a coroutine that runs: it would have to run twice at once; let it "
                           "come to its next co_yield first");
}
[[noreturn]] inline void waits_for_a_value() {
  throw std::logic_error(
      "next() of a coroutine that waits for a value: its co_yield would have none; send() it one");
}
[[noreturn]] inline void has_not_started() {
  throw std::logic_error(
      "send() to a coroutine that has not started: no co_yield waits for the value; call next() "
      "first, which runs it to its first co_yield");
}
[[noreturn]] inline void has_no_result() {
  throw std::logic_error(
      "result() of a coroutine that has returned nothing: it goes on, was closed, or has thrown; "
      "ask it until it ends");
}
inline void can_delegate_to(bool exists, bool runs, bool waits_for_value) {
  if (!exists) throw std::logic_error("delegate() to a coroutine that was closed: make a new one");
  if (runs)
    caller_bug("delegate() to a coroutine that runs", "delegate to one that nobody else asks");
  if (waits_for_value)
    throw std::logic_error(
        "delegate() to a coroutine that has started: its co_yield would have no value; delegate to "
        "a new one");
}

[[noreturn, gnu::noinline]] inline void rethrow(std::exception_ptr& thrown_in) {
  std::rethrow_exception(std::exchange(thrown_in, nullptr));
}

/// What stands for void where a reference is needed.
template <typename T>
using or_monostate = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

/// On the stack of who asks: which coroutine runs for him. transfer_to() changes it.
template <typename P>
struct asker {
  P* runs;
};

class stays_asked {
 public:
  explicit stays_asked(bool& asked) noexcept : asked_(asked) { asked_ = true; }
  stays_asked(const stays_asked&) = delete;
  stays_asked& operator=(const stays_asked&) = delete;
  ~stays_asked() { asked_ = false; }

 private:
  bool& asked_;
};

/// Of the coroutines that take and give the same, and so can be inside of each other.
template <typename Yielded, typename In>
struct coroutine_promise {
  using handle = std::coroutine_handle<coroutine_promise>;
  handle inner{};
  inside<coroutine_promise>* within = nullptr;
  passed<Yielded> yielded;
  passed<or_monostate<In>&&> sent;
  std::exception_ptr thrown_in;
  asker<coroutine_promise>* asked_by = nullptr;  ///< of one that runs and may transfer
  coroutine_state state = coroutine_state::created;  ///< of the outermost
  bool has_thrown = false;
  bool closing = false;
  bool asked = false;  ///< who asked it still waits, though it may have transferred

  /// Which has yielded, or will go on, when the outermost is asked.
  [[nodiscard]] coroutine_promise& innermost() noexcept { return inner ? inner.promise() : *this; }
  [[nodiscard]] passed<Yielded>& element() noexcept { return yielded; }

  std::suspend_always initial_suspend() const noexcept { return {}; }
  std::suspend_always final_suspend() noexcept {
    state = coroutine_state::closed;
    return {};
  }
  void unhandled_exception() {
    state = coroutine_state::closed;
    has_thrown = true;
    throw_on();
  }

  // of a co_yield
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) noexcept { state = coroutine_state::suspended; }
  In await_resume() {
    if (thrown_in) [[unlikely]]
      rethrow(thrown_in);
    if constexpr (!std::is_void_v<In>) return static_cast<In&&>(*sent.get());
  }

  static void* operator new(std::size_t bytes) { return allocate_frame(bytes); }
  static void operator delete(void* memory, std::size_t bytes) noexcept {
    release_frame(memory, bytes);
  }
};

template <typename Promise, typename Fn>
class [[nodiscard]] close_guard {
 public:
  close_guard(const Promise& of, Fn&& fn) noexcept : of_(of), fn_(std::move(fn)) {}
  close_guard(const close_guard&) = delete;
  close_guard& operator=(const close_guard&) = delete;
  ~close_guard() {
    if (of_.closing) fn_();
  }

 private:
  const Promise& of_;
  Fn fn_;
};

template <typename Promise, typename Fn>
class makes_close_guard : public std::suspend_never {
 public:
  makes_close_guard(const Promise& of, Fn&& fn) noexcept : of_(of), fn_(std::move(fn)) {}
  close_guard<Promise, Fn> await_resume() noexcept { return {of_, std::move(fn_)}; }

 private:
  const Promise& of_;
  Fn fn_;
};

}  // namespace detail

template <typename Out, typename In, typename Ret>
class [[nodiscard]] coroutine {
 public:
  using yielded = detail::or_monostate<Out>&&;
  using input = detail::or_monostate<In>;
  /// What a step gives: where the yielded value is, nullptr at the end; or whether it goes on.
  using step = std::conditional_t<std::is_void_v<Out>, bool, std::add_pointer_t<yielded>>;

  class promise_type;

  coroutine(coroutine&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  coroutine& operator=(coroutine&& other) noexcept {
    coroutine old(std::exchange(frame_, std::exchange(other.frame_, nullptr)));
    return *this;
  }
  ~coroutine() {
    if (is_asked())
      detail::caller_bug("a coroutine is destroyed by what it runs itself",
                         "return from it, and destroy it where it is asked");
    end();
  }

  /// Starts it, or, if In is void, lets it go on.
  step next() {
    if (state() != coroutine_state::created) {
      if (std::is_void_v<In> ? !stands("next()") : must_have_ended("next()")) return {};
    }
    return go_on();
  }

  /// The value of the co_yield where it stands.
  step send(input value)
    requires(!std::is_void_v<In>)
  {
    if (!stands("send()")) return {};
    frame_.promise().innermost().sent.set(std::forward<input>(value));
    return go_on();
  }

  /// The co_yield where it stands throws. One that has not started ends, and this throws.
  step throw_in(std::exception_ptr error) {
    if (!error) throw std::logic_error("throw_in() of no exception");
    if (state() == coroutine_state::created) close();
    if (!stands("throw_in()")) std::rethrow_exception(std::move(error));
    frame_.promise().innermost().thrown_in = std::move(error);
    return go_on();
  }
  template <typename E>
    requires(!std::is_convertible_v<E, std::exception_ptr>)
  step throw_in(E error) {
    return throw_in(std::make_exception_ptr(std::move(error)));
  }

  /// Ends it where it stands. A second time: nothing.
  void close() {
    detail::must_not_run(is_asked(), "close()");
    if (state() != coroutine_state::closed) end();
  }

  [[nodiscard]] coroutine_state state() const noexcept {
    return frame_ ? frame_.promise().state : coroutine_state::closed;
  }

  /// What it has returned.
  [[nodiscard]] decltype(auto) result() {
    if (!frame_ || !frame_.done() || frame_.promise().has_thrown) detail::has_no_result();
    return std::coroutine_handle<promise_type>::from_address(frame_.address()).promise().get();
  }

 private:
  template <typename, typename, typename>
  friend class coroutine;
  using promise = detail::coroutine_promise<yielded, In>;
  using handle = typename promise::handle;
  explicit coroutine(handle frame) noexcept : frame_(frame) {}

  /// It runs, or another one to which it has transferred.
  [[nodiscard]] bool is_asked() const noexcept {
    return frame_ && (frame_.promise().state == coroutine_state::running || frame_.promise().asked);
  }
  /// Suspended, not ended; all else is an error.
  [[nodiscard]] bool stands(const char* what) const {
    const coroutine_state now = state();
    if (std::is_void_v<Out> && std::is_void_v<In>) detail::must_not_run(is_asked(), what);
    if (now == coroutine_state::suspended) [[likely]]
      return true;
    detail::must_not_run(now == coroutine_state::running, what);
    if (now == coroutine_state::created) detail::has_not_started();
    return false;
  }
  [[nodiscard]] bool must_have_ended(const char* what) const {
    if (stands(what)) detail::waits_for_a_value();
    return true;
  }

  step go_on() {
    const handle frame = frame_;  // the body may move this object
    promise& p = frame.promise();
    p.state = coroutine_state::running;
    if constexpr (std::is_void_v<Out> && std::is_void_v<In>) {
      const detail::stays_asked stays(p.asked);
      detail::asker<promise> me{&p};
      p.asked_by = &me;
      detail::go_on(frame);
      // One that was transferred to has delegated.
      for (promise* at = &p; me.runs != at && me.runs->inner;) {
        at = me.runs;
        detail::go_on(handle::from_promise(*at));
        if (at->inner) at->state = coroutine_state::suspended;
      }
    } else {
      detail::go_on(frame);
    }
    if (p.inner) [[unlikely]]
      p.state = coroutine_state::suspended;
    if constexpr (std::is_void_v<Out>) {
      return p.state != coroutine_state::closed;
    } else {
      return p.state != coroutine_state::closed ? p.innermost().yielded.get() : nullptr;
    }
  }

  void end() noexcept {
    if (!frame_) return;
    promise& p = frame_.promise();
    p.state = coroutine_state::running;  // to what it holds
    p.closing = true;
    detail::destroy_all(frame_);
    frame_ = nullptr;
  }

  handle frame_;
};

template <typename Out, typename In, typename Ret>
class coroutine<Out, In, Ret>::promise_type
    : public detail::yields_elements<
          detail::coroutine_promise<typename coroutine<Out, In, Ret>::yielded, In>,
          typename coroutine<Out, In, Ret>::yielded>,
      public detail::returned<Ret> {
  using base = detail::coroutine_promise<yielded, In>;

 public:
  coroutine get_return_object() noexcept {
    static_assert(alignof(promise_type) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__,
                  "coroutine: Ret is over-aligned; return a std::unique_ptr instead");
    return coroutine(base::handle::from_promise(*this));
  }

  /// co_await delegate(inner)
  template <typename R>
  class delegates : public detail::inside<base> {
    using inner_type = coroutine<Out, In, R>;

   public:
    explicit delegates(inner_type&& to) noexcept
        : detail::inside<base>(std::exchange(to.frame_, nullptr)) {}
    [[nodiscard]] bool await_ready() const {
      const auto inner = this->inner();
      detail::can_delegate_to(
          bool(inner),
          inner && (inner.promise().state == coroutine_state::running || inner.promise().asked),
          !std::is_void_v<In> && inner && inner.promise().state == coroutine_state::suspended);
      if (inner.promise().has_thrown) detail::has_no_result();
      return inner.done();
    }
    R await_resume() {
      detail::inside<base>::await_resume();
      return std::coroutine_handle<typename inner_type::promise_type>::from_address(
                 this->inner().address())
          .promise()
          .take();
    }
  };
  template <typename R>
  delegates<R> await_transform(delegate<coroutine<Out, In, R>> d) noexcept {
    return delegates<R>(std::move(d.to));
  }

  template <typename Fn>
  detail::makes_close_guard<base, Fn> await_transform(on_close<Fn> guard) noexcept {
    return {*this, std::move(guard.fn)};
  }

  class transfers {
   public:
    transfers(base& from, typename base::handle to) noexcept : from_(from), to_(to) {}
    [[nodiscard]] bool await_ready() const {
      if (!to_ || to_.done()) throw std::logic_error("transfer_to() a coroutine that has ended");
      detail::must_not_run(to_.promise().state == coroutine_state::running, "transfer_to()");
      if (from_.within != nullptr || to_.promise().inner)
        throw std::logic_error("transfer_to() between coroutines that delegate");
      return false;
    }
    [[nodiscard]] std::coroutine_handle<> await_suspend(std::coroutine_handle<>) noexcept {
      base& to = to_.promise();
      from_.state = coroutine_state::suspended;
      to.state = coroutine_state::running;
      to.asked_by = from_.asked_by;
      to.asked_by->runs = &to;
      return to_;
    }
    void await_resume() {
      if (from_.thrown_in) detail::rethrow(from_.thrown_in);
    }

   private:
    base& from_;
    typename base::handle to_;
  };
  template <typename R>
    requires(std::is_void_v<Out> && std::is_void_v<In>)
  transfers await_transform(transfer_to<R> t) noexcept {
    return transfers(*this, t.other.frame_);
  }
};

/// auto c = started(f()): has come to its first co_yield, so send() may follow. What that yields is
/// dropped.
template <typename Out, typename In, typename Ret>
[[nodiscard]] coroutine<Out, In, Ret> started(coroutine<Out, In, Ret> c) {
  (void)c.next();
  return c;
}

}  // namespace corespun
