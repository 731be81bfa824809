#pragma once
// wait_list: how tasks wait for each other. Each primitive (event, mutex, channel, …) is a spin
// lock, some state, lists of waiters, and the waiters that say what a task needs.
//
//   waiter     one thing that a task waits for; embedded in the awaiter, so waiting allocates
//              nothing
//   wait_list  the waiters of a primitive, first come first served
//   granted    those that were given what they waited for; woken when the lock has been released
//   awaiting   the await itself: of one waiter, or (select) of several of which the first counts
//   wait       what the functions of a primitive return: an await of one waiter
//
// Rules
//   - State and lists of a primitive are touched under its lock only.
//   - Who claims an await decides it: the one who grants a waiter, or the cancel; each under the
//     lock of the waiter's list. So a hand-over and a cancel cannot both happen: what was handed
//     over is delivered, and what was cancelled leaves the primitive as if it had never come.
//   - An await of several (select) enters all lists under all locks. Decided by one, it stays in
//     the other lists until its task runs, or its cancel takes it out; who meets it there skips it.
//   - Tasks are woken outside of the lock. From then on the waiter may be gone.
//   - An await that needs no wait goes on inline, as long as the core allows it. The budget is
//     asked first: what was taken must not meet a cancel.

#include <corespun/runtime/detail/core.hpp>
#include <corespun/runtime/detail/spin_lock.hpp>

#include <atomic>
#include <mutex>
#include <type_traits>
#include <utility>

namespace corespun::detail {

class awaiting;
class granted;
class wait_list;

class waiter {
 public:
  /// nullptr: a timer, which belongs to its core and needs no lock.
  explicit waiter(wait_list* list) noexcept : list_(list) {}
  waiter(waiter&& before_it_waits) noexcept : list_(before_it_waits.list_) {}
  waiter& operator=(waiter&&) = delete;

  [[nodiscard]] spin_lock* guard() const noexcept;
  /// The next one of the same await; nullptr: it was the last.
  [[nodiscard]] waiter* also() const noexcept { return also_; }
  /// For select: all that it does before it is served is to stand in a list.
  static constexpr bool can_be_one_of_several = true;

  // --- under the lock ---

  /// It comes anew. True: it has what it needs. `g`: whom that served as well.
  [[nodiscard]] virtual bool try_now(granted& g) noexcept = 0;
  /// To the end of its list.
  virtual void enter() noexcept;
  /// Out of its list, if it is still there. `g`: whose way that cleared.
  virtual void leave(granted& g) noexcept;
  /// It is the first of its list: can it have what it needs?
  [[nodiscard]] virtual bool possible() noexcept { return false; }
  /// It has it.
  virtual void take(granted&) noexcept {}

 protected:
  ~waiter() = default;
  [[nodiscard]] awaiting& of() const noexcept { return *of_; }

  wait_list* list_;

 private:
  friend awaiting;
  friend granted;
  friend wait_list;

  awaiting* of_ = nullptr;
  waiter* also_ = nullptr;
  waiter* prev_ = nullptr;
  waiter* next_ = nullptr;
};

/// Declare it before the lock is taken: it wakes when it goes, after the lock has gone.
class granted {
 public:
  granted() noexcept {}
  granted(const granted&) = delete;
  granted& operator=(const granted&) = delete;
  ~granted() {
    if (first_ != nullptr) wake_all();
  }

  void add(waiter& w) noexcept {
    w.next_ = nullptr;
    (last_ != nullptr ? last_->next_ : first_) = &w;
    last_ = &w;
  }

 private:
  void wake_all() noexcept;

  waiter* first_ = nullptr;
  waiter* last_ = nullptr;
};

class wait_list {
 public:
  /// `of`: "a mutex", for the message to those who destroy it too early.
  wait_list(spin_lock& guard, const char* of) noexcept : guard_(guard), of_(of) {}
  wait_list(const wait_list&) = delete;
  wait_list& operator=(const wait_list&) = delete;
  ~wait_list() {
    if (!empty()) destroyed_too_early();
  }

  [[nodiscard]] spin_lock& guard() const noexcept { return guard_; }
  [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }
  void push(waiter& w) noexcept;
  /// Does nothing if it is not in the list.
  void remove(waiter& w) noexcept;
  /// Takes the first that is still waiting, for the caller to serve; nullptr: there is none.
  [[nodiscard]] waiter* claim_first() noexcept;
  /// Serves from the front whom it can.
  void grant(granted& g) noexcept {
    if (first_ != nullptr) grant_some(g);
  }

