#pragma once
// core: one pinned thread, its queues and its loop. Whoever knows turn() knows the runtime.
//
// Tasks that are ready stand in one of three places: bound ones in ready_, forks in forks_, woken
// ones in woken_. Other cores steal from the last two when they have nothing to do. What finds no room
// there goes into the injection queue of all cores.
//
// I1: nobody sleeps on posted mail, nor on an injected task
//
//   poster, any thread                core, going to sleep
//   1  push                seq_cst    1  announce: sleeping_.store(true)   seq_cst
//   2  sleeping_.load()    seq_cst    2  look into the queues once more    seq_cst
//   3  wake the driver if it sleeps   3  block in the driver
//
// At least one side sees the other. A needless wake costs one loop turn. Release and acquire are
// not enough: each side's second step could pass its own first step, and both would miss.
//
// Sharing. A wake across cores costs more than most tasks, so it is not sent when a task becomes
// ready, but when tasks have been waiting in a lane for a while: share() looks at it at bounded
// intervals and wakes one core that sleeps, which steals, and wakes the next if there is more.

#include <corespun/runtime/clock.hpp>
#include <corespun/runtime/detail/counters.hpp>
#include <corespun/runtime/detail/fork_lane.hpp>
#include <corespun/runtime/detail/mail.hpp>
#include <corespun/runtime/detail/ready_lane.hpp>
#include <corespun/runtime/detail/root.hpp>
#include <corespun/runtime/detail/timer_wheel.hpp>
#include <corespun/runtime/driver.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <source_location>
#include <span>

namespace corespun::detail {

struct machine;
class simulation;

class core {
 public:
  /// `played`: the simulation that runs it in place of a thread, or nullptr.
  core(unsigned index, machine& all, simulation* played) noexcept
      : run_budget(played != nullptr ? 4 : 256),
        index_(index),
        machine_(all),
        simulation_(played),
        random_(index * 2654435769U + 1) {}

  /// The core whose thread this is; nullptr elsewhere. Never keep the answer across a co_await.
  [[nodiscard]] static core* current() noexcept;
  /// This thread is that core's from now on; nullptr: it is none.
  static void stand_in(core* c) noexcept;

  // --- the loop; the core's own thread ---

  void attach(std::unique_ptr<driver> d);
  void run();
  void turn() noexcept;
  /// It was asked to end, and nothing is left to do.
  [[nodiscard]] bool finished() noexcept;

  // --- any thread ---

  void post(mail& m) noexcept;
  /// Makes a free task ready here or on any other core.
  void inject(root& r) noexcept;
  /// True: it was asleep and is woken. `to_steal`: it will look for work on other cores.
  bool wake_if_asleep(bool to_steal = false) noexcept;
  /// run() returns when nothing is left to do.
  void ask_to_end() noexcept { post(end_mail_.to<&core::begin_end>(*this)); }
  /// What it has done so far; only the core itself writes there.
  counters counts;
  /// It sleeps, or is about to; W1 (watchdog.hpp).
  [[nodiscard]] bool asleep() const noexcept { return sleeping_.load(std::memory_order_seq_cst); }
  /// A glance at its lanes.
  [[nodiscard]] bool has_to_steal() const noexcept { return forks_.size() + woken_.size() != 0; }
  [[nodiscard]] std::size_t ready_forks() const noexcept { return forks_.size(); }
  [[nodiscard]] std::size_t ready_woken() const noexcept { return woken_.size(); }
  /// Once it is attached.
  [[nodiscard]] const char* driver_name() const noexcept { return driver_->name(); }

  // --- the rest only on the core's own thread ---

  [[nodiscard]] unsigned index() const noexcept { return index_; }
  /// All cores of this runtime, and what they share.
  [[nodiscard]] machine& all() const noexcept { return machine_; }
  [[nodiscard]] driver& backend() noexcept { return *driver_; }
  [[nodiscard]] timer_wheel& timers() noexcept { return timers_; }
  [[nodiscard]] clock::time_point now() const noexcept;
  /// nullptr: this is a real machine.
  [[nodiscard]] simulation* simulated() const noexcept { return simulation_; }
  /// Both are cores of one runtime.
  [[nodiscard]] bool is_beside(const core& other) const noexcept {
    return &machine_ == &other.machine_;
  }
  /// It goes on when those before it have had their turn.
  void make_ready(root& r) noexcept {
    if (r.bound()) {
      ready_.push(r);
    } else if (!woken_.push(r)) {
      overflow(r);
    }
  }
  /// Makes a task ready that is not begun yet: the newest fork comes first.
  void fork(root& r) noexcept {
    if (r.bound()) {
      ready_.push(r);
    } else if (!forks_.push(r)) {
      overflow(r);
    }
  }
  /// Takes the newest fork back, if it is one of these and no other core has it.
  [[nodiscard]] root* take_fork_of(std::span<root> some) noexcept {
    const root* const newest = forks_.next();
    const bool one =
        !std::less<>{}(newest, some.data()) && std::less<>{}(newest, some.data() + some.size());
    return one && may_go_on_inline() ? forks_.pop() : nullptr;
  }
  /// The caller transfers control to this root's leaf.
  void goes_on(root& r) noexcept {
    r.move_to(*this);
    running_ = &r;
    site_.store(r.site, std::memory_order_relaxed);
  }
  /// Any thread: where the task that runs, or ran last, was spawned; line 0: main.
  [[nodiscard]] std::source_location site() const noexcept {
    return site_.load(std::memory_order_relaxed);
  }

