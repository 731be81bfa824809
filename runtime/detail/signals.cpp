#include <corespun/runtime/detail/signals.hpp>

#include <cerrno>
#include <cstdlib>
#include <ctime>
#include <thread>

namespace corespun::detail {
namespace {

// A signal handler has no other way to find its object.
std::atomic<signal_wait*> handler{nullptr};
// S2: threads inside on_signal(). Each side first writes and then reads, all seq_cst: the handler
// this and then `handler`, the destructor `handler` and then this.
std::atomic<unsigned> inside{0};

}  // namespace

signal_wait::signal_wait(bool handle) noexcept {
  ::sem_init(&rung_, 0, 0);
  signal_wait* nobody = nullptr;
  if (!handle || !handler.compare_exchange_strong(nobody, this)) return;
  handling_ = true;
  take(SIGINT, int_before_);
  take(SIGTERM, term_before_);
}

void signal_wait::take(int number, struct sigaction& before) noexcept {
  ::sigaction(number, nullptr, &before);
  if (before.sa_handler == SIG_IGN) return;  // nohup and the like
  struct sigaction mine{};
  mine.sa_handler = &signal_wait::on_signal;
  mine.sa_flags = SA_RESTART;
  ::sigaction(number, &mine, nullptr);
}

signal_wait::~signal_wait() {
  if (handling_) {
    ::sigaction(SIGINT, &int_before_, nullptr);
    ::sigaction(SIGTERM, &term_before_, nullptr);
    handler.store(nullptr);
    while (inside.load() != 0) std::this_thread::yield();  // S2; a few instructions on their side
  }
  ::sem_destroy(&rung_);
}

// sem_post is the one async-signal-safe call that wakes a thread (signal-safety(7)).
void signal_wait::on_signal(int number) noexcept {
  const int saved = errno;
  inside.fetch_add(1);
  if (signal_wait* const self = handler.load(); self != nullptr) {
    self->last_signal_.store(number, std::memory_order_relaxed);
    self->signals_.fetch_add(1, std::memory_order_relaxed);
    ::sem_post(&self->rung_);
  }
  inside.fetch_sub(1);
  errno = saved;
}

signal_wait::outcome signal_wait::next(std::chrono::steady_clock::time_point limit) noexcept {
  const auto since = limit.time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
  const timespec until{seconds.count(), (since - seconds).count()};
  const bool forever = limit == std::chrono::steady_clock::time_point::max();
  while ((forever ? ::sem_wait(&rung_) : ::sem_clockwait(&rung_, CLOCK_MONOTONIC, &until)) != 0) {
    if (errno == ETIMEDOUT) return timed_out;
  }
  // Not by ended_ alone: a signal's ring would let this thread destroy what end() is yet to ring.
  if (signals_.load(std::memory_order_relaxed) == seen_ && ended_.load(std::memory_order_acquire)) {
    return ended;  // S1
  }
  ++seen_;
  return signalled;
}

void signal_wait::end() noexcept {
  ended_.store(true, std::memory_order_release);  // S1: publishes the result of main
  ::sem_post(&rung_);
}

void signal_wait::die() noexcept {
  const int number = last_signal_.load(std::memory_order_relaxed);
  ::signal(number, SIG_DFL);
  ::raise(number);
  std::_Exit(128 + number);  // the signal was blocked
}

}  // namespace corespun::detail
