#include "shard.hpp"

#include "batch.hpp"

#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/this_core.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

namespace kv {

namespace {

/// Between two sweeps at least, so that many deadlines make few wakes. Only memory waits: a key
/// that is due is not found any more.
constexpr unix_ms shortest_sleep = 100;
constexpr unix_ms longest_sleep = 24 * 3600 * 1000;
/// How many keys are given back before others have their turn.
constexpr std::size_t at_once = 256;

}  // namespace

shard::shard(const limits& l) : data(l) {}

shard::~shard() = default;

corespun::task<> shard::sweep() {
  while (true) {
    begin();
    if (!data.drop_expired(at_once)) {
      co_await corespun::yield();
      continue;
    }
    woken_.emplace();
    sleeps_until_ = data.next_deadline();
    if (sleeps_until_ == never) {
      co_await woken_->wait();
    } else {
      const unix_ms left = sleeps_until_ - data.now();
      const std::chrono::milliseconds nap(std::clamp(left, shortest_sleep, longest_sleep));
      sleeps_until_ = std::min(sleeps_until_, data.now() + nap.count());
      (void)co_await corespun::with_timeout(nap, woken_->wait());
    }
  }
}

corespun::task<> shard::clear() {
  store::remains gone = data.clear();
  while (!gone.drop(at_once)) co_await corespun::yield();
}

void shard::wake_sweeper() {
  sleeps_until_ = 0;  // once is enough
  if (woken_) woken_->open();
}

std::unique_ptr<batch> shard::take_batch(unsigned cores) {
  if (spare_batches_.empty()) return std::make_unique<batch>(cores);
  auto b = std::move(spare_batches_.back());
  spare_batches_.pop_back();
  return b;
}

void shard::give_back(std::unique_ptr<batch> b) {
  if (spare_batches_.size() == most_spares || b->held_bytes() > most_spare_bytes) return;
  spare_batches_.push_back(std::move(b));
}

}  // namespace kv
