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
// Exactly one end follows each wait that has begun: complete(), stop(), complete_inline() on the
// home core; elsewhere claim_wait(), and then wake() or resuming the leaf. What the woken task
// reads (op_result, will_stop()) is written before.
//
// next and deliver of the mail that a root is belong to whoever has it at present: a list of ready
// roots, an inbox, those that are pinned on a core, its joiner when it has ended.
//
// A root is bound to a core, or free: while it is ready any core may take it. A wait belongs to one
// core, home(), whose driver and timers it uses; it is cancelled there.
//
// C1: a cancel is never missed
//
//   canceller, any thread               the task, beginning to wait
//   1  cancelled_ = true    seq_cst     1  wait_ = the kind of wait    seq_cst
//   2  look at wait_        seq_cst     2  look at cancelled_          seq_cst
//   3  tell the home core, if it waits  3  stop at once, if it is set
//
// C3: a task that waits for its parts (a group) says so by a plain store. So a canceller may miss
// it; but a part that really waits has made step 1 since, and looks at the tasks above it, too. So
// does each part that the loop resumes, for those that never wait.
//
// C2: one ends the wait. On its home a wait is ended by plain stores. Another core that wakes a
// waiter takes wait_ by compare-and-swap; if at this time the home carries a cancel out, wait_
// says so, and the home makes the task ready when it no longer looks at the frame.
//
// Threads: what is not marked otherwise: only who runs the task, or the home core while it waits.

#include <corespun/runtime/detail/counters.hpp>
#include <corespun/runtime/detail/mail.hpp>

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <exception>
#include <source_location>
#include <span>
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
  /// Leads to complete() or stop(), now or later; on the home core, perhaps more than once, perhaps
  /// while another thread wakes the waiter. nullptr: a cancel does not end this wait.
  void (*cancel)(root& waiter, void* what) noexcept;
  /// the roots that this wait is for
  void (*visit)(void* what, child_visitor, void* context) = nullptr;
};

/// Owns roots and is told of their end.
class joiner {
 public:
  /// The outermost task of `child` has returned, thrown or been stopped, on the core that ran it.
  /// Returns what to resume next; std::noop_coroutine() for nothing.
  [[nodiscard]] virtual std::coroutine_handle<> child_ended(root& child) noexcept = 0;

 protected:
  ~joiner() = default;
};

class root : public mail {
 public:
  root() noexcept : above_(nullptr) {}
  /// Owns a task that is not begun: a part.
  explicit root(std::coroutine_handle<> outermost) noexcept
      : outermost_(outermost), is_part_(true) {}
  root(const root&) = delete;
  root& operator=(const root&) = delete;
  ~root() { destroy_frames(); }

  /// The core that runs it, or ran it last.
  [[nodiscard]] core& home() const noexcept { return *home_.load(std::memory_order_relaxed); }
  [[nodiscard]] bool begun() const noexcept {
    return home_.load(std::memory_order_relaxed) != nullptr;
  }
  /// Only by the one that will run it, runs it, or sends it there.
  void move_to(core& c) noexcept { home_.store(&c, std::memory_order_relaxed); }
  /// Never moves by itself.
  [[nodiscard]] bool bound() const noexcept { return bound_; }
  void bind(bool to_its_core) noexcept { bound_ = to_its_core; }

  /// Takes the outermost task. The caller then resumes it, or makes this root ready.
  void adopt(core& home, joiner& owner, std::coroutine_handle<> outermost, bool bound) noexcept {
    move_to(home);
    owner_ = &owner;
    outermost_ = leaf_ = outermost;
    what_ = nullptr;
    bound_ = bound;
    promise_base::of(outermost).owner = this;
  }

  /// The same for a part of a task that waits for it: a branch, the body of a scope. `above`: the
  /// parent, or nullptr if its cancel is not one of this part.
  void adopt(const root& parent, joiner& owner, std::coroutine_handle<> outermost,
             root* above) noexcept {
    adopt(parent.home(), owner, outermost, parent.bound());
    site = parent.site;
    above_ = above;
    is_part_ = true;
  }
  /// The same for parts that have their tasks.
  static void adopt_owned(std::span<root> parts, root& parent, joiner& owner) noexcept {
    core& home = parent.home();
    const bool bound = parent.bound();
    const std::source_location site = parent.site;
    for (root& part : parts) {
      part.move_to(home);
      part.owner_ = &owner;
      part.leaf_ = part.outermost_;
      part.bound_ = bound;
      part.site = site;
      part.above_ = &parent;
      promise_base::of(part.outermost_).owner = &part;
    }
  }
  void own(std::coroutine_handle<> not_begun) noexcept {
    outermost_ = not_begun;
    is_part_ = true;
  }
  [[nodiscard]] std::coroutine_handle<> release() noexcept {
    return std::exchange(outermost_, nullptr);
  }
  [[nodiscard]] bool is_part() const noexcept { return is_part_; }

