#pragma once
// core: one pinned thread, its queues and its loop. Whoever knows turn() knows the runtime.
//
// Tasks that are ready stand in one of three places: bound ones in ready_, forks in forks_, woken
// ones in woken_. Other cores steal from the last two, which are lanes of a fixed length, when they
// have nothing to do. Tasks that find their lane full wait beside it until there is room (late_,
// spilled_): a queue for all cores would let cores that have enough to do meet at it all the time,
// and begin forks in an order that takes memory for all trees at once.
//
// I1: nobody sleeps on posted mail, nor on an injected task
//
//   poster, any thread                core, going to sleep
//   1  push                seq_cst    1  announce: rest_ = asleep          seq_cst
//   2  look at rest_       seq_cst    2  look into all queues once more    seq_cst
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
#include <corespun/runtime/detail/mailbox.hpp>
#include <corespun/runtime/detail/ready_lane.hpp>
#include <corespun/runtime/detail/root.hpp>
#include <corespun/runtime/detail/timer_wheel.hpp>
#include <corespun/runtime/driver.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <source_location>
#include <span>
#include <utility>

namespace corespun::detail {

struct machine;
class simulation;

class core {
 public:
  /// `played`: the simulation that runs it in place of a thread, or nullptr.
  core(unsigned index, machine& all, simulation* played) noexcept
      : run_budget(played != nullptr ? 4 : 256),
        mailbox_room(played != nullptr ? 2 : mailbox::capacity),
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
  /// The two halves of a turn, for a thread that goes on elsewhere in between (loop.hpp): all that
  /// can be done without waiting, and the look at the driver, which waits until `limit` at most.
  void work() noexcept;
  void wait(clock::time_point limit) noexcept;
  /// A task stands in one of the queues.
  [[nodiscard]] bool has_ready() const noexcept {
    return !ready_.empty() || has_to_steal() || !late_.empty() || !spilled_.empty() ||
           stolen_ != nullptr;
  }
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
  [[nodiscard]] bool asleep() const noexcept {
    return rest_.load(std::memory_order_seq_cst) == rest::asleep;
  }
  /// A glance at its lanes.
  [[nodiscard]] bool has_to_steal() const noexcept { return forks_.size() + woken_.size() != 0; }
  [[nodiscard]] std::size_t ready_forks() const noexcept { return forks_.size() + spilled_.size(); }
  [[nodiscard]] std::size_t ready_woken() const noexcept { return woken_.size() + late_.size(); }
  [[nodiscard]] std::size_t ready_bound() const noexcept { return ready_.size(); }
  /// Once it is attached.
  [[nodiscard]] const char* driver_name() const noexcept { return driver_->name(); }

  // --- the rest only on the core's own thread ---

  [[nodiscard]] unsigned index() const noexcept { return index_; }
  /// All cores of this runtime, and what they share.
  [[nodiscard]] machine& all() const noexcept { return machine_; }
  [[nodiscard]] driver& backend() noexcept { return *driver_; }
  [[nodiscard]] timer_wheel& timers() noexcept { return timers_; }
  [[nodiscard]] clock::time_point now() const noexcept;
  /// What its thread has used.
  [[nodiscard]] clock::duration cpu_time() const noexcept;
  /// nullptr: this is a real machine.
  [[nodiscard]] simulation* simulated() const noexcept { return simulation_; }
  /// Both are cores of one runtime.
  [[nodiscard]] bool is_beside(const core& other) const noexcept {
    return &machine_ == &other.machine_;
  }
  /// It goes on when those before it have had their turn.
  void make_ready(root& r) noexcept {
    if (r.bound()) {
      stand_in_line(r);
    } else if (!late_.empty() || !woken_.push(r)) {
      late_.push(r);
      counts.overflowed.add();
    }
  }
  /// Makes tasks ready that are not begun yet, all bound or all free. The newest fork comes first;
  /// of these, the first one.
  void fork(std::span<root> some) noexcept {
    if (some.empty()) return;
    if (some.front().bound()) {
      for (root& r : some) stand_in_line(r);
    } else {
      for (std::size_t left = some.size() - forks_.push(some); left > 0; --left) {
        spilled_.push(some[left - 1]);
        counts.overflowed.add();
      }
    }
  }
  void fork(root& r) noexcept { fork(std::span(&r, 1)); }
  /// Takes the newest fork back, if it is one of these and no other core has it.
  [[nodiscard, gnu::always_inline]] root* take_fork_of(std::span<root> some) noexcept {
    const auto first = reinterpret_cast<std::uintptr_t>(some.data());
    return take_fork_if([first, bytes = some.size_bytes()](const root* newest) noexcept {
      return reinterpret_cast<std::uintptr_t>(newest) - first < bytes;
    });
  }
  /// The same of one, to be run inside of a task. It counts as one that the loop takes, so that the
  /// loop looks at the clock as often as ever.
  [[nodiscard]] bool take_fork(const root& r) noexcept {
    if (until_look_ <= 1) return false;
    const auto wanted = [&r](const root* newest) noexcept { return newest == &r; };
    if (take_fork_if(wanted) == nullptr) return false;
    --until_look_;
    return true;
  }
  /// Runs a fork that was taken back until it waits or has ended, inside of the task that runs.
  void run_inside(root& r) noexcept;
  [[nodiscard]] bool runs_inside(const root& r) const noexcept { return inside_ == &r; }
  /// Delivers it on another core of this runtime; those for one core in this order, several at
  /// once.
  void send(core& to, mail& m) noexcept {
    mailbox& box = to.mailboxes_[index_];
    box.put(m);
    if (box.is_listed) return;
    box.is_listed = true;
    box.next = std::exchange(unflushed_, &box);
  }
  /// The caller transfers control to this root's leaf.
  void goes_on(root& r) noexcept {
    r.move_to(*this);
    running_.store(&r, std::memory_order_relaxed);
    site_.store(r.site, std::memory_order_relaxed);
  }
  /// Any thread, a glance: where the task that runs was spawned, line 0: main; nothing: none runs,
  /// but perhaps a function that was sent here.
  [[nodiscard]] std::optional<std::source_location> site() const noexcept {
    if (running() == nullptr) return {};
    return site_.load(std::memory_order_relaxed);
  }

