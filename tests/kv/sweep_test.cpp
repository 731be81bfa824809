// The sweeper of a shard, in virtual time: memory of keys that are due comes back though nobody
// asks for them.

#include "examples/kv/shard.hpp"

#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/sleep.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "tests/support/virtual_time.hpp"

namespace kv {
namespace {

using namespace corespun;
using namespace std::chrono_literals;

void put(shard& s, const std::string& name, unix_ms lifetime) {
  s.begin();
  s.data.expire_at(s.data.insert(locate(name, 1), "v"), s.data.now() + lifetime);
  s.end();
}

/// body(shard&), a task, beside the sweeper.
template <typename Fn>
void with_sweeper(Fn body) {
  test::virtual_time time;
  time.run([&]() -> task<> {
    shard mine({});
    co_await with_scope([&](scope& s) -> task<> {
      (void)s.spawn(&shard::sweep, &mine);
      co_await body(mine);
      s.cancel();
    });
  });
}

TEST(kv_sweep, gives_back_a_key_soon_after_its_deadline) {
  with_sweeper([](shard& mine) -> task<> {
    co_await sleep_for(1s);  // the sweeper sleeps
    put(mine, "a", 5'000);
    put(mine, "b", 60'000);
    co_await sleep_for(4s);
    EXPECT_EQ(mine.data.size(), 2u);
    co_await sleep_for(1200ms);
    EXPECT_EQ(mine.data.size(), 1u);
    co_await sleep_for(60s);
    EXPECT_EQ(mine.data.size(), 0u);
  });
}

TEST(kv_sweep, learns_of_a_deadline_before_the_one_it_sleeps_for) {
  with_sweeper([](shard& mine) -> task<> {
    put(mine, "late", 3'600'000);
    co_await sleep_for(1s);
    put(mine, "soon", 100);
    co_await sleep_for(1s);
    EXPECT_EQ(mine.data.size(), 1u);
  });
}

TEST(kv_sweep, gives_back_many_keys) {
  with_sweeper([](shard& mine) -> task<> {
    for (int i = 0; i < 10'000; ++i) put(mine, "key" + std::to_string(i), 1 + i % 2'000);
    co_await sleep_for(3s);
    EXPECT_EQ(mine.data.size(), 0u);
  });
}

}  // namespace
}  // namespace kv
