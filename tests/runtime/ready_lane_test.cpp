// ready_lane: first in, first out; thieves take up to half, each root comes out once.

#include <corespun/runtime/detail/ready_lane.hpp>

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "tests/support/lane_stress.hpp"
#include "tests/support/sim_machine.hpp"

namespace corespun::detail {
namespace {

using loot = std::array<root*, ready_lane::capacity>;

TEST(ready_lane, is_empty_from_the_start) {
  ready_lane lane;
  loot some;
  EXPECT_EQ(lane.size(), 0u);
  EXPECT_EQ(lane.pop(), nullptr);
  EXPECT_EQ(lane.steal(some), 0u);
}

TEST(ready_lane, owner_and_thieves_take_the_oldest) {
  ready_lane lane;
  std::array<root, 4> r;
  for (root& one : r) ASSERT_TRUE(lane.push(one));
  EXPECT_EQ(lane.size(), 4u);
  EXPECT_EQ(lane.pop(), &r[0]);
  loot some;
  ASSERT_EQ(lane.steal(std::span(some).first(1)), 1u);
  EXPECT_EQ(some[0], &r[1]);
  EXPECT_EQ(lane.pop(), &r[2]);
  EXPECT_EQ(lane.pop(), &r[3]);
  EXPECT_EQ(lane.pop(), nullptr);
}

TEST(ready_lane, a_thief_takes_half_the_last_one_included) {
  for (std::size_t n = 1; n <= ready_lane::capacity; ++n) {
    ready_lane lane;
    std::vector<root> r(n);
    for (root& one : r) ASSERT_TRUE(lane.push(one));
    loot some;
    ASSERT_EQ(lane.steal(some), (n + 1) / 2);
    for (std::size_t i = 0; i < (n + 1) / 2; ++i) ASSERT_EQ(some[i], &r[i]);
    EXPECT_EQ(lane.size(), n / 2);
  }
}

TEST(ready_lane, a_thief_takes_no_more_than_it_has_room_for) {
  ready_lane lane;
  std::array<root, 10> r;
  for (root& one : r) ASSERT_TRUE(lane.push(one));
  loot some;
  EXPECT_EQ(lane.steal(std::span(some).first(3)), 3u);
  EXPECT_EQ(lane.steal(std::span(some).first(0)), 0u);
  EXPECT_EQ(lane.size(), 7u);
  EXPECT_EQ(lane.pop(), &r[3]);
}

TEST(ready_lane, refuses_one_more_than_it_holds_and_takes_it_after_one_has_left) {
  ready_lane lane;
  std::vector<root> r(ready_lane::capacity + 1);
  for (std::size_t i = 0; i < ready_lane::capacity; ++i) ASSERT_TRUE(lane.push(r[i]));
  EXPECT_FALSE(lane.push(r.back()));
  EXPECT_EQ(lane.pop(), &r[0]);
  EXPECT_TRUE(lane.push(r.back()));
  EXPECT_EQ(lane.size(), ready_lane::capacity);
}

TEST(ready_lane, goes_around_its_slots_many_times) {
  ready_lane lane;
  std::array<root, 3> r;
  loot some;
  for (std::size_t i = 0; i < 3 * ready_lane::capacity; ++i) {
    for (root& one : r) ASSERT_TRUE(lane.push(one));
    ASSERT_EQ(lane.steal(some), 2u);
    ASSERT_EQ(some[0], &r[0]);
    ASSERT_EQ(some[1], &r[1]);
    ASSERT_EQ(lane.pop(), &r[2]);
    ASSERT_EQ(lane.pop(), nullptr);
  }
}

TEST(ready_lane, gives_each_root_once_while_owner_and_thieves_fight_for_it) {
  if (test::on_sim()) GTEST_SKIP() << "one thread plays all cores";
  ready_lane lane;
  const auto steal = [](ready_lane& l, std::span<root*> to) { return l.steal(to); };
  test::lane_stress(lane, steal).run(3);
}

}  // namespace
}  // namespace corespun::detail
