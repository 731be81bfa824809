#pragma once
// promise, future: one value or one exception, once, from any thread to a task, a callback or a
// thread. How code that calls back, or a thread of its own, answers a task.
//
//   promise<int> p;
//   future<int> f = p.get_future();
//   library.ask(question, [p = std::move(p)](int n) mutable { p.set_value(n); });
//   int answer = co_await std::move(f);
//
// Invariants
//   - Who waits is told once. A promise that goes without having been set is an error, never a
//     hang: its future throws std::system_error with errc::broken_promise.
//   - Setting a promise twice, taking its future twice and using a future twice are bugs and abort.
//   - Whatever was written before the promise was set is visible to who gets the value.
//   - A future that goes cancels nothing; the value goes when it comes.
// Memory: one block for both, allocated by the promise; then() allocates another one for fn.
// Threads: setting a promise, and all of a future: any. Each object is moved and destroyed by one
// thread at a time. A promise may go while another thread is still inside set_value().
// oneshot (oneshot.hpp) does the same between tasks without memory of its own.

#include <corespun/runtime/detail/shared_block.hpp>
#include <corespun/runtime/detail/wait_list.hpp>
#include <corespun/runtime/outcome.hpp>

#include <atomic>
#include <concepts>
#include <coroutine>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace corespun {

template <typename T>
class promise;

namespace detail {

/// What a promise and its future share, but for the value.
class promised : public shared_block {
 public:
  class waiting final : public first_come<waiting> {
   public:
    static constexpr const char* name = "future";
    explicit waiting(promised& p) noexcept : first_come(p.waiting_), of_(p) {}
    bool possible() noexcept override { return of_.is_set_.load(std::memory_order_relaxed); }
    void result() const noexcept {}

   private:
    promised& of_;
  };

  class callback {
   public:
    virtual ~callback() = default;
    virtual void call(promised& set) noexcept = 0;
  };

  /// When the value stands there; once.
  void set() noexcept;
  // U2
  [[nodiscard]] bool is_set() const noexcept { return is_set_.load(std::memory_order_acquire); }
  /// Blocks this thread.
  void wait_until_set() noexcept;
  void then(std::unique_ptr<callback> c) noexcept;

 private:
  spin_lock lock_;
  wait_list waiting_{lock_, "a future"};
  std::unique_ptr<callback> callback_;  // under the lock
  std::atomic<bool> is_set_{false};  // written under the lock; U2
};

template <typename T>
struct promised_value final : promised {
  static_assert(!std::is_reference_v<T>, "promise<T&>: promise a pointer instead");
  static_assert(alignof(outcome<T>) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__,
                "promise<T>: T is over-aligned; promise a std::unique_ptr<T> instead");
  std::optional<outcome<T>> value;  // made before set(), taken after it
};

[[nodiscard]] std::exception_ptr broken_promise() noexcept;
[[noreturn]] void promise_set_twice() noexcept;
[[noreturn]] void future_used_twice() noexcept;
[[noreturn]] void future_not_ready() noexcept;

template <typename T>
class future_await;

}  // namespace detail

template <typename T = void>
class [[nodiscard]] future {
 public:
  future(future&&) noexcept = default;
  future& operator=(future&&) noexcept = default;

  /// If true, nothing of what follows waits. Stays false for one that was used.
  [[nodiscard]] bool ready() const noexcept { return block_ && block_->is_set(); }

  /// co_await std::move(f): waits for the value, or throws the exception. Uses the future up.
  /// Cancel: the value is dropped when it comes; who still wants it waits by wait().
  [[nodiscard]] detail::future_await<T> operator co_await() && noexcept;

  /// Waits until it is ready, which the future has to live to see; also in select(). Cancel: leaves
  /// it unchanged.
  [[nodiscard]] detail::wait<detail::promised::waiting> wait() noexcept {
    return detail::wait<detail::promised::waiting>(present());
  }

