// scopes: trees of scopes whose tasks run on all cores, wait, throw, are joined and cancelled from
// anywhere. A scope ends after its tasks, throws if one of them did, and nothing is left behind.

#include <corespun/runtime/buggify.hpp>
#include <corespun/runtime/event.hpp>
#include <corespun/runtime/offload.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/sleep.hpp>
#include <corespun/runtime/this_core.hpp>

#include <chrono>
#include <memory>
#include <vector>

#include "tests/sim/suite/suite.hpp"

namespace corespun::suite {
namespace {

using namespace std::chrono_literals;

constexpr const char* probes[] = {
    "a join found the value",
    "a join found the exception",
    "a join found a stopped task",
    "a join on another core",
    "a task was cancelled from another core",
    "a scope was cancelled from another core",
    "a scope was cancelled by its body",
    "a scope was cancelled from outside",
    "a scope rethrew what a task threw",
    "a scope rethrew what its body threw",
    "a helper was called",
    "an exit handler ran",
    "a task moved",
};

struct tree {
  scope* open = nullptr;  // the one whose body began last, while that lasts
  event gate;   // opens, on some core, sooner or later
  event never;
  int alive = 0;  // counted objects
  int next_id = 0;
  unsigned throws_one_in = 1;  // tasks
  unsigned cancels_one_in = 1;  // tasks and scopes
  bool wrong = false;  // what cannot be thrown where it is seen
};

class counted {
 public:
  explicit counted(tree& t) : tree_(&t) { ++tree_->alive; }
  counted(const counted& other) noexcept : tree_(other.tree_) { ++tree_->alive; }
  counted& operator=(const counted&) = delete;
  ~counted() { --tree_->alive; }

 private:
  tree* tree_;
};

struct planned {
  int id;
};

/// What a branch knows of its scope. Outlives the scope, whatever ends it.
struct ledger {
  explicit ledger(tree& t) : all(t) {}
  ledger(const ledger&) = delete;
  ledger& operator=(const ledger&) = delete;
  ~ledger() {
    if (tasks != 0 || exits != 0) all.wrong = true;
  }
  tree& all;
  int tasks = 0;
  int exits = 0;  // handlers that still have to run
  bool threw = false;
};

/// In the frame of each task.
class present {
 public:
  explicit present(ledger& l) : ledger_(l), here_(l.all) { ++ledger_.tasks; }
  present(const present&) = delete;
  present& operator=(const present&) = delete;
  ~present() { --ledger_.tasks; }

 private:
  ledger& ledger_;
  counted here_;
};

bool one_in(unsigned n) { return sim::choose(n) == n - 1; }
unsigned any_core() { return sim::choose(this_core::count()); }

task<> branch(tree& t, unsigned depth);

/// Bound to any core, or free.
template <typename... A>
auto spawn_somewhere(scope& s, bool bound, A... what) {
  return bound ? s.spawn_on(any_core(), std::move(what)...) : s.spawn(std::move(what)...);
}

task<int> child(ledger& l, int id, unsigned depth, bool bound) {
  const present here(l);
  const unsigned core = this_core::index();
  switch (sim::choose(7)) {
    case 0: break;
    case 1: co_await yield(); break;
    case 2: co_await sleep_for(std::chrono::microseconds(sim::choose(500))); break;
    case 3: co_await l.all.gate.wait(); break;
    case 4: {
      const auto call = [own = counted(l.all)] { return 7; };
      sim::probe("a helper was called");
      const int seven = co_await offload(call);
      require(seven == 7, "a helper returned something else");
      break;
    }
    default:
      if (depth == 0) break;
      auto below = branch(l.all, depth - 1);
      co_await std::move(below);
  }
  if (this_core::index() != core) {
    require(!bound, "a bound task has moved");
    sim::probe("a task moved");
  }
  if (one_in(l.all.throws_one_in)) {
    l.threw = true;
    throw planned{id};
  }
  co_return id;
}

/// Ends only by a cancel.
task<int> endless(ledger& l) {
  const present here(l);
  co_await l.all.never.wait();
  l.all.wrong = true;
  co_return 0;
}

struct joined {
  joined(task_handle<int> h, int i, scope& s) : handle(std::move(h)), id(i), in(&s) {}
  task_handle<int> handle;
  int id;
  scope* in;
  bool cancelled = false;
};

task<> join(joined j) {
  outcome<int> o = co_await j.handle.join();
  if (o.has_value()) {
    sim::probe("a join found the value");
    require(std::move(o).value() == j.id, "a join found the value of another task");
  } else if (o.failed()) {
    sim::probe("a join found the exception");
  } else {
    sim::probe("a join found a stopped task");
    require(j.cancelled || j.in->cancelled(), "a task was stopped and nobody had cancelled it");
  }
}

task<> join_elsewhere(ledger& l, joined j) {
  const present here(l);
  sim::probe("a join on another core");
  auto all = join(std::move(j));
  co_await std::move(all);
}

task<> cancel_task(ledger& l, task_handle<int> h) {
  const present here(l);
  if (sim::choose(2) == 0) co_await yield();
  sim::probe("a task was cancelled from another core");
  h.cancel();
}

task<> cancel_scope(ledger& l, scope& s) {
  const present here(l);
  if (sim::choose(2) == 0) co_await sleep_for(std::chrono::microseconds(sim::choose(300)));
  sim::probe("a scope was cancelled from another core");
  s.cancel();
}

task<> at_exit(ledger& l) {
  require(l.tasks == 0, "an exit handler runs beside a task");
  if (sim::choose(2) == 0) co_await sleep_for(1ms);
  --l.exits;
  sim::probe("an exit handler ran");
}

task<> spawn_one(ledger& l, scope& s, unsigned depth) {
  const int id = l.all.next_id++;
  const bool ends = !one_in(l.all.cancels_one_in);
  const bool bound = sim::choose(2) == 0;
  auto handle = ends ? spawn_somewhere(s, bound, child, std::ref(l), id, depth, bound)
                     : spawn_somewhere(s, bound, endless, std::ref(l));
  if (!ends) {
    (void)spawn_somewhere(s, bound, cancel_task, std::ref(l), std::move(handle));
    co_return;
  }
  joined j(std::move(handle), id, s);
  if (one_in(l.all.cancels_one_in)) {
    j.cancelled = true;
    j.handle.cancel();
  }
  switch (sim::choose(3)) {
    case 0: break;
    case 1: (void)spawn_somewhere(s, bound, join_elsewhere, std::ref(l), std::move(j)); break;
    default: auto here = join(std::move(j)); co_await std::move(here);
  }
}

/// Lets others see a scope as long as its body lasts.
class shown {
 public:
  shown(tree& t, scope& s) : tree_(t), scope_(s) { tree_.open = &s; }
  shown(const shown&) = delete;
  shown& operator=(const shown&) = delete;
  ~shown() {
    if (tree_.open == &scope_) tree_.open = nullptr;
  }

