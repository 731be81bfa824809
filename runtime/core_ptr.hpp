#pragma once
// core_ptr<T>: owns a T that belongs to a core: made there, used there, destroyed there.
//
//   core_ptr<session> s = make_core_ptr<session>(id);             // on this core
//   auto n = co_await s.on([](session& s) { return s.messages(); });  // from any core
//
// The pointer itself may go anywhere, but may not outlive the runtime. Wherever it is dropped, ~T
// runs on the core of the T: at once there, else between other tasks. When the runtime ends, what
// was dropped too late for that is ended by the thread that ends it.
// Threads: as a std::unique_ptr, one at a time. * and -> only on the core of the T; a build without
// NDEBUG checks it.

#include <corespun/runtime/detail/core.hpp>
#include <corespun/runtime/detail/fatal.hpp>
#include <corespun/runtime/on_core.hpp>
#include <corespun/runtime/this_core.hpp>

#include <functional>
#include <utility>

namespace corespun {

template <typename T>
class core_ptr {
 public:
  core_ptr() noexcept {}
  core_ptr(core_ptr&& other) noexcept : owned_(std::exchange(other.owned_, nullptr)) {}
  core_ptr& operator=(core_ptr&& other) noexcept {
    core_ptr old(std::move(*this));
    owned_ = std::exchange(other.owned_, nullptr);
    return *this;
  }
  ~core_ptr() { reset(); }

  [[nodiscard]] explicit operator bool() const noexcept { return owned_ != nullptr; }
  /// The core of the T; there must be one.
  [[nodiscard]] unsigned core() const noexcept { return owned_->home.index(); }

  [[nodiscard]] T& operator*() const noexcept {
    check();
    return owned_->value;
  }
  [[nodiscard]] T* operator->() const noexcept { return &**this; }

  /// Calls fn(T&, args…) on the core of the T, as on_core does. The T must last until then.
  template <typename Fn, typename... Args>
  [[nodiscard]] auto on(Fn fn, Args... args) const {
    return on_core(core(), std::move(fn), std::ref(owned_->value), std::move(args)...);
  }

  /// Drops the T.
  void reset() noexcept {
    if (owned_ == nullptr) return;
    object& o = *std::exchange(owned_, nullptr);
    if (detail::core::current() == &o.home) {
      delete &o;
    } else {
      o.deliver = [](detail::mail& m) noexcept { delete &static_cast<object&>(m); };
      o.home.post(o);
    }
  }

  template <typename U, typename... Args>
  friend core_ptr<U> make_core_ptr(Args&&... args);

 private:
  struct object : detail::mail {
    template <typename... Args>
    explicit object(detail::core& here, Args&&... args)
        : home(here), value(std::forward<Args>(args)...) {}
    detail::core& home;
    T value;
  };

  void check() const noexcept {
#ifndef NDEBUG
    if (detail::core::current() != &owned_->home)
      detail::caller_bug("core_ptr: used on another core than that of its object",
                         "go there with on()");
#endif
  }

  object* owned_ = nullptr;
};

/// Makes a T(args…) that belongs to the core that runs the caller. Errors: what T() throws,
/// std::bad_alloc.
template <typename T, typename... Args>
[[nodiscard]] core_ptr<T> make_core_ptr(Args&&... args) {
  (void)this_core::index();  // this is a core
  core_ptr<T> p;
  p.owned_ =
      new typename core_ptr<T>::object(*detail::core::current(), std::forward<Args>(args)...);
  return p;
}

}  // namespace corespun
