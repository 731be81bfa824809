#include <corespun/io/sim.hpp>

#include <corespun/io/detail/sim_driver.hpp>
#include <corespun/runtime/detail/played_main.hpp>
#include <corespun/runtime/detail/report.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace corespun::sim {
namespace {

/// A process: from the start of its main until its last core has ended.
struct process {
  process(detail::sim_network& net, std::string address) : kernel(net, std::move(address)) {}

  detail::sim_host kernel;
  std::unique_ptr<runtime> cores;
  detail::root main;
  std::unique_ptr<detail::played_main> played;
  bool told = false;  // that its main threw
};

std::string text_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "an exception that is no std::exception";
  }
}

}  // namespace

struct machine::state {
  std::string address;
  unsigned cores = 1;
  io_options io;
  std::function<task<>()> main;
  std::unique_ptr<process> running;             // nullptr: killed
  std::vector<std::unique_ptr<process>> dying;  // killed, and not yet at their end

  template <typename Fn>
  void for_each_process(Fn fn) {
    for (const auto& p : dying) fn(*p);
    if (running != nullptr) fn(*running);
  }
};

struct world::parts {
  explicit parts(std::unique_ptr<chance> own, chance* other)
      : owned(std::move(own)), all(other != nullptr ? *other : *owned), net(all) {
    watch.wrong = [this](std::string text) {
      if (wrong.empty()) wrong = std::move(text);
    };
    watch.left_over = [this](const std::string& text) {
      if (wrong.empty()) wrong = text;
    };
  }

  template <typename Fn>
  void for_each_process(Fn fn) {
    for (const auto& m : machines) m->for_each_process(fn);
  }
  [[nodiscard]] bool all_ended() {
    bool ended = true;
    for_each_process([&](const process& p) { ended = ended && p.played->ended(); });
    return ended;
  }

  std::unique_ptr<chance> owned;
  detail::simulation all;
  detail::sim_network net;
  detail::sim_watch watch;
  std::string wrong;    // the first thing that went wrong
  bool failed = false;  // somebody was told
  std::vector<std::unique_ptr<machine::state>> machines;
};

const std::string& machine::address() const noexcept { return state_->address; }
bool machine::ended() const noexcept {
  return state_->running == nullptr || state_->running->played->ended();
}

path& path::latency(clock::duration shortest, clock::duration longest) {
  for (detail::sim_link* const l :
       {&world_.parts_->net.link(a_, b_), &world_.parts_->net.link(b_, a_)}) {
    l->shortest = shortest;
    l->longest = longest;
  }
  return *this;
}

path& path::loss(double share) {
  const auto lost = static_cast<std::uint32_t>(std::lround(1000 * std::clamp(share, 0.0, 1.0)));
  world_.parts_->net.link(a_, b_).lost = world_.parts_->net.link(b_, a_).lost = lost;
  return *this;
}

world::world(std::uint64_t seed)
    : parts_(std::make_unique<parts>(std::make_unique<seeded>(seed), nullptr)) {}
world::world(chance& c) : parts_(std::make_unique<parts>(nullptr, &c)) {}

world::~world() {
  try {
    finish();
  } catch (const failure& f) {
    std::fprintf(stderr, "corespun: %s\n", f.what());
  }
}

machine world::add(std::string address, unsigned cores, io_options io, main_function main) {
  auto s = std::make_unique<machine::state>();
  s->address = std::move(address);
  s->cores = cores;
  s->io = io;
  s->main = std::move(main);
  start(*s);
  parts_->machines.push_back(std::move(s));
  return machine(*parts_->machines.back());
}

void world::start(machine::state& s) {
  auto p = std::make_unique<process>(parts_->net, s.address);
  runtime_options options;
  options.cores = s.cores;
  options.simulation = &parts_->all;
  options.driver = [this, &s, kernel = &p->kernel](unsigned) {
    return detail::make_sim_driver(s.io, *kernel, parts_->watch);
  };
  p->cores = std::make_unique<runtime>(options);
  p->played =
      std::make_unique<detail::played_main>(p->main, *p->cores->inner().cores.front(),
                                            s.main().release(), options.affinity == affinity::core);
  s.running = std::move(p);
}

path world::link(machine a, machine b) { return path(*this, a.address(), b.address()); }

void world::set(faults f) noexcept {
  parts_->net.short_one_in = f.short_transfers;
  parts_->net.reset_one_in = f.resets;
}

void world::partition(machine a, machine b) {
  parts_->net.link(a.address(), b.address()).cut = true;
  parts_->net.link(b.address(), a.address()).cut = true;
}
void world::heal() { parts_->net.heal(); }

void world::kill(machine m) {
  machine::state& s = *m.state_;
  if (s.running == nullptr) return;
  resume(m);
  s.running->kernel.die();
  s.running->played->cancel();
  s.dying.push_back(std::move(s.running));
}

