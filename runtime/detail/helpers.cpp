#include <corespun/runtime/detail/helpers.hpp>

#include <corespun/runtime/detail/simulation.hpp>
#include <corespun/runtime/detail/threads.hpp>

#include <chrono>
#include <system_error>
#include <utility>

namespace corespun::detail {
namespace {

constinit thread_local helpers* pool_of_this_thread = nullptr;

}  // namespace

helpers::helpers(unsigned limit) : limit_(limit), cpus_(usable_cpus()) {}

helpers::~helpers() {
  if (simulation_ != nullptr) simulation_->forget(this);
  std::unique_lock lock(mutex_);
  ending_ = true;
  for (sleeper* s = idle_; s != nullptr; s = s->below) s->called_cv.notify_one();
  all_ended_.wait(lock, [this] { return threads_ == 0; });
}

void helpers::make_thread() {
  const all_signals_blocked no_signals_there;
  // counted in threads_; the destructor waits for zero
  std::thread([this] { work(); }).detach();
  ++threads_;
}

/// False: none is idle.
bool helpers::call_idle_thread() noexcept {
  if (idle_ == nullptr) return false;
  sleeper& s = *std::exchange(idle_, idle_->below);
  s.called = true;
  s.called_cv.notify_one();
  return true;
}

void helpers::call_or_make_thread() {
  if (call_idle_thread()) return;
  if (threads_ < limit_ + waiting_) {
    try {
      make_thread();
    } catch (const std::system_error&) {
      if (threads_ == waiting_) throw;  // else it waits for one of the others
    }
  }
}

void helpers::submit(job& j) {
  const std::lock_guard lock(mutex_);
  if (simulation_ != nullptr) {
    const auto late = std::chrono::microseconds(simulation_->choose(100, sim::site::delay));
    simulation_->after(late, this, [this] { run_oldest(); });
  } else {
    call_or_make_thread();
  }
  j.queued = true;
  j.next = nullptr;
  j.prev = last_;
  (last_ != nullptr ? last_->next : first_) = &j;
  last_ = &j;
  ++queued_;
}

bool helpers::withdraw(job& j) noexcept {
  const std::lock_guard lock(mutex_);
  if (!j.queued) return false;
  unlink(j);
  return true;
}

helpers::load helpers::present_load() const {
  const std::lock_guard lock(mutex_);
  std::size_t idle = 0;
  for (const sleeper* s = idle_; s != nullptr; s = s->below) ++idle;
  return {threads_, idle, queued_};
}

void helpers::unlink(job& j) noexcept {
  (j.prev != nullptr ? j.prev->next : first_) = j.next;
  (j.next != nullptr ? j.next->prev : last_) = j.prev;
  j.queued = false;
  --queued_;
}

/// As a helper thread would; nothing if the job was withdrawn.
void helpers::run_oldest() {
  if (first_ == nullptr) return;
  job& j = *first_;
  unlink(j);
  j.run(j);
}

/// False: nobody called for so long, or the pool ends.
bool helpers::wait_for_call(std::unique_lock<std::mutex>& lock) {
  sleeper self;
  self.below = std::exchange(idle_, &self);
  (void)self.called_cv.wait_for(lock, idle_limit, [&] { return self.called || ending_; });
  if (self.called) return true;
  sleeper** place = &idle_;
  while (*place != &self) place = &(*place)->below;
  *place = self.below;
  return false;
}

void helpers::work() {
  pool_of_this_thread = this;
  name_this_thread("corespun-help");
  pin_this_thread(cpus_);  // it was made by a core
  std::unique_lock lock(mutex_);
  while (threads_ <= limit_ + waiting_) {
    if (first_ == nullptr) {
      if (!wait_for_call(lock)) break;
      continue;  // a busy one may have been faster
    }
    job& j = *first_;
    unlink(j);
    lock.unlock();
    j.run(j);
    lock.lock();
  }
  // A stand-in goes when it is not needed any more; it may have been called for a job.
  if (first_ != nullptr) (void)call_idle_thread();
  if (--threads_ == 0) all_ended_.notify_all();
}

// --- threads that wait for tasks ---

helpers::stand_in::stand_in() noexcept : pool_(pool_of_this_thread) {
  if (pool_ == nullptr) return;
  const std::lock_guard lock(pool_->mutex_);
  ++pool_->waiting_;
  if (pool_->first_ == nullptr) return;
  try {
    pool_->call_or_make_thread();
  } catch (const std::system_error&) {
    // as if there were no more than the others: the jobs wait for this one
  }
}

helpers::stand_in::~stand_in() {
  if (pool_ == nullptr) return;
  const std::lock_guard lock(pool_->mutex_);
  --pool_->waiting_;
}

}  // namespace corespun::detail
