// What a shard keeps of the batches that connections give back.

#include "examples/kv/shard.hpp"

#include "examples/kv/batch.hpp"
#include "examples/kv/command.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/virtual_time.hpp"

namespace kv {
namespace {

using corespun::sharded;
using corespun::task;

using request = std::vector<std::string_view>;

/// body(sharded<shard>&), a task, on one core. The value of "large" is large.
template <typename Fn>
void with_shards(Fn body) {
  corespun::test::virtual_time time;
  time.run([&]() -> task<> {
    sharded<shard> all;
    co_await all.start(limits{});
    all.local().data.insert(locate("large", 1), std::string(shard::most_spare_bytes, 'x'));
    co_await body(all);
    co_await all.stop();
  });
}

/// Has a batch carry out a request so many times, as a session does.
task<> use(batch& b, sharded<shard>& all, const request& words, int times = 1) {
  const command* const what = find_whole(words[0]);
  for (int i = 0; i < times; ++i) b.add(*what, 2, words, locate(words[1], 1));
  co_await b.execute(all);
  std::string out;
  b.join(out);
}

/// Takes a batch, as a connection does; whether it has been in use before.
bool take_spare(shard& mine) { return mine.take_batch(1)->held_bytes() > batch(1).held_bytes(); }

TEST(kv_shard, keeps_few_of_the_batches_that_many_connections_had_at_once) {
  const request get{"get", "nothing"};
  with_shards([&](sharded<shard>& all) -> task<> {
    shard& mine = all.local();
    std::vector<std::unique_ptr<batch>> in_use;
    for (std::size_t i = 0; i < 10 * shard::most_spares; ++i) {
      in_use.push_back(mine.take_batch(1));
      co_await use(*in_use.back(), all, get);
    }
    for (auto& b : in_use) mine.give_back(std::move(b));
    std::size_t kept = 0;
    while (take_spare(mine)) ++kept;
    EXPECT_EQ(kept, shard::most_spares);
  });
}

TEST(kv_shard, keeps_a_batch_that_was_full_of_small_requests) {
  const request set{"setex", "key", "1000", "value"};
  with_shards([&](sharded<shard>& all) -> task<> {
    std::unique_ptr<batch> b = all.local().take_batch(1);
    co_await use(*b, all, set, 256);  // a session sends no more together
    all.local().give_back(std::move(b));
    EXPECT_TRUE(take_spare(all.local()));
  });
}

/// By one request, whose reply or whose words are large.
void expect_that_it_grows_too_large(const request& words) {
  with_shards([&](sharded<shard>& all) -> task<> {
    std::unique_ptr<batch> b = all.local().take_batch(1);
    co_await use(*b, all, words);
    all.local().give_back(std::move(b));
    EXPECT_FALSE(take_spare(all.local())) << words[0];
  });
}

TEST(kv_shard, keeps_no_batch_that_has_grown_large) {
  expect_that_it_grows_too_large({"get", "large"});
  request many(10'000, "nothing");
  many[0] = "exists";
  expect_that_it_grows_too_large(many);
}

}  // namespace
}  // namespace kv