  /// Delivers the mail when the coroutine that runs at present has been left: what must not happen
  /// inside an await_suspend, such as ending the frame that is being suspended.
  void when_left(mail& m) noexcept {
    m.next = left_;
    left_ = &m;
  }

  /// For messages: the root that runs now, or nullptr. It may have ended, so look at its identity
  /// only while it runs.
  [[nodiscard]] root* running() const noexcept { return running_; }

  /// An operation that needed no wait may go on at once, but not for ever: others wait, too.
  [[nodiscard]] bool may_go_on_inline() noexcept { return inline_left_ > 0 && inline_left_-- > 0; }

  /// Roots between two looks at mail, timers and the driver. Tests make it small.
  unsigned run_budget;
  /// Completions without a wait, per resumption. Tests set 0, so that each goes through the queue.
  unsigned inline_budget = 64;
  /// A sleeping core is woken for tasks that have waited so long, or will. Tests set 0.
  clock::duration worth_a_wake = std::chrono::microseconds(50);
  /// What runs now has had its time: it should yield, and then this turn ends.
  [[nodiscard]] bool needs_yield() noexcept {
    if (now() - turn_began_ <= time_budget) return false;
    until_look_ = 1;
    return true;
  }
  /// The driver as the floor above knows it; set by that driver when it attaches.
  void* io = nullptr;
  /// Delivers what was posted after run() returned; the destructor of the runtime only.
  void take_mail() noexcept;

 private:
  void begin_end() noexcept;
  void run_ready() noexcept;
  [[nodiscard]] root* next() noexcept;
  [[nodiscard]] root* next_of(unsigned place) noexcept;
  [[nodiscard]] bool has_ready() const noexcept {
    return !ready_.empty() || has_to_steal() || stolen_ != nullptr;
  }
  /// More than one place has tasks: there is a choice.
  [[nodiscard]] bool has_several() const noexcept {
    return (forks_.size() != 0) + (woken_.size() != 0) + !ready_.empty() > 1;
  }
  void overflow(root& r) noexcept;
  [[nodiscard]] bool time_is_up() noexcept;
  void share(clock::time_point at) noexcept;
  void take_injected() noexcept;
  void steal_some() noexcept;
  [[nodiscard]] bool anything_to_steal() const noexcept;
  void steal_from(core& victim) noexcept;
  void wake_a_thief() noexcept;
  /// A number below that of the other cores, and the core that it names.
  [[nodiscard]] std::uint32_t choose_other() noexcept;
  [[nodiscard]] core& other(std::uint32_t i) const noexcept;
  void wake_up() noexcept;
  [[nodiscard]] clock::time_point sleep_deadline() noexcept;
  /// Between two steps of a protocol: in a simulation other cores may get ahead here.
  void preemption_point() noexcept;

  static constexpr clock::duration time_budget = std::chrono::microseconds(100);
  static constexpr clock::duration look_interval = std::chrono::microseconds(10);

  const unsigned index_;
  machine& machine_;
  simulation* const simulation_;
  std::unique_ptr<driver> driver_;
  ready_list ready_;  // bound tasks
  timer_wheel timers_;
  root* stolen_ = nullptr;  // runs next
  root* running_ = nullptr;
  mail* left_ = nullptr;
  clock::time_point turn_began_{};
  // every so many tasks run_ready() looks at the clock; about every 10 us
  unsigned look_after_ = 16;
  unsigned until_look_ = 16;
  clock::time_point looked_at_{};
  clock::duration per_task_{};  // of late
  // what share() saw: since when the oldest fork is the same
  std::int64_t oldest_fork_ = 0;
  clock::time_point oldest_since_{};
  std::uint32_t random_;
  unsigned inline_left_ = 0;
  bool ending_ = false;
  bool announced_ = false;  // sleeping_ was set since the last turn
  member_mail<core> end_mail_;

  fork_lane forks_;  // free tasks that have not begun
  ready_lane woken_;  // free tasks that go on
  std::atomic<std::source_location> site_{};  // of running_, for those who ask what takes so long
  alignas(64) inbox inbox_;  // written by other threads
  // set by the core, cleared by the core or by the poster that wakes it: I1
  std::atomic<bool> sleeping_{false};
  std::atomic<bool> called_{false};  // it was woken to steal; counted in machine::searching
};

}  // namespace corespun::detail
