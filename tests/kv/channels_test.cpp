// Messages on their way to a subscriber who is slow.

#include "examples/kv/channels.hpp"

#include <corespun/runtime/when.hpp>

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "tests/support/virtual_time.hpp"

namespace kv {
namespace {

using corespun::task;

/// body(outbox&), a task.
template <typename Fn>
void with_outbox(Fn body) {
  corespun::test::virtual_time time;
  time.run([&]() -> task<> {
    outbox box;
    co_await body(box);
  });
}

const std::string most(outbox::limit_bytes, 'x');

TEST(kv_outbox, gives_all_in_order_and_then_its_end) {
  with_outbox([](outbox& box) -> task<> {
    box.put("a");
    box.put("b");
    EXPECT_EQ(co_await box.take(), "ab");
    box.put("c");
    box.close();
    box.put("d");
    EXPECT_EQ(co_await box.take(), "c");
    EXPECT_EQ(co_await box.take(), "");
  });
}

TEST(kv_outbox, runs_over_when_more_waits_than_the_limit) {
  with_outbox([](outbox& box) -> task<> {
    box.put(most);
    EXPECT_FALSE(box.overrun.is_open());
    box.put("x");
    EXPECT_TRUE(box.overrun.is_open());
    EXPECT_EQ(co_await box.take(), "");
  });
}

TEST(kv_outbox, counts_what_was_taken_too) {
  with_outbox([](outbox& box) -> task<> {
    box.put("taken");
    EXPECT_EQ(co_await box.take(), "taken");
    box.put(most.substr(5));
    EXPECT_FALSE(box.overrun.is_open());
    box.put("x");
    EXPECT_TRUE(box.overrun.is_open());
  });
}

TEST(kv_outbox, does_not_count_what_was_taken_once_more_is_asked_for) {
  with_outbox([](outbox& box) -> task<> {
    box.put("taken");
    EXPECT_EQ(co_await box.take(), "taken");
    const auto put = [](outbox& box) -> task<> {
      box.put(most);
      EXPECT_FALSE(box.overrun.is_open());
      co_return;
    };
    auto taking = box.take();
    auto putting = put(box);
    co_await corespun::when_all(std::move(taking), std::move(putting));
  });
}

}  // namespace
}  // namespace kv
