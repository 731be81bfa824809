// forks: trees of free tasks, which cores take from each other while they wait, throw, are joined
// and cancelled. Each leaf counts once, each await ends once, and nothing is left behind.

#include <corespun/runtime/affinity.hpp>
#include <corespun/runtime/as_result.hpp>
#include <corespun/runtime/buggify.hpp>
#include <corespun/runtime/channel.hpp>
#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/event.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/select.hpp>
#include <corespun/runtime/sleep.hpp>
#include <corespun/runtime/this_core.hpp>
#include <corespun/runtime/when.hpp>

#include <chrono>
#include <iterator>
#include <memory>
#include <vector>

#include "tests/sim/suite/suite.hpp"

namespace corespun::suite {
namespace {

using namespace std::chrono_literals;

constexpr const char* probes[] = {
    "a task moved",
    "a tree was counted",
    "a tree threw",
    "a tree was stopped by its scope",
    "a tree was stopped by its limit",
    "a tree was faster than its limit",
    "a tree lost against another",
    "more tasks than a lane holds",
    "more woken tasks than a lane holds",
    "a wake came before the cancel",
    "a cancel came before the wake",
    "a join on whatever core",
    "an item went from core to core",
    "a select was decided on another core",
    "a bound task came home from its branches",
};

struct leaf_failed {};

/// What the tasks of one round share. Outlives them.
struct round {
  event gate;    // opens, on some core, sooner or later
  int alive = 0;  // frames of tasks
  int leaves = 0;  // that came to their end
  unsigned throws_one_in = 0;  // leaves; 0: none
};

/// In the frame of each task.
class present {
 public:
  explicit present(round& r) : round_(r) { ++round_.alive; }
  present(const present&) = delete;
  present& operator=(const present&) = delete;
  ~present() { --round_.alive; }