  // --- waiting ---

  /// The leaf suspends; `what` is its awaiter. False: this root is cancelled, the wait has already
  /// become a stop; do not start anything.
  [[nodiscard]] bool begin_wait(std::coroutine_handle<> leaf, void* what,
                                const wait_kind& kind) noexcept {
    leaf_ = leaf;
    what_ = what;
    if (!cancelled_.load(std::memory_order_seq_cst)) {
      wait_.exchange(word_of(kind), std::memory_order_seq_cst);  // C1 step 1
      if (!cancelled_here_or_above()) return true;  // C1 step 2, C3
    }
    wait_.store(0, std::memory_order_relaxed);
    stop();
    return false;
  }
  /// For a wait that owns tasks: it begins in any case. False: cancelled; the caller cancels them.
  [[nodiscard]] bool begin_owning_wait(std::coroutine_handle<> leaf, void* what,
                                       const wait_kind& kind) noexcept {
    leaf_ = leaf;
    what_ = what;
    wait_.exchange(word_of(kind), std::memory_order_seq_cst);  // C1 step 1
    return !cancelled_here_or_above();  // C1 step 2, C3
  }
  /// The same for a wait for parts of this task alone.
  [[nodiscard]] bool begin_wait_for_parts(std::coroutine_handle<> leaf, void* what,
                                          const wait_kind& kind) noexcept {
    leaf_ = leaf;
    what_ = what;
    wait_.store(word_of(kind), std::memory_order_release);  // C3
    return !cancelled();
  }
  /// A cancelled task ends here, before it begins anything.
  [[nodiscard]] bool stops_at(std::coroutine_handle<> leaf) noexcept {
    if (!cancelled()) return false;
    leaf_ = leaf;
    stop();
    return true;
  }
  /// The same for a wait that also has to happen in a cancelled task (shield).
  void begin_shielded_wait(std::coroutine_handle<> leaf, void* what,
                           const wait_kind& kind) noexcept {
    leaf_ = leaf;
    what_ = what;
    wait_.store(word_of(kind), std::memory_order_relaxed);
  }
  /// Lets others go first.
  void yield(std::coroutine_handle<> leaf) noexcept {
    leaf_ = leaf;
    stopping_ = cancelled_here_or_above();
    complete();
  }
  /// Goes on on another core.
  void send(std::coroutine_handle<> leaf, core& there) noexcept {
    leaf_ = leaf;
    move_to(there);
    wake();
  }
  /// The same; what arrives there is not resumed but told by `arrived`, with what() at hand.
  void go_to(std::coroutine_handle<> leaf, void* what, core& there,
             void (*arrived)(mail&) noexcept) noexcept;
  [[nodiscard]] void* what() const noexcept { return what_; }
  /// Of a task that a scope spawned.
  [[nodiscard]] bool never_waited() const noexcept { return what_ == nullptr; }
  /// On the home core.
  void complete() noexcept;
  void stop() noexcept {
    stopping_ = true;
    complete();
  }
  /// complete() for those who may be on another core. The root must not be touched afterwards.
  void complete_from_any_thread() noexcept {
    if (claim_wait()) wake();
  }
  /// The wait is over and the caller resumes the returned leaf itself, in place of complete().
  [[nodiscard]] std::coroutine_handle<> complete_inline() noexcept {
    wait_.store(0, std::memory_order_relaxed);
    return leaf_;
  }
  /// Any thread: ends the wait; the caller makes it ready, or resumes the leaf. False: somebody
  /// else does, as soon as the home core has let go.
  [[nodiscard]] bool claim_wait() noexcept;
  /// Makes it ready from any thread, on this core if it is free to be here, else on its home.
  void wake() noexcept;
  /// When it goes on it ends as stopped.
  void will_stop() noexcept { stopping_ = true; }
  [[nodiscard]] std::coroutine_handle<> leaf() const noexcept { return leaf_; }

  /// Any thread. Level-triggered: this wait and every later one ends as stopped. If it waits on
  /// this core, that is carried out. If it waits on another one, that core is returned: there
  /// someone has to call carry_out_cancel(); else nullptr.
  [[nodiscard]] core* cancel() noexcept;
  /// On any core: ends the wait of a cancelled root if that is here.
  void carry_out_cancel() noexcept;
  /// The same in two steps, where a lock is held. True: it waits here and cannot go on before this
  /// core has called core::cancel_pinned(), whoever wakes it.
  [[nodiscard]] bool pin_wait() noexcept;
  /// For core::cancel_pinned().
  void cancel_pinned() noexcept;
  /// Any thread: the core where it waits, or nullptr. A glance, unless that is this core.
  [[nodiscard]] core* waits_on() const noexcept {
    return wait_.load(std::memory_order_seq_cst) != 0 ? &home() : nullptr;  // C1 step 2
  }
  [[nodiscard]] bool cancelled() const noexcept {
    return cancelled_.load(std::memory_order_relaxed);
  }
  /// Before it starts, or to have its next wait stop.
  void mark_cancelled() noexcept {
    cancelled_.store(true, std::memory_order_seq_cst);  // C1 step 1
  }

