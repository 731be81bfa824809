// The hash table: it finds what is there while it grows, and goes through all in the order of
// places.

#include "examples/kv/table.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>

namespace kv {
namespace {

constexpr unsigned cores = 1;

std::string name(int i) { return "key" + std::to_string(i); }

void insert(table& t, int i) {
  const std::string text = name(i);
  t.insert(locate(text, cores)).value = text;
}

const item* find(const table& t, int i) {
  const std::string text = name(i);
  return t.find(locate(text, cores));
}

TEST(kv_table, finds_all_at_each_size) {
  table t;
  for (int i = 0; i < 2'000; ++i) {
    insert(t, i);
    for (int k = 0; k <= i; k += 1 + i / 50) {
      ASSERT_NE(find(t, k), nullptr) << k << " of " << i;
      ASSERT_EQ(find(t, k)->value, name(k));
    }
    ASSERT_EQ(find(t, i + 1), nullptr);
  }
  EXPECT_EQ(t.size(), 2'000u);
}

TEST(kv_table, forgets_what_was_erased_and_nothing_else) {
  table t;
  for (int i = 0; i < 1'000; ++i) insert(t, i);
  for (int i = 0; i < 1'000; i += 2) t.erase(const_cast<item&>(*find(t, i)));
  EXPECT_EQ(t.size(), 500u);
  for (int i = 0; i < 1'000; ++i) EXPECT_EQ(find(t, i) != nullptr, i % 2 == 1) << i;
}

TEST(kv_table, a_visit_finds_what_is_there_all_the_time_though_the_table_grows) {
  table t;
  for (int i = 0; i < 300; ++i) insert(t, i);
  std::map<std::string, int> seen;
  int more = 300;
  for (std::uint64_t place = 0; place != table::end;) {
    const std::uint64_t next = t.visit(place, [&](const item& i) { ++seen[i.key]; });
    ASSERT_GT(next, place);
    place = next;
    for (int n = 0; n < 7; ++n) insert(t, more++);
  }
  for (int i = 0; i < 300; ++i) EXPECT_EQ(seen[name(i)], 1) << i;
}

TEST(kv_table, each_core_owns_some_keys_and_all_places_are_used) {
  int owned[3] = {};
  for (int i = 0; i < 3'000; ++i) ++owned[locate(name(i), 3).core()];
  for (const int n : owned) {
    EXPECT_GT(n, 800);
    EXPECT_LT(n, 1'200);
  }
}

}  // namespace
}  // namespace kv