 private:
  round& round_;
};

unsigned any_core() { return sim::choose(this_core::count()); }
auto a_moment() { return std::chrono::microseconds(50 * sim::choose(4)); }

task<int> leaf(round& r) {
  const present here(r);
  const unsigned core = this_core::index();
  switch (sim::choose(6)) {
    case 0: co_await yield(); break;
    case 1: co_await sleep_for(a_moment()); break;
    case 2: co_await r.gate.wait(); break;
    case 3: {
      auto both = when_all(yield(), yield());
      (void)co_await std::move(both);
      break;
    }
    default: break;
  }
  if (this_core::index() != core) sim::probe("a task moved");
  if (r.throws_one_in != 0 && sim::choose(r.throws_one_in) == 0) throw leaf_failed();
  ++r.leaves;
  co_return 1;
}

/// As many as there are leaves.
task<int> tree(round& r, unsigned depth) {
  const present here(r);
  if (depth == 0) {
    auto one = leaf(r);
    co_return co_await std::move(one);
  }
  if (sim::choose(2) == 0) {
    auto both = when_all(tree(r, depth - 1), leaf(r), leaf(r));
    const auto [a, b, c] = co_await std::move(both);
    co_return a + b + c;
  }
  std::vector<task<int>> branches;
  for (unsigned n = 1 + sim::choose(5); n > 0; --n) branches.push_back(tree(r, depth - 1));
  auto all = when_all(std::move(branches));
  int sum = 0;
  for (const int n : co_await std::move(all)) sum += n;
  co_return sum;
}

task<> open_gate(round& r) {
  co_await sleep_for(a_moment());
  r.gate.open();
}

/// Runs fn beside a task that opens the gate, and looks whether all is gone after.
template <typename Fn>
task<> with_gate(round& r, Fn fn) {
  auto inside = [&r, &fn](scope& s) -> task<> {
    if (sim::choose(2) == 0) {
      (void)s.spawn_on(any_core(), open_gate, std::ref(r));
    } else {
      (void)s.spawn(open_gate, std::ref(r));
    }
    auto work = fn();
    co_await std::move(work);
  };
  auto all = with_scope(std::move(inside));
  co_await std::move(all);
  require(r.alive == 0, "frames of ended tasks are left");
}

task<> counted() {
  round r;
  auto work = [&r]() -> task<> {
    auto all = tree(r, 3);
    const int sum = co_await std::move(all);
    require(sum == r.leaves, "a branch was counted twice, or not at all");
    require(r.alive == 0, "an await of branches ended before them");
    sim::probe("a tree was counted");
  };
  auto all = with_gate(r, work);
  co_await std::move(all);
}

task<> throwing() {
  round r;
  r.throws_one_in = 1 + sim::choose(20);
  auto work = [&r]() -> task<> {
    try {
      auto all = tree(r, 3);
      (void)co_await std::move(all);
    } catch (const leaf_failed&) {
      sim::probe("a tree threw");
    }
    require(r.alive == 0, "an await of branches threw before they ended");
  };
  auto all = with_gate(r, work);
  co_await std::move(all);
}

task<> stopped_by_a_scope() {
  round r;
  auto work = [&r]() -> task<> {
    bool whole = false;
    auto inside = [&](scope& s) -> task<> {
      auto cancels = [&s]() -> task<> {
        co_await sleep_for(a_moment());
        s.cancel();
      };
      for (int n = 0; n < 3; ++n) (void)s.spawn(tree, std::ref(r), 2U);
      if (sim::choose(2) == 0) {
        (void)s.spawn_on(any_core(), cancels);
      } else {
        (void)s.spawn(cancels);
      }
      auto all = tree(r, 3);
      (void)co_await std::move(all);
      whole = true;
    };
    auto all = with_scope(std::move(inside));
    co_await std::move(all);
    require(r.alive == 0, "a scope ended before its tasks");
    if (!whole) sim::probe("a tree was stopped by its scope");
  };
  auto all = with_gate(r, work);
  co_await std::move(all);
}

task<> stopped_by_a_limit() {
  round r;
  auto work = [&r]() -> task<> {
    auto all = tree(r, 3);
    const result<int> sum = co_await with_timeout(a_moment(), std::move(all));
    if (sum) require(*sum == r.leaves, "a tree was in time and yet not whole");
    sim::probe(sum ? "a tree was faster than its limit" : "a tree was stopped by its limit");
    require(r.alive == 0, "a limit was not awaited");
  };
  auto all = with_gate(r, work);
  co_await std::move(all);
}

task<> raced() {
  round r;
  auto work = [&r]() -> task<> {
    std::vector<task<int>> branches;
    for (unsigned n = 2 + sim::choose(3); n > 0; --n) branches.push_back(tree(r, sim::choose(3)));
    auto first = when_any(std::move(branches));
    const auto ended = co_await std::move(first);
    require(ended.outcomes[ended.index].has_value(), "who won has no value");
    for (const outcome<int>& o : ended.outcomes) {
      if (o.stopped()) sim::probe("a tree lost against another");
    }
    require(r.alive == 0, "a loser was not awaited");
  };
  auto all = with_gate(r, work);
  co_await std::move(all);
}

/// The loser waits on a core of its own, and never ends by itself.
task<> lost_elsewhere() {
  auto waits = []() -> task<int> {
    co_await resume_on(any_core());
    event never;
    co_await never.wait();
    co_return 0;
  };
  auto wins = []() -> task<int> {
    co_await sleep_for(a_moment());
    co_return 1;
  };
  auto first = when_any(waits, wins);
  const auto ended = co_await std::move(first);
  require(ended.index == 1, "who never ends has won");
}

task<> many() {
  round r;
  auto work = [&r]() -> task<> {
    constexpr int n = 300;
    auto inside = [&r](scope& s) -> task<> {
      for (int i = 0; i < n; ++i) (void)s.spawn(leaf, std::ref(r));
      sim::probe("more tasks than a lane holds");
      co_return;
    };
    auto all = with_scope(inside);
    co_await std::move(all);
    require(r.leaves == n, "a spawned task was lost, or ran twice");
  };
  auto all = with_gate(r, work);
  co_await std::move(all);
}

/// All are woken by the last one, at once, and go on a few times.
task<> crowd() {
  constexpr int n = 600;
  event all_are_here;
  int here = 0;
  int gone = 0;
  auto inside = [&](scope& s) -> task<> {
    auto one = [&]() -> task<> {
      if (++here == n) all_are_here.open();
      co_await all_are_here.wait();
      for (int i = 0; i < 3; ++i) co_await yield();
      ++gone;
    };
    for (int i = 0; i < n; ++i) (void)s.spawn(one);
    co_return;
  };
  auto all = with_scope(inside);
  co_await std::move(all);
  require(gone == n, "a task that was woken was lost");
  sim::probe("more woken tasks than a lane holds");
}

task<> wait_and_count(round& r, int& woken, int& stopped) {
  const present here(r);
  auto wait = [&r]() -> task<> { co_await r.gate.wait(); };
  const result<> passed = co_await as_result(wait);
  ++(passed ? woken : stopped);
}

/// Each wait ends once, by the wake or by the cancel; and who joins it learns which.
task<> wakes_and_cancels() {
  round r;
  int woken = 0;
  int stopped = 0;
  int unbegun = 0;
  constexpr int n = 6;
  auto work = [&]() -> task<> {
    auto inside = [&](scope& s) -> task<> {
      auto watch = [&](task_handle<void> h) -> task<> {
        if (sim::choose(2) == 0) co_await sleep_for(a_moment());
        h.cancel();
        const outcome<void> o = co_await h.join();
        sim::probe("a join on whatever core");
        if (o.stopped()) ++unbegun;
      };
      for (int i = 0; i < n; ++i) {
        auto h = s.spawn(wait_and_count, std::ref(r), std::ref(woken), std::ref(stopped));
        (void)s.spawn(watch, std::move(h));
      }
      co_return;
    };
    auto all = with_scope(inside);
    co_await std::move(all);
  };
  auto all = with_gate(r, work);
  co_await std::move(all);
  if (woken != 0) sim::probe("a wake came before the cancel");
  if (stopped != 0) sim::probe("a cancel came before the wake");
  require(woken + stopped + unbegun == n, "a wait ended twice, or never");
}

/// The last branch ends where the others did, while the cancel looks for it on another core.
task<> woken_under_a_cancel() {
  round r;
  auto work = [&r]() -> task<> {
    for (int i = 0; i < 4; ++i) {
      event gate;
      auto inside = [&](scope& s) -> task<> {
        auto ends_both = [&]() -> task<> {
          co_await sleep_for(a_moment());
          s.cancel();
          gate.open();
        };
        (void)s.spawn(ends_both);
        auto wanders = [&]() -> task<> {
          const present here(r);
          for (unsigned n = sim::choose(4); n > 0; --n) co_await yield();
          co_await gate.wait();
        };
        auto at_once = []() -> task<> { co_return; };
        auto both = when_all(at_once, wanders);
        (void)co_await std::move(both);
      };
      auto all = with_scope(inside);
      co_await std::move(all);
      require(r.alive == 0, "a branch was not awaited");
    }
  };
  auto all = with_gate(r, work);
  co_await std::move(all);
}

/// A wait of two: one of both takes effect, whichever core decides it.
task<> selects() {
  round r;
  channel<int> items(2);
  int sending = 3;
  int sent = 0;
  int got = 0;
  auto work = [&]() -> task<> {
    auto inside = [&](scope& s) -> task<> {
      auto sends = [&]() -> task<> {
        const present here(r);
        for (int i = 0; i < 3; ++i) {
          if (sim::choose(2) == 0) co_await sleep_for(a_moment());
          const result<> took = co_await items.send(1);
          if (took) ++sent;
        }
        --sending;
      };
      auto receives = [&]() -> task<> {
        const present here(r);
        const unsigned core = this_core::index();
        for (bool more = true; more;) {
          auto first = co_await select(items.recv(), sleep_for(1ms));
          more = first.index() == 0 || sending > 0;
          if (this_core::index() != core) sim::probe("a select was decided on another core");
          if (first.index() == 0 && std::get<0>(first)) ++got;
        }
      };
      for (int i = 0; i < 3; ++i) {
        (void)s.spawn(sends);
        (void)s.spawn(receives);
      }
      co_return;
    };
    auto all = with_scope(inside);
    co_await std::move(all);
    while (items.try_recv()) ++got;
  };
  auto all = with_gate(r, work);
  co_await std::move(all);
  sim::probe("an item went from core to core");
  require(sent == got, "an item was lost, or came twice");
}

/// A task that is bound goes on where it was, wherever its branches ended.
task<> bound() {
  round r;
  auto work = [&r]() -> task<> {
    auto inside = [&r](scope& s) -> task<> {
      auto stays = [&r]() -> task<> {
        const present here(r);
        const unsigned core = this_core::index();
        auto away = [&r]() -> task<int> {
          const present here(r);
          co_await resume_on(any_core());
          if (sim::choose(2) == 0) co_await resume_anywhere();
          auto below = tree(r, 1);
          co_return co_await std::move(below);
        };
        auto both = when_all(away, away);
        (void)co_await std::move(both);
        require(this_core::index() == core, "a bound task has moved");
        sim::probe("a bound task came home from its branches");
      };
      for (int i = 0; i < 3; ++i) (void)s.spawn_on(any_core(), stays);
      co_return;
    };
    auto all = with_scope(inside);
    co_await std::move(all);
  };
  auto all = with_gate(r, work);
  co_await std::move(all);
}

task<> rounds(std::shared_ptr<bool> ended) {
  for (unsigned n = 2 + sim::choose(6); n > 0; --n) {
    task<> (*const all[])() = {counted,
                               throwing,
                               stopped_by_a_scope,
                               stopped_by_a_limit,
                               raced,
                               wakes_and_cancels,
                               woken_under_a_cancel,
                               selects,
                               lost_elsewhere,
                               bound};
    auto one = all[sim::choose(std::size(all))]();
    co_await std::move(one);
  }
  if (sim::choose(8) == 0) {
    task<> (*const fills_a_lane)() = sim::choose(2) == 0 ? many : crowd;
    auto lanes_full = fills_a_lane();
    co_await std::move(lanes_full);
  }
  *ended = true;
}

void play(sim::world& w) { play_rounds(w, rounds); }

}  // namespace

const scenario forks{"forks", "trees of free tasks, which cores steal from each other", play,
                     probes};

}  // namespace corespun::suite