 private:
  void grant_some(granted& g) noexcept;
  [[noreturn]] void destroyed_too_early() const noexcept;

  waiter* first_ = nullptr;
  waiter* last_ = nullptr;
  spin_lock& guard_;
  const char* of_;
};

inline spin_lock* waiter::guard() const noexcept {
  return list_ != nullptr ? &list_->guard() : nullptr;
}

class awaiting {
 public:
  awaiting(const awaiting&) = delete;
  awaiting& operator=(const awaiting&) = delete;

  /// Under the lock of w's list; true for one only.
  [[nodiscard]] bool claim(waiter* w) noexcept {
    waiter* nobody = nullptr;
    if (first_->also_ != nullptr)
      return decided_.compare_exchange_strong(nobody, w, std::memory_order_relaxed);
    if (decided_.load(std::memory_order_relaxed) != nullptr) return false;  // one lock guards it
    decided_.store(w, std::memory_order_relaxed);
    return true;
  }

  [[nodiscard]] root& task() const noexcept { return *task_; }
  /// By the one who claimed it, outside of all locks.
  virtual void wake() noexcept { task_->complete_from_any_thread(); }

 protected:
  awaiting() noexcept {}
  ~awaiting() = default;

  /// Before it begins: one more thing to wait for.
  void add(waiter& w) noexcept;
  /// Whether the task may go on without a wait, if there is something to be had.
  [[nodiscard]] static bool may_go_on(root& task) noexcept {
    return !task.cancelled() && task.home().may_go_on_inline();
  }
  /// True: one of them was served. False: none; with `stay` all are in their lists.
  [[nodiscard]] bool settle(bool stay) noexcept;
  void suspend(root& task, std::coroutine_handle<> leaf, const wait_kind& kind) noexcept;
  /// The task goes on: out of the lists of those that were not served. Timers have left before.
  void leave_lists() noexcept;
  static void cancel(root& task, void* self) noexcept;

  root* task_ = nullptr;
  waiter* first_ = nullptr;
  std::atomic<waiter*> decided_{nullptr};  // the one that was served, or the mark of a cancel
  bool entered_ = false;

 private:
  class all_locked;
};

/// The usual waiter: first come, first served. Op is final and has possible() and take().
template <typename Op>
class first_come : public waiter {
 public:
  /// Op may say no: it takes nothing away from those in the list.
  static constexpr bool in_turn = true;

  explicit first_come(wait_list& list) noexcept : waiter(&list) {}
  [[nodiscard]] bool try_now(granted& g) noexcept override {
    Op& op = static_cast<Op&>(*this);
    if ((Op::in_turn && !list_->empty()) || !op.possible()) return false;
    op.take(g);
    return true;
  }
};

/// Op is a waiter with a name and a result(), which the await yields.
template <typename Op>
class [[nodiscard]] wait : private awaiting {
 public:
  template <typename... Args>
    requires std::is_constructible_v<Op, Args&&...>
  explicit wait(Args&&... args) noexcept : op_(std::forward<Args>(args)...) {}
  wait(wait&& before_it_begins) noexcept : op_(std::move(before_it_begins.op_)) {}

  // Even what is there at once is taken in await_suspend: a cancelled task stops at each await.
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <typename Promise>
  [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> self) noexcept {
    root& task = *self.promise().owner;
    if (may_go_on(task) && try_now()) return false;
    add(op_);
    suspend(task, self, kind);
    return true;
  }
  decltype(auto) await_resume() { return op_.result(); }

  /// The same for a task that has waited for something else and goes on to wait for this. From here
  /// on no cancel reaches it. Any thread.
  void follow(root& task) noexcept {
    task_ = &task;
    add(op_);
    if (settle(true)) task.complete_from_any_thread();
  }

  /// For select, which waits for it in its own way.
  [[nodiscard]] Op&& release() && noexcept { return std::move(op_); }

 private:
  [[nodiscard]] bool try_now() noexcept {
    granted g;
    const std::lock_guard hold(*op_.guard());
    return op_.try_now(g);
  }

  static constexpr wait_kind kind{Op::name, &awaiting::cancel};
  Op op_;
};

}  // namespace corespun::detail
