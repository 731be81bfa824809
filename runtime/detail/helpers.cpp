#include <corespun/runtime/detail/helpers.hpp>

#include <corespun/runtime/detail/simulation.hpp>
#include <corespun/runtime/detail/threads.hpp>

#include <chrono>
#include <system_error>

namespace corespun::detail {
namespace {

constexpr std::chrono::seconds idle_limit{10};

}  // namespace

helpers::~helpers() {
  if (simulation_ != nullptr) simulation_->forget(this);
  std::unique_lock lock(mutex_);
  ending_ = true;
  changed_.notify_all();
  changed_.wait(lock, [this] { return running_ == 0; });
}

void helpers::start_thread_if_needed() {
  if (idle_ > queued_ || running_ >= limit_) return;
  try {
    const all_signals_blocked no_signals_there;
    // counted in running_; the destructor waits for zero
    std::thread([this] { work(); }).detach();
    ++running_;
  } catch (const std::system_error&) {
    if (running_ == 0) throw;
  }
}

void helpers::submit(job& j) {
  const std::lock_guard lock(mutex_);
  if (simulation_ != nullptr) {
    const auto late = std::chrono::microseconds(simulation_->choose(100, sim::site::delay));
    simulation_->after(late, this, [this] { run_oldest(); });
  } else {
    start_thread_if_needed();
  }
  j.queued = true;
  j.next = nullptr;
  j.prev = last_;
  (last_ != nullptr ? last_->next : first_) = &j;
  last_ = &j;
  ++queued_;
  changed_.notify_one();
}

bool helpers::withdraw(job& j) noexcept {
  const std::lock_guard lock(mutex_);
  if (!j.queued) return false;
  unlink(j);
  return true;
}

helpers::load helpers::present_load() const {
  const std::lock_guard lock(mutex_);
  return {running_, queued_};
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

void helpers::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    if (first_ == nullptr) {
      ++idle_;
      const bool more =
          changed_.wait_for(lock, idle_limit, [this] { return first_ != nullptr || ending_; });
      --idle_;
      if (!more || first_ == nullptr) break;
    }
    job& j = *first_;
    unlink(j);
    lock.unlock();
    j.run(j);
    lock.lock();
  }
  --running_;
  changed_.notify_all();
}

}  // namespace corespun::detail
