// fork_lane: the owner takes the newest, thieves the oldest, each root comes out once.

#include <corespun/runtime/detail/fork_lane.hpp>

#include <gtest/gtest.h>

#include <array>
#include <span>
#include <vector>

#include "tests/support/lane_stress.hpp"
#include "tests/support/sim_machine.hpp"

namespace corespun::detail {
namespace {

constexpr auto capacity = static_cast<std::size_t>(fork_lane::capacity);

/// What a thief gets who wants one; nullptr: nothing.
root* steal_one(fork_lane& lane) {
  root* r = nullptr;
  return lane.steal(std::span(&r, 1)) == 1 ? r : nullptr;
}

TEST(fork_lane, is_empty_from_the_start) {
  fork_lane lane;
  EXPECT_EQ(lane.size(), 0u);
  EXPECT_EQ(lane.pop(), nullptr);
  EXPECT_EQ(steal_one(lane), nullptr);
}

TEST(fork_lane, its_owner_takes_the_newest_and_thieves_the_oldest) {
  fork_lane lane;
  std::array<root, 4> r;
  for (root& one : r) ASSERT_TRUE(lane.push(one));
  EXPECT_EQ(lane.size(), 4u);
  EXPECT_EQ(lane.pop(), &r[3]);
  EXPECT_EQ(steal_one(lane), &r[0]);
  EXPECT_EQ(lane.pop(), &r[2]);
  EXPECT_EQ(steal_one(lane), &r[1]);
  EXPECT_EQ(lane.pop(), nullptr);
  EXPECT_EQ(steal_one(lane), nullptr);
}

TEST(fork_lane, a_thief_takes_half_the_last_one_included) {
  for (std::size_t n = 1; n <= capacity; ++n) {
    fork_lane lane;
    std::vector<root> r(n);
    for (root& one : r) ASSERT_TRUE(lane.push(one));
    std::array<root*, capacity> some;
    const std::size_t taken = lane.steal(some);
    ASSERT_EQ(taken, (n + 1) / 2);
    for (std::size_t i = 0; i < taken; ++i) ASSERT_EQ(some[i], &r[i]);
    ASSERT_EQ(lane.size(), n - taken);
  }
}

TEST(fork_lane, its_owner_can_take_the_oldest) {
  fork_lane lane;
  std::array<root, 2> r;
  for (root& one : r) ASSERT_TRUE(lane.push(one));
  EXPECT_EQ(lane.pop_oldest(), &r[0]);
  EXPECT_EQ(lane.pop_oldest(), &r[1]);
  EXPECT_EQ(lane.pop_oldest(), nullptr);
  EXPECT_EQ(lane.pop(), nullptr);
}

TEST(fork_lane, pop_takes_only_what_is_wanted) {
  fork_lane lane;
  std::array<root, 2> r;
  for (root& one : r) ASSERT_TRUE(lane.push(one));
  const auto first = [&](const root* newest) { return newest == &r[0]; };
  EXPECT_EQ(lane.pop_if(first), nullptr);
  EXPECT_EQ(lane.size(), 2u);
  EXPECT_EQ(lane.pop(), &r[1]);
  EXPECT_EQ(lane.pop_if(first), &r[0]);
  EXPECT_EQ(lane.pop_if(first), nullptr);
}

TEST(fork_lane, the_oldest_keeps_its_index_until_it_is_taken) {
  fork_lane lane;
  std::array<root, 3> r;
  for (root& one : r) ASSERT_TRUE(lane.push(one));
  const std::int64_t before = lane.oldest();
  EXPECT_EQ(lane.pop(), &r[2]);
  EXPECT_EQ(lane.oldest(), before);
  EXPECT_EQ(steal_one(lane), &r[0]);
  EXPECT_NE(lane.oldest(), before);
}

TEST(fork_lane, refuses_one_more_than_it_holds_and_takes_it_after_one_has_left) {
  fork_lane lane;
  std::vector<root> r(capacity + 2);
  for (std::size_t i = 0; i < capacity; ++i) ASSERT_TRUE(lane.push(r[i]));
  EXPECT_EQ(lane.size(), capacity);
  EXPECT_FALSE(lane.push(r[capacity]));
  EXPECT_EQ(steal_one(lane), &r[0]);
  EXPECT_TRUE(lane.push(r[capacity]));
  EXPECT_FALSE(lane.push(r[capacity + 1]));
  EXPECT_EQ(lane.pop(), &r[capacity]);
  EXPECT_EQ(steal_one(lane), &r[1]);
}

TEST(fork_lane, goes_around_its_slots_many_times) {
  fork_lane lane;
  std::array<root, 3> r;
  for (std::size_t i = 0; i < 3 * capacity; ++i) {
    for (root& one : r) ASSERT_TRUE(lane.push(one));
    ASSERT_EQ(steal_one(lane), &r[0]);
    ASSERT_EQ(lane.pop(), &r[2]);
    ASSERT_EQ(lane.pop(), &r[1]);
    ASSERT_EQ(lane.pop(), nullptr);
  }
}

TEST(fork_lane, gives_each_root_once_while_owner_and_thieves_fight_for_it) {
  if (test::on_sim()) GTEST_SKIP() << "one thread plays all cores";
  fork_lane lane;
  const auto steal = [](fork_lane& l, std::span<root*> to) { return l.steal(to); };
  test::lane_stress(lane, steal).run(3);
}

}  // namespace
}  // namespace corespun::detail
