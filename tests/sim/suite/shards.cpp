// shards: cores call each other, nested and many at once, through mailboxes of little room. Each
// call runs once, on its core, in order; its result, its exception or its end comes back.

#include <corespun/runtime/buggify.hpp>
#include <corespun/runtime/core_ptr.hpp>
#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/event.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/sharded.hpp>
#include <corespun/runtime/sleep.hpp>

#include <chrono>
#include <iterator>
#include <memory>
#include <vector>

#include "tests/sim/suite/suite.hpp"

namespace corespun::suite {
namespace {

using namespace std::chrono_literals;

constexpr const char* probes[] = {
    "a storm of nested calls ended",    "an exception came back",
    "a call was stopped by its limit",  "a call was faster than its limit",
    "calls of one core began in order", "a shard was stopped under calls",
    "an object ended on its core",
};

unsigned any_core() { return sim::choose(this_core::count()); }
auto a_moment() { return std::chrono::microseconds(50 * sim::choose(4)); }

/// Each from inside the one before.
task<int> bounce(int depth) {
  if (sim::choose(4) == 0) co_await sleep_for(a_moment());
  if (depth == 0) co_return 0;
  const unsigned there = any_core();
  const auto further = [there](int left) -> task<int> {
    require(this_core::index() == there, "a call runs on another core");
    auto rest = bounce(left);
    co_return co_await std::move(rest);
  };
  auto call = on_core(there, further, depth - 1);
  co_return 1 + co_await std::move(call);
}

task<> storm() {
  int sum = 0;
  const int tasks = 1 + static_cast<int>(sim::choose(12));
  auto inside = [&](scope& s) -> task<> {
    auto one = [&sum]() -> task<> { sum += co_await bounce(8); };
    for (int i = 0; i < tasks; ++i) (void)s.spawn_on(0, one);
    co_return;
  };
  auto all = with_scope(inside);
  co_await std::move(all);
  require(sum == 8 * tasks, "a call was lost, or ran twice");
  sim::probe("a storm of nested calls ended");
}

struct call_failed {};

task<> throwing() {
  const auto throws = []() -> task<int> {
    if (sim::choose(2) == 0) co_await sleep_for(a_moment());
    throw call_failed();
  };
  try {
    auto call = on_core(any_core(), throws);
    (void)co_await std::move(call);
    require(false, "an exception did not come back");
  } catch (const call_failed&) {
    sim::probe("an exception came back");
  }
}

task<> limited() {
  int inside = 0;
  const auto waits = [&inside]() -> task<int> {
    struct present {
      explicit present(int& count) : n(count) { ++n; }
      ~present() { --n; }
      int& n;
    };
    const present here(inside);
    event never;
    if (sim::choose(3) == 0) co_await never.wait();
    co_await sleep_for(a_moment());
    co_return 1;
  };
  auto call = on_core(any_core(), waits);
  const result<int> ended = co_await with_timeout(a_moment(), std::move(call));
  require(inside == 0, "a call was given up before it had ended");
  sim::probe(ended ? "a call was faster than its limit" : "a call was stopped by its limit");
}

task<> in_order() {
  const unsigned there = any_core();
  std::vector<int> called;
  std::vector<int> began;
  constexpr int n = 30;
  auto inside = [&](scope& s) -> task<> {
    for (int i = 0; i < n; ++i) {
      auto one = [&called, &began, there, i]() -> task<> {
        called.push_back(i);
        auto call = on_core(there, [&began, i] { began.push_back(i); });
        co_await std::move(call);
      };
      (void)s.spawn_on(0, one);
    }
    co_return;
  };
  auto all = with_scope(inside);
  co_await std::move(all);
  require(began == called, "functions were lost, called twice or out of order");
  sim::probe("calls of one core began in order");
}

/// Of its core only.
class tally {
 public:
  explicit tally(int& alive) : alive_(alive), core_(this_core::index()) { ++alive_; }
  tally(const tally&) = delete;
  tally& operator=(const tally&) = delete;
  ~tally() {
    --alive_;
    require(this_core::index() == core_, "a shard ended on another core");
  }
  void add() {
    require(this_core::index() == core_, "a shard is used on another core");
    ++sum_;
  }
  [[nodiscard]] int sum() const { return sum_; }

 private:
  int& alive_;
  unsigned core_;
  int sum_ = 0;
};

task<> stopped_under_calls() {
  int alive = 0;
  int served = 0;
  sharded<tally> tallies;
  co_await tallies.start(std::ref(alive));
  require(alive == static_cast<int>(this_core::count()), "a shard is missing");
  auto inside = [&](scope& s) -> task<> {
    auto one = [&]() -> task<> {
      const auto outer = [&tallies](tally& t) -> task<int> {
        t.add();
        co_await sleep_for(a_moment());
        const auto inner = [](tally& other) { other.add(); };
        auto call = tallies.on(any_core(), inner);
        co_await std::move(call);
        co_return 1;
      };
      auto call = tallies.on(any_core(), outer);
      served += co_await std::move(call);
    };
    for (int i = 0; i < 10; ++i) (void)s.spawn_on(0, one);
    // when all have begun
    co_await sleep_for(1us);
    auto sum = tallies.map_reduce([](tally& t) { return t.sum(); }, 0, std::plus<>());
    require(co_await std::move(sum) <= 20, "there are more calls than were made");
    co_await tallies.stop();
    require(alive == 0, "a shard is left");
  };
  auto all = with_scope(inside);
  co_await std::move(all);
  require(served == 10, "a call was lost by stop()");
  sim::probe("a shard was stopped under calls");
}

task<> owned() {
  int alive = 0;
  const auto make = [&alive]() -> task<core_ptr<tally>> { co_return make_core_ptr<tally>(alive); };
  {
    auto making = on_core(any_core(), make);
    const core_ptr<tally> p = co_await std::move(making);
    auto adding = p.on([](tally& t) { t.add(); });
    co_await std::move(adding);
  }
  while (alive != 0) co_await sleep_for(10us);
  sim::probe("an object ended on its core");
}

task<> rounds(std::shared_ptr<bool> ended) {
  for (unsigned n = 2 + sim::choose(6); n > 0; --n) {
    task<> (*const all[])() = {storm, throwing, limited, in_order, stopped_under_calls, owned};
    auto one = all[sim::choose(std::size(all))]();
    co_await std::move(one);
  }
  *ended = true;
}

void play(sim::world& w) { play_rounds(w, rounds); }

}  // namespace

const scenario shards{"shards", "cores that call each other through small mailboxes", play, probes};

}  // namespace corespun::suite