  /// Calls fn(outcome<T>), once, on the thread that sets the promise; on this one, before then()
  /// returns, if that has happened. fn may not throw, and it is short: it runs in the midst of what
  /// the other thread does. Uses the future up. Errors: std::bad_alloc; then nothing was done.
  template <std::invocable<outcome<T>> Fn>
  void then(Fn fn) {
    struct kept final : detail::promised::callback {
      explicit kept(Fn&& f) : fn(std::move(f)) {}
      void call(detail::promised& set) noexcept override {
        std::invoke(fn, std::move(*static_cast<block&>(set).value));
      }
      Fn fn;
    };
    auto c = std::make_unique<kept>(std::move(fn));
    use()->then(std::move(c));
  }

  /// The value of one that is ready, or throws the exception; does not wait. Uses the future up.
  /// One that is not ready is a bug.
  T take() {
    if (!present().is_set()) detail::future_not_ready();
    const detail::owned_block<block> mine = use();
    return std::move(*mine->value).value();
  }

  /// Blocks this thread until there is a value, and returns it; or throws the exception. Uses the
  /// future up. Threads: any but those of cores, where it would hold up all that is to run there.
  T get() {
    const detail::owned_block<block> mine = use();
    mine->wait_until_set();
    return std::move(*mine->value).value();
  }

 private:
  friend promise<T>;
  friend detail::future_await<T>;
  using block = detail::promised_value<T>;

  explicit future(block* b) noexcept : block_(b) {}
  [[nodiscard]] block& present() const noexcept {
    if (!block_) detail::future_used_twice();
    return *block_;
  }
  [[nodiscard]] detail::owned_block<block> use() noexcept {
    (void)present();
    return std::move(block_);
  }

  detail::owned_block<block> block_;  // nullptr: it was used
};

template <typename T = void>
class promise {
 public:
  /// Errors: std::bad_alloc.
  promise() : promise(new block) {}
  promise(promise&& other) noexcept
      : unset_(other.unset_.exchange(nullptr, std::memory_order_relaxed)),
        future_(std::move(other.future_)) {}
  promise& operator=(promise&& other) noexcept {
    const promise old(std::move(*this));
    unset_.store(other.unset_.exchange(nullptr, std::memory_order_relaxed),
                 std::memory_order_relaxed);
    future_ = std::move(other.future_);
    return *this;
  }
  ~promise() {
    if (unset_.load(std::memory_order_relaxed) != nullptr) set_exception(detail::broken_promise());
  }

  /// Once; before or after it is set.
  [[nodiscard]] future<T> get_future() noexcept { return future<T>(future_.use().release()); }

  /// Tasks that wait become ready, and the callback is called. Errors: what making the value
  /// throws; then the promise is not set.
  template <typename U = T>
    requires(!std::is_void_v<T> && std::is_convertible_v<U &&, T>)
  void set_value(U&& value) {
    set([&] { return outcome<T>::of(T(std::forward<U>(value))); });
  }
  void set_value() noexcept
    requires std::is_void_v<T>
  {
    set([] { return outcome<T>::of({}); });
  }
  void set_exception(std::exception_ptr error) noexcept {
    set([&] { return outcome<T>::of_error(std::move(error)); });
  }

 private:
  using block = detail::promised_value<T>;

  explicit promise(block* b) noexcept : unset_(b), future_(b) {}

  // From where the block is set the promise may be gone.
  template <typename Make>
  void set(Make make) {
    detail::owned_block<block> b(unset_.exchange(nullptr, std::memory_order_relaxed));
    if (!b) detail::promise_set_twice();
    try {
      b->value.emplace(make());
    } catch (...) {
      unset_.store(b.release(), std::memory_order_relaxed);
      throw;
    }
    b->set();
  }

  std::atomic<block*> unset_;  // whoever takes it sets it; nullptr: set
  future<T> future_;
};

namespace detail {

template <typename T>
class [[nodiscard]] future_await {
 public:
  explicit future_await(future<T>&& f) noexcept : block_(f.use()), wait_(*block_) {}

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <typename Promise>
  [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> self) noexcept {
    return wait_.await_suspend(self);
  }
  T await_resume() { return std::move(*block_->value).value(); }

 private:
  owned_block<promised_value<T>> block_;
  wait<promised::waiting> wait_;
};

}  // namespace detail

template <typename T>
detail::future_await<T> future<T>::operator co_await() && noexcept {
  return detail::future_await<T>(std::move(*this));
}

}  // namespace corespun
