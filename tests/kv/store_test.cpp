// The store of one shard: deadlines, on a clock that the test owns, and the limit of its memory.

#include "examples/kv/store.hpp"

#include <gtest/gtest.h>

#include <string>

namespace kv {
namespace {

key at(const std::string& text) { return locate(text, 1); }

std::string name(int i) { return "key" + std::to_string(i); }

item& put(store& s, const std::string& name, const std::string& value, unix_ms deadline = never) {
  item& i = s.insert(at(name), value);
  s.expire_at(i, deadline);
  return i;
}

TEST(kv_store, keeps_what_was_set) {
  store s({});
  item& i = put(s, "a", "1");
  s.set(i, "2");
  EXPECT_TRUE(s.append(i, "3"));
  ASSERT_NE(s.find(at("a")), nullptr);
  EXPECT_EQ(s.find(at("a"))->value, "23");
  EXPECT_EQ(s.find(at("b")), nullptr);
}

TEST(kv_store, a_key_is_gone_from_its_deadline_on) {
  store s({});
  put(s, "a", "1", 1000);
  s.tick(999);
  EXPECT_NE(s.find(at("a")), nullptr);
  s.tick(1000);
  EXPECT_EQ(s.find(at("a")), nullptr);
  EXPECT_EQ(s.size(), 0u);
}

TEST(kv_store, a_visit_does_not_show_what_is_due) {
  store s({});
  put(s, "a", "1", 1000);
  s.tick(1000);
  EXPECT_EQ(s.size(), 1u);
  for (std::uint64_t place = 0; place != table::end;) {
    place = s.visit(place, [](const item&) { ADD_FAILURE(); });
  }
}

TEST(kv_store, a_deadline_can_be_moved_and_taken_back) {
  store s({});
  item& a = put(s, "a", "1", 1000);
  put(s, "b", "1", 3000);
  EXPECT_EQ(s.next_deadline(), 1000);
  s.expire_at(a, 5000);
  EXPECT_EQ(s.next_deadline(), 3000);
  s.expire_at(a, never);
  EXPECT_EQ(s.with_deadline(), 1u);
  s.tick(10'000);
  EXPECT_NE(s.find(at("a")), nullptr);
}

TEST(kv_store, gives_back_what_is_due_a_few_at_a_time) {
  store s({});
  for (int i = 0; i < 10; ++i) put(s, name(i), "v", 1000 + i);
  put(s, "later", "v", 5000);
  s.tick(1009);
  EXPECT_FALSE(s.drop_expired(4));
  EXPECT_EQ(s.size(), 7u);
  EXPECT_TRUE(s.drop_expired(100));
  EXPECT_EQ(s.size(), 1u);
  EXPECT_EQ(s.stats().expired, 10u);
}

TEST(kv_store, counts_memory_up_and_down) {
  store s({});
  const std::size_t empty = s.bytes();
  item& i = put(s, "a", std::string(10'000, 'x'), 1000);
  EXPECT_GT(s.bytes(), empty + 10'000);
  s.set(i, "small");
  EXPECT_LT(s.bytes(), empty + 1'000);
  EXPECT_TRUE(s.append(i, std::string(10'000, 'x')));
  EXPECT_GT(s.bytes(), empty + 10'000);
  s.erase(i);
  EXPECT_EQ(s.bytes(), empty);
}

TEST(kv_store, a_value_does_not_grow_beyond_its_limit) {
  store s({.max_value_bytes = 5});
  item& i = put(s, "a", "123");
  EXPECT_TRUE(s.append(i, "45"));
  EXPECT_FALSE(s.append(i, "6"));
  EXPECT_EQ(i.value, "12345");
}

TEST(kv_store, a_clear_leaves_nothing_and_gives_back_memory_in_parts) {
  store s({});
  for (int i = 0; i < 100; ++i) put(s, name(i), "v", 1000 + i);
  store::remains gone = s.clear();
  EXPECT_EQ(s.size(), 0u);
  EXPECT_EQ(s.next_deadline(), never);
  EXPECT_EQ(s.find(at(name(1))), nullptr);
  put(s, name(1), "w");
  EXPECT_FALSE(gone.drop(60));
  EXPECT_TRUE(gone.drop(60));
  EXPECT_EQ(s.find(at(name(1)))->value, "w");
}

/// A store that is full with keys 0, 1, 2 …, one of them used in each second.
struct full_store {
  explicit full_store(eviction policy) : all({.max_bytes = 100'000, .policy = policy}) {
    while (all.bytes() <= 100'000) {
      all.tick(1000 * ++keys);
      put(all, name(keys), std::string(100, 'v'), 10'000'000 - keys);
    }
  }
  store all;
  int keys = 0;
};

TEST(kv_store, without_eviction_there_is_no_room_until_something_is_erased) {
  full_store s(eviction::none);
  EXPECT_FALSE(s.all.make_room());
  EXPECT_EQ(s.all.stats().evicted, 0u);
  for (int i = 1; i < 10; ++i) s.all.erase(*s.all.find(at(name(i))));
  EXPECT_TRUE(s.all.make_room());
}

TEST(kv_store, lru_evicts_old_keys_first) {
  full_store s(eviction::lru);
  const int half = s.keys / 2;
  for (int i = 0; i < half; ++i) {
    put(s.all, "new" + std::to_string(i), std::string(100, 'v'));
    ASSERT_TRUE(s.all.make_room());
  }
  std::size_t young_gone = 0;
  for (int i = half; i <= s.keys; ++i) young_gone += s.all.find(at(name(i))) == nullptr ? 1 : 0;
  EXPECT_GT(s.all.stats().evicted, 50u);
  EXPECT_LT(young_gone, s.all.stats().evicted / 5);
}

TEST(kv_store, random_evicts_some_key) {
  full_store s(eviction::random);
  EXPECT_TRUE(s.all.make_room());
  EXPECT_GE(s.all.stats().evicted, 1u);
}

TEST(kv_store, ttl_evicts_what_is_due_first_and_nothing_without_a_deadline) {
  full_store s(eviction::ttl);
  EXPECT_TRUE(s.all.make_room());
  EXPECT_EQ(s.all.find(at(name(s.keys))), nullptr);
  EXPECT_NE(s.all.find(at(name(1))), nullptr);

  store lasting({.max_bytes = 1'000, .policy = eviction::ttl});
  put(lasting, "a", std::string(2'000, 'v'));
  EXPECT_FALSE(lasting.make_room());
}

}  // namespace
}  // namespace kv