  /// Delivers the mail when the coroutine that runs at present has been left: what must not happen
  /// inside an await_suspend, such as ending the frame that is being suspended.
  void when_left(mail& m) noexcept {
    m.next = left_;
    left_ = &m;
  }

  /// Waits that are being cancelled: pinned first, then ended one after the other, those within
  /// them too, so that depth takes no stack.
  void pin(root& r) noexcept { pinned_.push(r); }
  void cancel_pinned() noexcept;

  /// For messages: the root that runs now, or nullptr. It may have ended, so look at its identity
  /// only while it runs.
  [[nodiscard]] root* running() const noexcept { return running_.load(std::memory_order_relaxed); }

  /// An operation that needed no wait may go on at once, but not for ever: others wait, too.
  [[nodiscard]] bool may_go_on_inline() noexcept { return inline_left_ > 0 && inline_left_-- > 0; }

  /// Roots between two looks at mail, timers and the driver. Tests make it small.
  unsigned run_budget;
  /// Messages under way to one core. Tests make it small.
  std::uint64_t mailbox_room;
  /// Completions without a wait, and forks that are taken back, per resumption. Tests set 0, so
  /// that each goes through the queue.
  unsigned inline_budget = 64;
  /// A sleeping core is woken for tasks that have waited so long, or will. Tests set 0.
  clock::duration worth_a_wake = std::chrono::microseconds(50);
  /// What runs now has had its time: it should yield, and then this turn ends.
  [[nodiscard]] bool needs_yield() noexcept {
    if (now() - turn_began_ <= time_budget) return false;
    until_look_ = 1;
    return true;
  }
  /// Between two steps of a protocol: in a simulation other cores may get ahead here.
  void preemption_point() noexcept;
  /// What its thread is bound to; -1: it is not. Set before the loop begins.
  int processor = -1;
  int thread = 0;  // the kernel's number; 0: none of its own
  /// The driver as the floor above knows it; set by that driver when it attaches.
  void* io = nullptr;
  /// False: there was none. After run() has returned the destructor of the runtime calls it.
  bool take_mail() noexcept;

