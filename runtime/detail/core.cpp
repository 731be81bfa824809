#include <corespun/runtime/detail/core.hpp>

#include <corespun/runtime/detail/frame.hpp>
#include <corespun/runtime/detail/machine.hpp>
#include <corespun/runtime/detail/simulation.hpp>

#include <time.h>

#include <algorithm>

namespace corespun {
namespace detail {
namespace {

constinit thread_local core* current_core = nullptr;

}  // namespace

// Not inlined: a coroutine may be resumed on another thread, and the compiler would keep the
// address of the thread-local.
[[gnu::noinline]] core* core::current() noexcept {
  asm volatile("");
  return current_core;
}

void core::stand_in(core* c) noexcept {
  current_core = c;
  keep_free_frames(c != nullptr);
}

void core::attach(std::unique_ptr<driver> d) {
  stand_in(this);
  driver_ = std::move(d);
  mailboxes_ = std::make_unique<mailbox[]>(machine_.cores.size());
  driver_->attach(*this);
  expect_anything();
  for (mailbox& box : mailboxes()) box.connect(*this, mailbox_room);
}

void core::preemption_point() noexcept {
  if (simulation_ != nullptr) simulation_->preemption_point();
}

void core::begin_end() noexcept {
  ending_ = true;
  driver_->cancel_all();
}

void core::run() {
  while (!finished()) turn();
  release_free_frames();
}

void core::turn() noexcept {
  work();
  poll(sleep_deadline());           // submit, and wait if there is nothing else to do
}

void core::wait(clock::time_point limit) noexcept { poll(std::min(sleep_deadline(), limit)); }

inline void core::poll(clock::time_point until) noexcept {
  if (until != clock::time_point::min()) counts.parks(now());
  driver_->poll(until);
}

void core::work() noexcept {
  wake_up();
  turn_began_ = looked_at_ = now();
  counts.turn_begins(turn_began_);
  timers_.advance(turn_began_);     // what has become due
  share(turn_began_);               // call for help, if there is more than one core can do
  run_ready();                      // own tasks, at most one budget
  (void)take_mail();                // what other threads sent
  (void)exchange_messages();        // with other cores
  steal_some();                     // if there is nothing else to do
}

inline void core::run_one(root& r) noexcept {
  goes_on(r);
  r.resume();
  running_.store(nullptr, std::memory_order_relaxed);
  while (left_ != nullptr) {
    mail& m = *left_;
    left_ = m.next;
    m.deliver(m);
  }
}

void core::run_inside(root& r) noexcept {
  root& outer = *running();
  root* const outer_inside = std::exchange(inside_, &r);
  run_one(r);
  inside_ = outer_inside;
  goes_on(outer);
}

void core::cancel_pinned() noexcept {
  if (std::exchange(cancels_, true)) return;
  while (!pinned_.empty()) pinned_.pop().cancel_pinned();
  cancels_ = false;
}

void core::run_ready() noexcept {
  until_look_ = look_after_;
  unsigned ran = 0;  // since the last look
  for (unsigned left = run_budget; left > 0; --left) {
    root* const r = next();
    if (r == nullptr) return;
    counts.tasks_run.add();
    inline_left_ = inline_most_;
    run_one(*r);
    ++ran;
    if (const unsigned inlined = inline_most_ - inline_left_; inlined != 0) {
      ran += inlined;
      until_look_ -= std::min(until_look_ - 1, inlined / 8);  // they are small, or few
    }
    if (--until_look_ == 0) {
      if (time_is_up(std::exchange(ran, 0))) return;
      until_look_ = look_after_;
    } else if (--until_exchange_ == 0 && exchange_messages()) {
      ran = 0;
    }
  }
}

/// Tasks that go on and forks get the same time, and those that other threads made ready every
/// other turn, so that none starves.
root* core::next() noexcept {
  if (stolen_ != nullptr) return std::exchange(stolen_, nullptr);
  const std::uint64_t taken = counts.tasks_run.get() + 1;
  if (taken % 2 == 0) {
    if (root* const r = machine_.injected.pop(); r != nullptr) {
      counts.injected.add();
      return r;
    }
  }
  const bool there_is_a_choice =
      (forks_.size() != 0 || !spilled_.empty()) && (woken_.size() != 0 || !ready_.empty());
  if (!there_is_a_choice) forks_lead_ = {};
  fork_runs_ = forks_lead_ <= clock::duration::zero();
  if (simulation_ != nullptr)
    fork_runs_ = simulation_->choose(there_is_a_choice ? 2 : 1, sim::site::order) == 0;
  for (const bool fork : {fork_runs_, !fork_runs_}) {
    fork_runs_ = fork;
    if (root* const r = fork ? next_fork() : next_in_line(); r != nullptr) return r;
  }
  return nullptr;
}

root* core::next_fork() noexcept {
  if (simulation_ != nullptr &&
      simulation_->choose(forks_.size() > 1 ? 2 : 1, sim::site::next_task) != 0)
    return forks_.pop_oldest();
  if (oldest_is_due_) {
    oldest_is_due_ = false;
    if (root* const r = forks_.pop_oldest(); r != nullptr) return r;
  }
  return spilled_.empty() ? forks_.pop() : &spilled_.pop();
}

/// Bound and free tasks in the order in which they became ready.
root* core::next_in_line() noexcept {
  if (!bound_goes_first()) {
    if (root* const r = woken_.pop(); r != nullptr) return r;
  }
  if (ready_.empty()) return nullptr;
  if (simulation_ != nullptr) {  // any order
    const auto ready = static_cast<std::uint32_t>(ready_.size());
    for (auto skip = simulation_->choose(ready, sim::site::next_task); skip > 0; --skip)
      ready_.push(ready_.pop());
  }
  return &ready_.pop();
}

bool core::bound_goes_first() noexcept {
  if (ready_.empty()) return false;
  if (simulation_ != nullptr)
    return simulation_->choose(woken_.size() != 0 ? 2 : 1, sim::site::order) == 0;
  return woken_.has_passed(ready_.first().behind);
}

bool core::time_is_up(unsigned ran) noexcept {
  const clock::time_point t = now();
  const clock::duration spent = t - looked_at_;
  looked_at_ = t;
  forks_lead_ = std::clamp(forks_lead_ + (fork_runs_ ? spent : -spent), -time_budget, time_budget);
  per_task_ = spent / ran;
  const clock::duration each = std::max(per_task_, clock::duration(1));
  // Slowly up, since those that compute may come after some that do not.
  const auto as_many = [each, ran](clock::duration d, unsigned most) {
    return static_cast<unsigned>(std::clamp<clock::rep>(d / each, 1, std::min(4 * ran, most)));
  };
  look_after_ = as_many(look_interval, 32);
  inline_most_ = std::min(as_many(inline_interval, 64), inline_budget);
  share(t);
  (void)exchange_messages();
  return t - turn_began_ > time_budget;
}

// --- mail ---

bool core::take_mail() noexcept {
  mail* const first = inbox_.take();
  for (mail* m = first; m != nullptr;) {
    mail* const following = m->next;
    counts.mail.add();
    m->deliver(*m);
    m = following;
  }
  return first != nullptr;
}

// --- mailboxes ---

std::span<mailbox> core::mailboxes() const noexcept {
  return {mailboxes_.get(), machine_.cores.size()};
}

/// Where a message came, the next is likely to come soon. Where many came, as many tasks go first.
/// True: so many that their time would be taken for that of tasks, which is measured anew from here
/// on.
bool core::exchange_messages() noexcept {
  constexpr std::uint64_t most = 32;
  const std::uint64_t least = 1 + machine_.cores.size() / 8;  // it looks at the box of each
  const std::uint64_t taken = take_messages();
  flush_mailboxes();
  const std::uint64_t next = taken != 0 ? std::max(taken, least) : exchange_after_ + 1;
  until_exchange_ = exchange_after_ = static_cast<unsigned>(std::min(next, most));
  if (taken < 8) return false;
  looked_at_ = now();
  return true;
}

void core::flush_mailboxes() noexcept {
  for (mailbox* box = std::exchange(unflushed_, nullptr); box != nullptr;) {
    mailbox* const following = box->next;
    if (box->flush()) {
      preemption_point();
      (void)box->to->wake_if_asleep();
    }
    box->is_listed = !box->all_shown();
    if (box->is_listed) box->next = std::exchange(unflushed_, box);
    box = following;
  }
}

std::uint64_t core::take_messages() noexcept {
  std::uint64_t all = 0;
  for (mailbox& box : mailboxes()) {
    const std::uint64_t taken = box.take();
    if (taken == 0) continue;
    all += taken;
    preemption_point();
    if (box.sender_waits_for_room())
      (void)machine_.cores[static_cast<std::size_t>(&box - mailboxes_.get())]->wake_if_asleep();
  }
  counts.mail.add(all);
  return all;
}

bool core::has_messages() const noexcept {
  return !std::ranges::all_of(mailboxes(), &mailbox::empty);
}

/// For messages that were too many; if not, it is woken when it comes.
bool core::room_came() noexcept {
  for (mailbox* box = unflushed_; box != nullptr; box = box->next) {
    if (!box->wait_for_room()) return true;
    preemption_point();
  }
  return false;
}

// --- sleep and wake ---

clock::time_point core::sleep_deadline() noexcept {
  if (has_ready() || finished()) return clock::time_point::min();
  preemption_point();
  announced_ = true;
  machine_.sleepers.fetch_add(1, std::memory_order_relaxed);
  rest_.store(rest::asleep, std::memory_order_seq_cst);  // I1 step 1
  preemption_point();
  if (!inbox_.empty()) return clock::time_point::min();  // I1 step 2
  if (!machine_.injected.empty()) return clock::time_point::min();  // I1 step 2
  if (has_messages() || room_came()) return clock::time_point::min();
  preemption_point();
  return timers_.next_deadline();
}

/// What comes now may take long, and other cores may sleep.
void core::expect_anything() noexcept {
  look_after_ = 2;
  inline_most_ = std::min(1U, inline_budget);
}

void core::wake_up() noexcept {
  if (!announced_) return;
  announced_ = false;
  expect_anything();
  if (rest_.load(std::memory_order_seq_cst) != rest::awake) {
    preemption_point();
    switch (rest_.exchange(rest::awake, std::memory_order_seq_cst)) {  // W1 step 1
      case rest::asleep: machine_.sleepers.fetch_sub(1, std::memory_order_relaxed); break;
      case rest::called: machine_.searching.fetch_sub(1, std::memory_order_relaxed); break;
      case rest::awake: break;  // somebody has woken it at this very time
    }
  }
  machine_.watch.core_woke();
}

bool core::wake_if_asleep(bool to_steal) noexcept {
  // I1 step 2; the compare-exchange lets one of several posters pay for the wake.
  rest was = rest::asleep;
  if (!asleep() || !rest_.compare_exchange_strong(was, to_steal ? rest::called : rest::awake,
                                                  std::memory_order_seq_cst))
    return false;
  machine_.sleepers.fetch_sub(1, std::memory_order_relaxed);
  if (core* const waker = current(); waker != nullptr) waker->counts.wakes.add();
  driver_->wake();
  return true;
}

bool core::finished() noexcept {
  return ending_ && !has_ready() && driver_->in_flight() == 0 && inbox_.empty() &&
         !has_messages() && unflushed_ == nullptr && machine_.injected.empty();
}

void core::post(mail& m) noexcept {
  const visit here(machine_);
  inbox_.push(m);  // I1 step 1
  if (current() != nullptr) preemption_point();
  (void)wake_if_asleep();
}

void core::inject(root& r) noexcept {
  const visit here(machine_);
  if (!machine_.injected.push(r)) {  // I1 step 1
    r.deliver = [](mail& m) noexcept {
      root& late = static_cast<root&>(m);
      late.home().make_ready(late);
    };
    post(r);
    return;
  }
  if (wake_if_asleep()) return;
  for (const auto& c : machine_.cores) {
    if (c->wake_if_asleep()) return;
  }
}

clock::duration core::cpu_time() const noexcept {
  if (simulation_ != nullptr) return now().time_since_epoch();
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
}

clock::time_point core::now() const noexcept {
  if (simulation_ != nullptr) return simulation_->now();
  return clock::time_point(std::chrono::steady_clock::now().time_since_epoch());
}

}  // namespace detail

clock::time_point clock::now() noexcept {
  if (const detail::core* const c = detail::core::current(); c != nullptr) return c->now();
  if (const detail::simulation* const s = detail::simulation::playing(); s != nullptr)
    return s->now();
  return time_point(std::chrono::steady_clock::now().time_since_epoch());
}

}  // namespace corespun
