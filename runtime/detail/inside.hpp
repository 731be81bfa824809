#pragma once
// Coroutines inside of coroutines, for those that yield to who asks them.
//
//   asker ── resumes ──> innermost      the others are suspended, each on the inside<> that holds
//   the coroutine in it; when the innermost ends, the one around it goes on
//
// An element costs the same at each depth, since the asker resumes the innermost one directly: the
// outermost one knows it. No frame knows its asker, nor is it told to a function before something
// is inside: so a compiler may keep a simple coroutine's frame in registers (clang does).
//
// No recursion, whatever the depth: not to go on, nor for an exception, nor to destroy.
//
// A promise P has at its begin, at offset 0 of the promise
//   std::coroutine_handle<P> inner    of the outermost: the innermost, or nullptr: itself. Of
//                                     others only set while one begins in them.
//   inside<P>* within                 nullptr: the outermost
// and lets exceptions through (unhandled_exception() is throw_on()). Its `bool closing`, if it has
// one, is set before its frame is destroyed half way.

#include <corespun/runtime/detail/fatal.hpp>

#include <coroutine>
#include <exception>
#include <memory>
#include <type_traits>
#include <utility>

namespace corespun::detail {

/// throw; but the optimizer cannot tell that this never returns. If it could, clang would find that
/// the body of an endless loop never comes to its end, drop the final suspension, and with it the
/// mark that the coroutine has ended by the exception: its locals would be destroyed a second time
/// with its frame (LLVM bug 109542, open; seen with clang 19). docs/compilers.md has it.
inline void throw_on() {
  bool throws = true;
  asm("" : "+r"(throws));
  if (throws) throw;
}

/// A coroutine that has one inside waits for it on this, in its frame.
template <typename P>
class inside {
 public:
  using handle = std::coroutine_handle<P>;

  /// Owns the frame, which may have been asked before.
  explicit inside(handle inner) noexcept : inner_(inner) {}
  inside(const inside&) = delete;
  inside& operator=(const inside&) = delete;
  ~inside() {
    if (inner_) inner_.destroy();  // it has ended, or never began
  }

  [[nodiscard]] bool await_ready() const noexcept { return !inner_ || inner_.done(); }
  template <typename Promise>
  void await_suspend(std::coroutine_handle<Promise> outer) noexcept {
    outer_ = handle::from_address(outer.address());
    P& p = inner_.promise();
    p.within = this;
    const handle innermost = std::exchange(p.inner, nullptr);
    if (inner_ == outer_ || innermost == outer_)
      caller_bug("a coroutine is put inside of itself", "make another one for what is inside");
    outer_.promise().inner = innermost ? innermost : inner_;
  }
  void await_resume() {
    if (error_) std::rethrow_exception(std::move(error_));
  }

  /// The innermost goes on until it yields, and the ones around it when it ends. Returns the
  /// innermost then; nullptr: it is the turn of the outermost.
  [[nodiscard, gnu::noinline]] static handle go_on(handle innermost) {
    while (true) {
      P& p = innermost.promise();
      try {
        innermost.resume();
      } catch (...) {
        p.within->error_ = std::current_exception();
      }
      if (p.inner) {
        innermost = std::exchange(p.inner, nullptr);
      } else if (!innermost.done()) {
        return innermost;
      } else {
        innermost = p.within->outer_;
        if (innermost.promise().within == nullptr) return nullptr;
      }
    }
  }

  /// Destroys all that is inside of the outermost one, which the caller destroys then.
  [[gnu::noinline]] static void destroy_from(handle innermost) noexcept {
    while (true) {
      inside& i = *innermost.promise().within;
      i.inner_ = nullptr;
      const handle outer = i.outer_;
      if constexpr (requires { innermost.promise().closing; }) innermost.promise().closing = true;
      innermost.destroy();
      if (outer.promise().within == nullptr) return;
      innermost = outer;
    }
  }

