#pragma once
// root: what the scheduler knows of a task that runs on its own, and the joiner that waits for it.
//
// A chain of awaiting coroutines is one root. Only its innermost coroutine, the leaf, is suspended
// on something, so one queue node, one cancel flag and one result slot per chain are enough;
// waiting allocates nothing.
//
// Life of a wait
//   begin_wait()  the leaf suspends on something; from here on cancel() can reach it
//   complete()    what it waited for happened: the leaf becomes ready
//   stop()        the wait was given up: the frames end from the leaf outwards, up to the next
//                 catching await
// Exactly one of complete() and stop() follows each begin_wait().
//
// Threads: all members on the home core only, except complete_from_any_thread().

#include <corespun/runtime/detail/mail.hpp>

#include <coroutine>
#include <cstdint>
#include <exception>
#include <source_location>
#include <utility>

namespace corespun::detail {

class core;
class root;
struct task_await;

/// The part of a task's promise that does not depend on its type. At offset 0 of each promise.
struct promise_base {
  task_await* awaited_by = nullptr;  ///< nullptr: the outermost task of its root
  root* owner = nullptr;  ///< set when the task starts
  std::exception_ptr error;

  [[nodiscard]] static promise_base& of(std::coroutine_handle<> task) noexcept {
    // A promise of default alignment always stands at the same distance from the frame; task<T>
    // asserts it.
    return std::coroutine_handle<promise_base>::from_address(task.address()).promise();
  }
};

/// An await of a task, in the frame of the awaiting coroutine.
struct task_await {
  std::coroutine_handle<> child;  ///< owned; nullptr after the child was stopped
  std::coroutine_handle<> parent;
  bool catches_stop = false;  ///< stopping ends here: the parent goes on
};

using child_visitor = void (*)(void* context, root& child);

/// What a leaf can wait on; one constant per kind of wait.
struct wait_kind {
  /// for the report of waiting tasks: "sleep", "recv"
  const char* name;
  /// leads to complete() or stop(), now or later
  void (*cancel)(root& waiter, void* what) noexcept;
  /// the roots that this wait is for
  void (*visit)(void* what, child_visitor, void* context) = nullptr;
};

/// Owns roots and is told of their end.
class joiner {
 public:
  /// The outermost task of `child` has returned, thrown or been stopped. Runs on the joiner's core.
  /// Returns what to resume next; std::noop_coroutine() for nothing.
  [[nodiscard]] virtual std::coroutine_handle<> child_ended(root& child) noexcept = 0;

 protected:
  ~joiner() = default;
};

class root : public mail {
 public:
  root() = default;
  root(const root&) = delete;
  root& operator=(const root&) = delete;
  ~root() { destroy_frames(); }

  [[nodiscard]] core& home() const noexcept { return *home_; }
  [[nodiscard]] bool begun() const noexcept { return home_ != nullptr; }

  /// Takes the outermost task. The caller then resumes it, or makes this root ready.
  void adopt(core& home, joiner& owner, std::coroutine_handle<> outermost) noexcept {
    home_ = &home;
    owner_ = &owner;
    outermost_ = leaf_ = outermost;
    promise_base::of(outermost).owner = this;
  }

  // --- waiting ---

  /// The leaf suspends. False: this root is cancelled, the wait has already become a stop; do not
  /// start anything.
  [[nodiscard]] bool begin_wait(std::coroutine_handle<> leaf, void* what,
                                const wait_kind& kind) noexcept {
    leaf_ = leaf;
    if (cancelled_) {
      stop();
      return false;
    }
    what_ = what;
    kind_ = &kind;
    return true;
  }
  /// The same for a wait that also has to happen in a cancelled task (shield).
  void begin_shielded_wait(std::coroutine_handle<> leaf, void* what,
                           const wait_kind& kind) noexcept {
    leaf_ = leaf;
    what_ = what;
    kind_ = &kind;
  }
  void complete() noexcept;
  void stop() noexcept;
  /// complete() for those who may be on another core. The root must not be touched afterwards.
  void complete_from_any_thread() noexcept;
  /// The wait is over and the caller resumes the returned leaf itself, in place of complete().
  [[nodiscard]] std::coroutine_handle<> complete_inline() noexcept {
    kind_ = nullptr;
    return leaf_;
  }

  /// Level-triggered: this wait and every later one ends as stopped.
  void cancel() noexcept {
    if (cancelled_) return;
    cancelled_ = true;
    if (kind_ != nullptr) kind_->cancel(*this, what_);
  }
  [[nodiscard]] bool cancelled() const noexcept { return cancelled_; }

  // --- the end ---

  /// Called when the outermost task has returned. What to resume next.
  [[nodiscard]] std::coroutine_handle<> ended() noexcept;
  [[nodiscard]] bool was_stopped() const noexcept { return !outermost_; }
  [[nodiscard]] std::coroutine_handle<> outermost() const noexcept { return outermost_; }
  [[nodiscard]] std::exception_ptr error() const noexcept {
    return outermost_ ? promise_base::of(outermost_).error : nullptr;
  }
  void destroy_frames() noexcept {
    if (outermost_) std::exchange(outermost_, nullptr).destroy();
  }

  // --- the scheduler ---

  /// Runs the leaf, or ends the frames if the wait was stopped.
  void resume() noexcept;
  /// What it waits for; nullptr if it runs or is ready.
  [[nodiscard]] const wait_kind* waits_for() const noexcept { return kind_; }
  void visit_children(child_visitor visitor, void* context) {
    if (kind_ != nullptr && kind_->visit != nullptr) kind_->visit(what_, visitor, context);
  }

  std::int32_t op_result = 0;  ///< of the last I/O operation: bytes or -errno
  std::uint32_t op_flags = 0;  ///< of the last I/O operation: the driver's
  /// where a scope was told to spawn it; line 0 for the branches of an await
  std::source_location site;

 private:
  void unwind() noexcept;

  core* home_ = nullptr;
  joiner* owner_ = nullptr;
  std::coroutine_handle<> outermost_;
  std::coroutine_handle<> leaf_;
  void* what_ = nullptr;  // the awaiter that the leaf is suspended on
  const wait_kind* kind_ = nullptr;  // nullptr: running, ready or ended
  bool cancelled_ = false;
  bool stopping_ = false;
};

/// Roots that can run, first in first out, linked by mail::next.
class ready_list {
 public:
  [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }
  [[nodiscard]] std::uint32_t size() const noexcept { return size_; }

  void push(root& r) noexcept {
    r.next = nullptr;
    (last_ != nullptr ? last_->next : first_) = &r;
    last_ = &r;
    ++size_;
  }

  [[nodiscard]] root& pop() noexcept {
    mail* const r = first_;
    first_ = r->next;
    if (first_ == nullptr) last_ = nullptr;
    --size_;
    return static_cast<root&>(*r);
  }

 private:
  mail* first_ = nullptr;
  mail* last_ = nullptr;
  std::uint32_t size_ = 0;
};

}  // namespace corespun::detail