 private:
  tree& tree_;
  scope& scope_;
};

task<> body(ledger& l, scope& s, unsigned depth) {
  const counted here(l.all);
  const shown to_others(l.all, s);
  if (sim::choose(4) == 0) {
    ++l.exits;
    s.on_exit(at_exit, std::ref(l));
  }
  for (unsigned n = 1 + sim::choose(4); n > 0; --n) {
    auto one = spawn_one(l, s, depth);
    co_await std::move(one);
  }
  if (one_in(l.all.cancels_one_in))
    (void)s.spawn_on(any_core(), cancel_scope, std::ref(l), std::ref(s));
  if (one_in(l.all.cancels_one_in)) {
    sim::probe("a scope was cancelled by its body");
    (void)s.spawn_on(any_core(), endless, std::ref(l));
    s.cancel();
  }
  if (one_in(l.all.throws_one_in)) {
    sim::probe("a scope rethrew what its body threw");
    (void)s.spawn_on(any_core(), endless, std::ref(l));
    l.threw = true;
    throw planned{-1};
  }
}

task<> branch(tree& t, unsigned depth) {
  ledger l(t);
  const counted here(t);
  bool thrown = false;
  auto inside = [&l, depth](scope& s) { return body(l, s, depth); };
  try {
    auto all = with_scope(inside);
    co_await std::move(all);
  } catch (const planned&) {
    thrown = true;
  }
  if (thrown) sim::probe("a scope rethrew what a task threw");
  require(thrown == l.threw, thrown ? "a scope threw what nobody had thrown"
                                    : "a scope did not throw what a task had thrown");
}

task<> open_gate(tree& t) {
  co_await sleep_for(std::chrono::microseconds(sim::choose(1000)));
  t.gate.open();
}

task<> cancel_some(tree& t) {
  for (unsigned n = sim::choose(2) * sim::choose(4); n > 0; --n) {
    co_await sleep_for(std::chrono::microseconds(sim::choose(300)));
    if (t.open == nullptr) continue;
    sim::probe("a scope was cancelled from outside");
    t.open->cancel();
  }
}

task<> cancel_the_short(tree& t) {
  for (int n = 0; n < 8; ++n) {
    co_await sleep_for(50us);
    if (t.open != nullptr) t.open->cancel();
  }
}

/// Their bodies end at about the time at which a cancel is on its way to them.
task<> short_scopes(tree& t) {
  for (int n = 0; n < 8; ++n) {
    auto inside = [&t](scope& s) -> task<> {
      const shown to_others(t, s);
      co_await sleep_for(50us);
    };
    auto one = with_scope(inside);
    co_await std::move(one);
  }
}

/// One after the other, so that cores fall asleep and are woken.
task<> trees(std::shared_ptr<int> left) {
  tree small;
  auto racing = [&small](scope& s) -> task<> {
    (void)s.spawn_on(any_core(), cancel_the_short, std::ref(small));
    auto short_ones = short_scopes(small);
    co_await std::move(short_ones);
  };
  auto races = with_scope(racing);
  co_await std::move(races);
  for (unsigned n = 1 + sim::choose(6); n > 0; --n) {
    tree t;
    t.throws_one_in = 6 + sim::choose(100);
    t.cancels_one_in = 4 + sim::choose(100);
    auto inside = [&t](scope& s) -> task<> {
      (void)s.spawn_on(any_core(), open_gate, std::ref(t));
      (void)s.spawn_on(any_core(), cancel_some, std::ref(t));
      auto top = branch(t, 3);
      co_await std::move(top);
    };
    auto all = with_scope(inside);
    co_await std::move(all);
    require(!t.wrong, "a scope ended before its tasks or its exit handlers");
    *left += t.alive;
  }
}

void play(sim::world& w) {
  const auto left = std::make_shared<int>(0);
  (void)w.host("10.0.0.1", [left] { return trees(left); }, 1 + w.choose(8));
  w.run(1h);
  require(*left == 0, "objects of ended tasks are left");
}

}  // namespace

const scenario scopes{"scopes", "trees of tasks on all cores, joined and cancelled from anywhere",
                      play, probes};

}  // namespace corespun::suite