void world::restart(machine m) {
  kill(m);
  start(*m.state_);
}

void world::pause(machine m) {
  if (m.state_->running == nullptr) return;
  for (const auto& c : m.state_->running->cores->inner().cores) parts_->all.halt(*c, true);
}
void world::resume(machine m) {
  if (m.state_->running == nullptr) return;
  for (const auto& c : m.state_->running->cores->inner().cores) parts_->all.halt(*c, false);
}

void world::fail(const std::string& what) {
  parts_->failed = true;
  throw failure(what);
}

void world::note_errors() {
  parts_->for_each_process([&](process& p) {
    if (!p.played->ended() || std::exchange(p.told, true) || !p.main.error()) return;
    if (!p.kernel.alive()) return;  // killed: what it says reaches nobody
    parts_->watch.wrong("main of " + p.kernel.address() + " threw: " + text_of(p.main.error()));
  });
}

/// What the drivers and the mains have to complain about.
void world::check() {
  note_errors();
  if (!parts_->failed && !parts_->wrong.empty()) fail(parts_->wrong);
}

void world::play_until(const std::function<bool()>& done) {
  while (!done()) {
    if (!parts_->all.step()) fail("nothing can run, and these tasks still wait:\n" + waiting());
    check();
  }
}

void world::run_until(const std::function<bool()>& done, clock::duration limit) {
  const clock::time_point end = now() + limit;
  play_until([&] { return done() || now() > end; });
  if (!done())
    fail("the condition did not hold after " +
         std::to_string(std::chrono::duration<double>(limit).count()) + " s; these tasks wait:\n" +
         waiting());
}

void world::run(clock::duration limit) {
  run_until([this] { return parts_->all_ended(); }, limit);
}

void world::run_for(clock::duration d) {
  const clock::time_point end = now() + d;
  parts_->all.at(end, this, [] {});  // so that the clock stops there
  play_until([&] { return now() >= end; });
}

void world::finish() {
  parts& w = *parts_;
  heal();
  for (const auto& m : w.machines) resume(machine(*m));
  w.for_each_process([](process& p) { p.played->cancel(); });
  w.all.wake_all();
  if (!w.all.run_until([&] { return w.all_ended(); })) {
    std::fprintf(stderr, "corespun: these tasks were cancelled and do not end:\n%s",
                 waiting().c_str());
    std::abort();
  }
  note_errors();
  w.for_each_process([](process& p) { p.cores.reset(); });
  w.for_each_process([&](const process& p) {
    if (p.kernel.descriptors() != 0)
      w.watch.left_over(p.kernel.address() + " still has " +
                        std::to_string(p.kernel.descriptors()) + " descriptors");
  });
  w.for_each_process([](process& p) { p.kernel.die(); });
  w.all.forget(&w.net);  // what is still under way
  for (const auto& m : w.machines) {
    m->running.reset();
    m->dying.clear();
  }
  check();
}

clock::time_point world::now() const noexcept { return parts_->all.now(); }
std::uint32_t world::choose(std::uint32_t n) { return parts_->all.choose(n, site::user); }
std::uint64_t world::trace_hash() const noexcept { return parts_->all.hash(); }
const std::vector<std::uint32_t>& world::choices() const noexcept { return parts_->all.choices(); }
const std::set<std::string>& world::reached() const noexcept { return parts_->all.probes(); }

std::string world::waiting() const {
  std::string text;
  parts_->for_each_process([&](process& p) {
    text += " " + p.kernel.address() + (p.kernel.alive() ? "" : ", killed") + "\n" +
            detail::waiting_tasks(p.main);
  });
  return text;
}

// --- runs ---

namespace {

std::uint64_t run_once(chance& c, const std::function<void(world&)>& test) {
  world w(c);
  test(w);
  w.finish();
  return w.trace_hash();
}

}  // namespace

void run(std::uint64_t seed, const std::function<void(world&)>& test) {
  const std::string where = "seed " + std::to_string(seed) + ": ";
  const auto once = [&] {
    seeded c(seed);
    try {
      return run_once(c, test);
    } catch (const std::exception& e) {
      throw failure(where + e.what());
    }
  };
  const std::uint64_t first = once();
  if (once() != first) {
    throw failure(where +
                  "two runs differ: something depends on real time, addresses or other chance");
  }
}

std::size_t run_all(const std::function<void(world&)>& test, std::size_t most) {
  exhaustive all;
  std::size_t runs = 0;
  bool more = true;
  while (more && runs < most) {
    ++runs;
    world w(all);
    try {
      test(w);
      w.finish();
    } catch (const std::exception& e) {
      std::string path;
      for (const std::uint32_t c : w.choices()) path += " " + std::to_string(c);
      throw failure("run " + std::to_string(runs) + ", choices" + path + ": " + e.what());
    }
    more = all.next();
  }
  return runs;
}

}  // namespace corespun::sim