 private:
  void begin_end() noexcept;
  void poll(clock::time_point until) noexcept;
  void run_ready() noexcept;
  void run_one(root& r) noexcept;
  [[nodiscard]] std::span<mailbox> mailboxes() const noexcept;
  bool exchange_messages() noexcept;
  void flush_mailboxes() noexcept;
  std::uint64_t take_messages() noexcept;
  [[nodiscard]] bool has_messages() const noexcept;
  [[nodiscard]] bool room_came() noexcept;
  [[nodiscard]] root* next() noexcept;
  [[nodiscard]] root* next_fork() noexcept;
  [[nodiscard]] root* next_in_line() noexcept;
  [[nodiscard]] bool bound_goes_first() noexcept;
  template <typename Wanted>
  [[nodiscard, gnu::always_inline]] root* take_fork_if(Wanted wanted) noexcept {
    const auto takes = [this, wanted](const root* newest) noexcept {
      return wanted(newest) && may_go_on_inline();
    };
    if (!spilled_.empty() && takes(&spilled_.top())) return &spilled_.pop();
    return forks_.pop_if(takes);
  }
  void stand_in_line(root& r) noexcept {
    r.behind = woken_.pushed() + static_cast<std::uint32_t>(late_.size());
    ready_.push(r);
  }
  /// `ran`: tasks since the last look, forks that were taken back included.
  [[nodiscard]] bool time_is_up(unsigned ran) noexcept;
  void refill_lanes() noexcept;
  void share(clock::time_point at) noexcept;
  [[nodiscard]] clock::duration cost_of_a_task(clock::time_point at) noexcept;
  void take_injected() noexcept;
  void steal_some() noexcept;
  [[nodiscard]] bool anything_to_steal() const noexcept;
  void steal_from(core& victim) noexcept;
  void wake_a_thief() noexcept;
  /// A number below that of the other cores, and the core that it names.
  [[nodiscard]] std::uint32_t choose_other() noexcept;
  [[nodiscard]] core& other(std::uint32_t i) const noexcept;
  void expect_anything() noexcept;
  void wake_up() noexcept;
  [[nodiscard]] clock::time_point sleep_deadline() noexcept;

  static constexpr clock::duration time_budget = std::chrono::microseconds(100);
  static constexpr clock::duration look_interval = std::chrono::microseconds(10);
  static constexpr clock::duration inline_interval = std::chrono::milliseconds(1);
  // Who forks all the time must not keep the oldest fork waiting for ever. Not sooner: each that is
  // begun before its turn adds the memory of a tree.
  static constexpr clock::duration patience = std::chrono::milliseconds(100);

  const unsigned index_;
  machine& machine_;
  simulation* const simulation_;
  std::unique_ptr<driver> driver_;
  std::unique_ptr<mailbox[]> mailboxes_;  // from each core
  mailbox* unflushed_ = nullptr;  // to other cores, linked by next
  ready_list ready_;  // bound tasks
  timer_wheel timers_;
  root* stolen_ = nullptr;  // runs next
  std::atomic<root*> running_{nullptr};  // others glance at it
  root* inside_ = nullptr;  // the innermost of run_inside()
  mail* left_ = nullptr;
  ready_list pinned_;
  bool cancels_ = false;  // cancel_pinned() is under way
  clock::time_point turn_began_{};
  // every so many tasks run_ready() looks at the clock; about every 10 us
  unsigned look_after_ = 0;
  unsigned until_look_ = 0;
  unsigned inline_most_ = 0;  // completions and forks per resumption; about 1 ms
  // every so many tasks it exchanges messages
  unsigned exchange_after_ = 32;
  unsigned until_exchange_ = 32;
  clock::time_point looked_at_{};
  clock::duration per_task_{};  // between the last two looks
  bool fork_runs_ = false;  // it was taken last
  clock::duration forks_lead_{};  // what forks have had more than those that go on
  // what cost_of_a_task() saw last
  clock::time_point measured_at_{};
  clock::duration measured_cpu_{};
  std::uint64_t measured_tasks_ = 0;
  clock::duration cost_{};
  // what share() saw: since when the oldest fork is the same
  std::int64_t oldest_fork_ = 0;
  clock::time_point oldest_since_{};
  bool oldest_is_due_ = false;
  std::uint32_t random_;
  unsigned inline_left_ = 0;
  bool ending_ = false;
  bool announced_ = false;  // it was about to sleep since the last turn
  member_mail<core> end_mail_;

  fork_lane forks_;  // free tasks that have not begun
  ready_stack spilled_;  // those that found it full; newer, but for what came after a theft
  ready_lane woken_;  // free tasks that go on
  ready_list late_;  // those that found it full; newer
  std::atomic<std::source_location> site_{};  // of running_, for those who ask what takes so long
  alignas(64) inbox inbox_;  // written by other threads
  // Asleep is set by the core, and ended by the core or by the poster that wakes it: I1. Called: it
  // was woken to steal, and counts in machine::searching until it is awake.
  enum class rest : std::uint8_t { awake, asleep, called };
  std::atomic<rest> rest_{rest::awake};
};

}  // namespace corespun::detail