  // --- the end ---

  [[nodiscard]] joiner& owner() const noexcept { return *owner_; }
  /// Called when the outermost task has returned. What to resume next.
  [[nodiscard]] std::coroutine_handle<> ended() noexcept { return owner_->child_ended(*this); }
  [[nodiscard]] bool was_stopped() const noexcept { return !outermost_; }
  [[nodiscard]] std::coroutine_handle<> outermost() const noexcept { return outermost_; }
  [[nodiscard]] bool failed() const noexcept {
    return outermost_ && promise_base::of(outermost_).error;
  }
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
  [[nodiscard]] const wait_kind* waits_for() const noexcept {
    return kind_of(wait_.load(std::memory_order_acquire));
  }
  void visit_children(child_visitor visitor, void* context) {
    if (const wait_kind* const kind = waits_for(); kind != nullptr && kind->visit != nullptr)
      kind->visit(what_, visitor, context);
  }

  std::int32_t op_result;  ///< of the last I/O operation: bytes or -errno
  std::uint32_t op_flags;  ///< of the last I/O operation: the driver's
  /// branches that ended, and are counted when this one ends (when.hpp)
  std::uint32_t ended_before = 0;
  std::uint32_t behind;  ///< of a bound one that is ready: its place in line (ready_lane::pushed)
  /// where a scope was told to spawn it, or the task that it is a part of; line 0: main
  std::source_location site;

 private:
  friend class injection;
  void unwind() noexcept;
  /// C3. What is cancelled above is marked down to here.
  [[nodiscard]] bool cancelled_here_or_above() noexcept {
    root* marked = this;
    while (marked != nullptr && !marked->cancelled_.load(std::memory_order_seq_cst))
      marked = marked->above_;
    if (marked == nullptr) return false;
    for (root* r = this; r != marked; r = r->above_) r->mark_cancelled();
    return true;
  }

  // wait_ is the address of the kind with these marks, or 0: it runs, is ready or has ended.
  static constexpr std::uintptr_t busy = 1;  // its home carries a cancel out
  static constexpr std::uintptr_t woken = 2;  // and meanwhile the wait has ended
  [[nodiscard]] static std::uintptr_t word_of(const wait_kind& kind) noexcept {
    return reinterpret_cast<std::uintptr_t>(&kind);
  }
  [[nodiscard]] static const wait_kind* kind_of(std::uintptr_t word) noexcept {
    return reinterpret_cast<const wait_kind*>(word & ~(busy | woken));
  }

  std::atomic<core*> home_{nullptr};  // written by the core that takes it; read by cancellers
  std::atomic<std::uintptr_t> wait_{0};  // C1, C2
  std::coroutine_handle<> outermost_;
  // set by adopt(), or before
  root* above_;  // the task that waits for this part of it, or nullptr; C3
  joiner* owner_;
  std::coroutine_handle<> leaf_;
  void* what_;  // the awaiter that the leaf is suspended on
  std::atomic<bool> cancelled_{false};  // any thread sets it; C1
  bool stopping_ = false;
  bool bound_ = true;
  bool is_part_ = false;
};

/// Roots that can run, first in first out, linked by mail::next. Other threads may ask for its
/// size.
class ready_list {
 public:
  [[nodiscard]] bool empty() const noexcept { return all_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return size_.get(); }
  [[nodiscard]] root& first() const noexcept { return static_cast<root&>(all_.first()); }

  void push(root& r) noexcept {
    all_.push(r);
    size_.add();
  }
  [[nodiscard]] root& pop() noexcept {
    size_.set(size_.get() - 1);
    return static_cast<root&>(all_.pop());
  }

 private:
  mail_list all_;
  counter size_;
};

/// The same, last in first out.
class ready_stack {
 public:
  [[nodiscard]] bool empty() const noexcept { return top_ == nullptr; }
  [[nodiscard]] std::size_t size() const noexcept { return size_.get(); }
  [[nodiscard]] root& top() const noexcept { return static_cast<root&>(*top_); }

  void push(root& r) noexcept {
    r.next = std::exchange(top_, &r);
    size_.add();
  }
  [[nodiscard]] root& pop() noexcept {
    size_.set(size_.get() - 1);
    return static_cast<root&>(*std::exchange(top_, top_->next));
  }

 private:
  mail* top_ = nullptr;
  counter size_;
};

}  // namespace corespun::detail
