#pragma once
// core: one pinned thread, its queues and its loop. Whoever knows run() knows the runtime.
//
// I1: nobody sleeps on posted mail
//
//   poster, any thread                core, going to sleep
//   1  push the mail       seq_cst    1  announce: sleeping_.store(true)   seq_cst
//   2  sleeping_.load()    seq_cst    2  look into the inbox once more     seq_cst
//   3  wake the driver if it sleeps   3  block in the driver
//
// At least one side sees the other. A needless wake costs one loop turn. Release and acquire are
// not enough: each side's second step could pass its own first step, and both would miss.

#include <corespun/runtime/clock.hpp>
#include <corespun/runtime/detail/mail.hpp>
#include <corespun/runtime/detail/root.hpp>
#include <corespun/runtime/detail/timer_wheel.hpp>
#include <corespun/runtime/driver.hpp>

#include <atomic>
#include <memory>

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
        simulation_(played) {}

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
  /// run() returns when nothing is left to do.
  void ask_to_end() noexcept { post(end_mail_.to<&core::begin_end>(*this)); }

  // --- the rest only on the core's own thread ---

  [[nodiscard]] unsigned index() const noexcept { return index_; }
  /// All cores of this runtime, and what they share.
  [[nodiscard]] machine& all() const noexcept { return machine_; }
  [[nodiscard]] driver& backend() noexcept { return *driver_; }
  [[nodiscard]] timer_wheel& timers() noexcept { return timers_; }
  [[nodiscard]] clock::time_point now() const noexcept;
  /// nullptr: this is a real machine.
  [[nodiscard]] simulation* simulated() const noexcept { return simulation_; }
  void make_ready(root& r) noexcept { ready_.push(r); }

  /// Delivers the mail when the coroutine that runs at present has been left: what must not happen
  /// inside an await_suspend, such as ending the frame that is being suspended.
  void when_left(mail& m) noexcept {
    m.next = left_;
    left_ = &m;
  }

  /// For messages: the root that runs now, or nullptr. It may have ended, so look at its identity
  /// only while it runs.
  [[nodiscard]] const root* running() const noexcept { return running_; }

  /// An operation that needed no wait may go on at once, but not for ever: others wait, too.
  [[nodiscard]] bool may_go_on_inline() noexcept { return inline_left_ > 0 && inline_left_-- > 0; }

  /// Roots between two looks at mail, timers and the driver. Tests make it small.
  unsigned run_budget;
  /// Completions without a wait, per resumption. Tests set 0, so that each goes through the queue.
  unsigned inline_budget = 64;
  /// The driver as the floor above knows it; set by that driver when it attaches.
  void* io = nullptr;
  /// Delivers what was posted after run() returned; the destructor of the runtime only.
  void take_mail() noexcept;

 private:
  void begin_end() noexcept;
  void run_ready() noexcept;
  [[nodiscard]] clock::time_point sleep_deadline() noexcept;
  /// Between two steps of a protocol: in a simulation other cores may get ahead here.
  void preemption_point() noexcept;

  const unsigned index_;
  machine& machine_;
  simulation* const simulation_;
  std::unique_ptr<driver> driver_;
  ready_list ready_;
  timer_wheel timers_;
  root* running_ = nullptr;
  mail* left_ = nullptr;
  unsigned inline_left_ = 0;
  bool ending_ = false;
  member_mail<core> end_mail_;

  alignas(64) inbox inbox_;  // written by other threads
  // set by the core, cleared by the core or by the poster that wakes it: I1
  std::atomic<bool> sleeping_{false};
};

}  // namespace corespun::detail
