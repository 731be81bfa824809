// The simulation finds the planted bug, and what docs/simulation.md says about it holds.

#include "tests/sim/planted/counter.hpp"

#include <corespun/io/sim.hpp>
#include <corespun/runtime/this_core.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

namespace corespun::planted {
namespace {

using namespace std::chrono_literals;

struct shared {
  explicit shared(repeated what) : all(what) {}
  counter all;
  unsigned finished = 0;
};

task<> add_up_to(std::shared_ptr<shared> s, unsigned client, unsigned most) {
  co_await sleep_for(1s);  // the server listens
  for (unsigned n = 1; n <= most; ++n) {
    auto one = add(*address::parse("10.0.0.1:7000"), client, n, n);
    co_await std::move(one);
  }
  ++s->finished;
}

/// Two clients add 1, 2 and 3 each, while connections break.
void play(sim::world& w, repeated what) {
  const auto s = std::make_shared<shared>(what);
  (void)w.host("10.0.0.1", [s] { return counter_server(s->all); });
  for (unsigned client = 1; client <= 2; ++client) {
    (void)w.host("10.0.1." + std::to_string(client),
                 [s, client] { return add_up_to(s, client, 3); });
  }
  sim::faults broken;
  broken.resets = 50;
  w.set(broken);
  w.run_until([&] { return s->finished == 2; });
  if (s->all.total() != 12)
    throw sim::failure("the total is " + std::to_string(s->all.total()) + " and not 12");
}

std::optional<std::string> failure_of(std::uint64_t seed, repeated what) {
  try {
    sim::run(seed, [what](sim::world& w) { play(w, what); });
  } catch (const sim::failure& f) {
    return f.what();
  }
  return std::nullopt;
}

TEST(planted, an_addition_that_is_repeated_is_found_and_its_seed_shows_it_again) {
  std::uint64_t seed = 1;
  std::optional<std::string> first;
  while (!first && seed <= 100) first = failure_of(seed++, repeated::is_added_again);
  ASSERT_TRUE(first);
  std::printf("%s\n", first->c_str());
  EXPECT_EQ(failure_of(seed - 1, repeated::is_added_again), first);
}

TEST(planted, a_request_that_is_known_again_is_added_once_for_every_seed) {
  std::set<std::string> reached;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    sim::run(seed, [&](sim::world& w) {
      play(w, repeated::is_known_again);
      reached.insert(w.reached().begin(), w.reached().end());
    });
  }
  EXPECT_EQ(reached, (std::set<std::string>{"a client asks again", "a request came twice"}));
}

// The other classic: what was read before a wait is written after it.
task<> increment(int& value) {
  const int seen = value;
  co_await yield();
  value = seen + 1;
}

task<> increment_twice(int& value) {
  auto inside = [&value](scope& s) -> task<> {
    (void)s.spawn(increment, std::ref(value));
    (void)s.spawn(increment, std::ref(value));
    co_return;
  };
  auto both = with_scope(inside);
  co_await std::move(both);
}

TEST(planted, every_order_of_two_increments_is_tried) {
  std::set<int> totals;
  const std::size_t runs = sim::run_all([&](sim::world& w) {
    const auto value = std::make_shared<int>(0);
    (void)w.host("10.0.0.1", [value] { return increment_twice(*value); });
    w.run();
    totals.insert(*value);
  });
  std::printf("%zu runs\n", runs);
  EXPECT_EQ(totals, (std::set<int>{1, 2}));
}

}  // namespace
}  // namespace corespun::planted