 protected:
  [[nodiscard]] handle inner() const noexcept { return inner_; }

 private:
  handle inner_;
  handle outer_;
  std::exception_ptr error_;  // what it threw
};

/// The outermost goes on, or what is inside of it, until one yields or the outermost ends. Throws
/// what the outermost throws.
template <typename P>
[[gnu::always_inline]] inline void go_on(std::coroutine_handle<P> outermost) {
  P& p = outermost.promise();
  while (true) {
    if (p.inner) [[unlikely]] {
      p.inner = inside<P>::go_on(p.inner);
      if (p.inner) return;
    }
    outermost.resume();
    if (!p.inner) [[likely]]
      return;
  }
}

template <typename P>
[[gnu::always_inline]] inline void destroy_all(std::coroutine_handle<P> outermost) noexcept {
  if (const std::coroutine_handle<P> inner = outermost.promise().inner; inner) [[unlikely]]
    inside<P>::destroy_from(inner);
  outermost.destroy();
}

/// Values that registers hold: their copy is passed, since an address would bind the frame to
/// memory.
template <typename T>
concept small_value =
    std::is_trivially_copyable_v<T> && std::is_trivially_default_constructible_v<T> &&
    std::is_copy_constructible_v<T> && std::is_copy_assignable_v<T> && !std::is_const_v<T> &&
    sizeof(T) <= 2 * sizeof(void*);

/// What goes out of a coroutine, or into it: where it lies, until the other side goes on.
template <typename Ref>
class passed {
 public:
  void set(Ref element) noexcept { at_ = std::addressof(element); }
  [[nodiscard]] std::add_pointer_t<Ref> get() noexcept { return at_; }

 private:
  std::add_pointer_t<Ref> at_ = nullptr;
};
template <small_value T>
class passed<T&&> {
 public:
  void set(const T& element) noexcept { copy_ = element; }
  [[nodiscard]] T* get() noexcept { return &copy_; }

 private:
  T copy_{};
};

/// What co_yield awaits: the promise itself, so that the frame holds nothing for it.
#if defined(__clang__)
template <typename Promise>
using yields = Promise&;
#else
// g++ 12 copies an awaiter that is a reference.
template <typename Promise>
class yields {
 public:
  explicit yields(Promise& p) noexcept : promise_(p) {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  auto await_suspend(std::coroutine_handle<> self) noexcept { return promise_.await_suspend(self); }
  decltype(auto) await_resume() { return promise_.await_resume(); }

 private:
  Promise& promise_;
};
#endif

/// co_yield of an lvalue that is not to be moved from: of a copy.
template <typename Promise, typename Yielded>
class yields_copy {
  using value = std::remove_cvref_t<Yielded>;

 public:
  yields_copy(Promise& p, passed<Yielded>& element, const value& v)
      : promise_(p), element_(element), copy_(v) {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  auto await_suspend(std::coroutine_handle<> self) noexcept {
    element_.set(std::move(copy_));
    return promise_.await_suspend(self);
  }
  decltype(auto) await_resume() { return promise_.await_resume(); }

 private:
  Promise& promise_;
  passed<Yielded>& element_;
  value copy_;
};

/// co_yield of an element, for a promise that is what co_yield awaits. element() is where it goes.
template <typename Promise, typename Yielded>
class yields_elements : public Promise {
  using value = std::remove_cvref_t<Yielded>;

 public:
  yields<Promise> yield_value(Yielded e) noexcept {
    this->element().set(static_cast<Yielded>(e));
    return static_cast<yields<Promise>>(*this);
  }
  decltype(auto) yield_value(const value& e)
    requires(std::is_rvalue_reference_v<Yielded> && std::is_copy_constructible_v<value>)
  {
    if constexpr (small_value<value>) {
      this->element().set(e);
      return static_cast<yields<Promise>>(*this);
    } else {
      return yields_copy<Promise, Yielded>(*this, this->element(), e);
    }
  }
};

}  // namespace corespun::detail
