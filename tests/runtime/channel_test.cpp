// channel: nothing is lost, nothing comes twice, each sender's order is kept, whatever is
// cancelled.

#include <corespun/runtime/as_result.hpp>
#include <corespun/runtime/channel.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/this_core.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/run.hpp"
#include "tests/support/tasks.hpp"
#include "tests/support/trace.hpp"

namespace corespun {
namespace {

using test::run;
using test::run_on;

TEST(channel, keeps_items_in_order) {
  run([]() -> task<> {
    channel<int> ch(3);
    for (int lap = 0; lap < 3; ++lap) {  // around the ring
      for (int i = 0; i < 2; ++i) {
        const result<> sent = co_await ch.send(i);
        EXPECT_TRUE(sent);
      }
      for (int i = 0; i < 2; ++i) {
        const result<int> got = co_await ch.recv();
        EXPECT_EQ(got, i);
      }
    }
  });
}

TEST(channel, carries_what_can_only_be_moved) {
  run([]() -> task<> {
    channel<std::unique_ptr<int>> ch(1);
    auto item = std::make_unique<int>(7);
    (void)co_await ch.send(std::move(item));
    result<std::unique_ptr<int>> got = co_await ch.recv();
    EXPECT_EQ(**got, 7);
  });
}

TEST(channel, destroys_what_nobody_received) {
  int alive = 0;
  run([&]() -> task<> {
    channel<test::counted> ch(3);
    for (int i = 0; i < 2; ++i) (void)co_await ch.send(test::counted(alive));
    EXPECT_EQ(alive, 2);
    (void)co_await ch.recv();
    EXPECT_EQ(alive, 1);
  });
  EXPECT_EQ(alive, 0);
}

TEST(channel, a_sender_waits_while_there_is_no_room) {
  std::string log;
  run([&](scope& s) -> task<> {
    channel<int> ch(2);
    auto produce = [&]() -> task<> {
      for (int i = 0; i < 4; ++i) {
        (void)co_await ch.send(i);
        log += static_cast<char>('0' + i);
      }
    };
    auto t = s.spawn(produce);
    co_await test::let_others_run(6);
    EXPECT_EQ(log, "01");
    const result<int> first = co_await ch.recv();
    EXPECT_EQ(first, 0);
    co_await test::let_others_run(6);
    EXPECT_EQ(log, "012");
    for (int i = 1; i < 4; ++i) {
      const result<int> next = co_await ch.recv();
      EXPECT_EQ(next, i);
    }
    (void)co_await t.join();
  });
}

TEST(channel, without_capacity_is_a_rendezvous) {
  run([](scope& s) -> task<> {
    channel<int> ch(0);
    bool sent = false;
    auto t = s.spawn([&]() -> task<> {
      (void)co_await ch.send(1);
      sent = true;
      const result<int> back = co_await ch.recv();
      EXPECT_EQ(back, 2);
    });
    co_await test::let_others_run();
    EXPECT_FALSE(sent);
    EXPECT_EQ(ch.try_send(5).error(), std::errc::operation_would_block);
    const result<int> got = co_await ch.recv();
    EXPECT_EQ(got, 1);
    co_await test::let_others_run();
    EXPECT_TRUE(sent);
    EXPECT_TRUE(ch.try_send(2)) << "a receiver waits";
    (void)co_await t.join();
    EXPECT_EQ(ch.try_recv().error(), std::errc::operation_would_block);
  });
}

TEST(channel, trying_does_not_wait) {
  channel<std::unique_ptr<int>> ch(1);
  EXPECT_EQ(ch.try_recv().error(), std::errc::operation_would_block);
  auto item = std::make_unique<int>(1);
  EXPECT_TRUE(ch.try_send(std::move(item)));
  item = std::make_unique<int>(2);
  EXPECT_EQ(ch.try_send(std::move(item)).error(), std::errc::operation_would_block);
  ASSERT_TRUE(item) << "what was not sent is not moved from";
  EXPECT_EQ(**ch.try_recv(), 1);
  ch.close();
  EXPECT_EQ(ch.try_send(std::move(item)).error(), errc::closed);
  EXPECT_TRUE(item);
  EXPECT_EQ(ch.try_recv().error(), errc::closed);
}

TEST(channel, that_was_closed_drains_first) {
  run([]() -> task<> {
    channel<int> ch(2);
    (void)co_await ch.send(1);
    (void)co_await ch.send(2);
    ch.close();
    ch.close();
    const result<> late = co_await ch.send(3);
    EXPECT_EQ(late.error(), errc::closed);
    for (int i = 1; i < 3; ++i) {
      const result<int> got = co_await ch.recv();
      EXPECT_EQ(got, i);
    }
    const result<int> end = co_await ch.recv();
    EXPECT_EQ(end.error(), errc::closed);
  });
}

TEST(channel, close_ends_the_wait_of_receivers_and_of_senders) {
  run([](scope& s) -> task<> {
    channel<int> empty(1);
    channel<std::unique_ptr<int>> full(0);
    auto receive = [&]() -> task<> {
      const result<int> got = co_await empty.recv();
      EXPECT_EQ(got.error(), errc::closed);
    };
    auto send = [&]() -> task<> {
      auto item = std::make_unique<int>(1);
      const result<> sent = co_await full.send_from(item);
      EXPECT_EQ(sent.error(), errc::closed);
      EXPECT_TRUE(item) << "it stays with the sender";
    };
    for (int i = 0; i < 2; ++i) (void)s.spawn(receive);
    for (int i = 0; i < 2; ++i) (void)s.spawn(send);
    co_await test::let_others_run();
    empty.close();
    full.close();
  });
}

TEST(channel, a_cancelled_receiver_leaves_the_queue_in_order) {
  for (std::size_t cancelled = 0; cancelled < 3; ++cancelled) {  // first, middle, last
    run([&](scope& s) -> task<> {
      channel<int> ch(1);
      int got[3] = {-1, -1, -1};
      auto receive = [&](int i) -> task<> {
        const result<int> item = co_await ch.recv();
        got[i] = *item;
      };
      std::vector<task_handle<void>> t;
      for (int i = 0; i < 3; ++i) {
        t.push_back(s.spawn(receive, i));
        co_await test::let_others_run();
      }
      t[cancelled].cancel();
      const outcome<void> o = co_await t[cancelled].join();
      EXPECT_TRUE(o.stopped());
      for (int i = 0; i < 2; ++i) (void)co_await ch.send(i);
      co_await test::let_others_run();
      int next = 0;
      for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(got[i], i == cancelled ? -1 : next++);
    });
  }
}

TEST(channel, a_cancelled_sender_takes_its_item_along) {
  for (std::size_t cancelled = 0; cancelled < 3; ++cancelled) {
    run([&](scope& s) -> task<> {
      channel<int> ch(1);
      (void)co_await ch.send(9);
      auto send = [&](int i) -> task<> { (void)co_await ch.send(i); };
      std::vector<task_handle<void>> t;
      for (int i = 0; i < 3; ++i) {
        t.push_back(s.spawn(send, i));
        co_await test::let_others_run();
      }
      t[cancelled].cancel();
      const outcome<void> o = co_await t[cancelled].join();
      EXPECT_TRUE(o.stopped());
      std::vector<int> got;
      for (int i = 0; i < 3; ++i) {
        const result<int> item = co_await ch.recv();
        got.push_back(*item);
      }
      std::vector<int> expected{9, 0, 1, 2};
      expected.erase(expected.begin() + 1 + static_cast<int>(cancelled));
      EXPECT_EQ(got, expected);
    });
  }
}

TEST(channel, what_was_handed_over_before_the_cancel_is_delivered) {
  run([](scope& s) -> task<> {
    channel<int> ch(1);
    int got = 0;
    bool sent = false;
    auto receiver = s.spawn([&]() -> task<> {
      const result<int> item = co_await ch.recv();
      got = *item;
    });
    co_await test::let_others_run();
    (void)co_await ch.send(1);
    receiver.cancel();
    (void)co_await receiver.join();
    EXPECT_EQ(got, 1);

    (void)co_await ch.send(2);
    auto sender = s.spawn([&]() -> task<> {
      const result<> r = co_await ch.send(3);
      sent = r.has_value();
    });
    co_await test::let_others_run();
    (void)co_await ch.recv();
    sender.cancel();
    (void)co_await sender.join();
    EXPECT_TRUE(sent);
    EXPECT_EQ(ch.try_recv(), 3);
  });
}

TEST(channel, a_cancelled_task_takes_and_gives_nothing) {
  run([](scope& s) -> task<> {
    channel<int> ch(2);
    (void)co_await ch.send(1);
    auto t = s.spawn([&]() -> task<> {
      (void)co_await as_result(test::forever());
      const auto got = co_await as_result(ch.recv());
      EXPECT_EQ(got.error(), errc::cancelled);
      const auto sent = co_await as_result(ch.send(2));
      EXPECT_EQ(sent.error(), errc::cancelled);
    });
    co_await test::let_others_run();
    t.cancel();
    (void)co_await t.join();
    EXPECT_EQ(ch.try_recv(), 1);
    EXPECT_FALSE(ch.try_recv());
  });
}

/// Producers and consumers on all cores. Each item is its producer and a number.
void nothing_is_lost(std::size_t capacity, unsigned cores) {
  constexpr unsigned producers = 6;
  constexpr unsigned consumers = 5;
  constexpr std::uint32_t each = 1500;
  std::atomic<std::uint64_t> received{0};
  run_on(cores, [&]() -> task<> {
    channel<std::uint64_t> ch(capacity);
    std::atomic<unsigned> producing{producers};
    std::vector<std::atomic<unsigned>> seen(producers * each);
    auto produce = [&](std::uint64_t me) -> task<> {
      for (std::uint32_t i = 0; i < each; ++i) {
        const result<> sent = co_await ch.send(me << 32 | i);
        EXPECT_TRUE(sent);
      }
      if (--producing == 0) ch.close();
    };
    auto consume = [&]() -> task<> {
      std::vector<std::int64_t> last(producers, -1);
      while (true) {
        const result<std::uint64_t> item = co_await ch.recv();
        if (!item) break;
        const auto from = static_cast<std::size_t>(*item >> 32);
        const auto number = static_cast<std::uint32_t>(*item);
        EXPECT_LT(last[from], number) << "a sender's order is kept";
        last[from] = number;
        EXPECT_EQ(seen[from * each + number]++, 0u) << "twice";
        ++received;
      }
    };
    co_await with_scope([&](scope& s) -> task<> {
      for (unsigned i = 0; i < producers; ++i)
        (void)s.spawn_on(i % cores, produce, std::uint64_t{i});
      for (unsigned i = 0; i < consumers; ++i) (void)s.spawn_on((i + 1) % cores, consume);
      co_return;
    });
  });
  EXPECT_EQ(received, producers * each);
}

TEST(channel, loses_nothing_between_many_cores) {
  for (const std::size_t capacity : {0u, 1u, 64u}) {
    for (const unsigned cores : {1u, 2u, 4u}) {
      SCOPED_TRACE(testing::Message() << "capacity " << capacity << ", " << cores << " cores");
      nothing_is_lost(capacity, cores);
    }
  }
}

TEST(channel, loses_no_item_between_a_send_and_a_cancel) {
  for (const std::size_t capacity : {0u, 1u}) {
    run_on(2, [&]() -> task<> {
      for (int round = 0; round < 500; ++round) {
        channel<int> ch(capacity);
        bool got = false;
        std::atomic<bool> waits{false};
        co_await with_scope([&](scope& s) -> task<> {
          auto t = s.spawn_on(1, [&]() -> task<> {
            waits = true;
            const result<int> item = co_await ch.recv();
            got = item.has_value();
          });
          while (!waits) co_await yield();
          if (round % 2 == 0) t.cancel();
          const bool sent = ch.try_send(1).has_value();
          if (round % 2 == 1) t.cancel();
          (void)co_await t.join();
          EXPECT_EQ(sent, got || ch.try_recv().has_value());
        });
      }
    });
  }
}

TEST(channel, is_fed_by_threads_that_are_no_core) {
  if (test::on_sim()) GTEST_SKIP() << "one thread plays all cores";
  std::thread feeder;
  run([&]() -> task<> {
    channel<int> ch(1);
    feeder = std::thread([&] {
      for (int i = 0; i < 1000;) {
        if (ch.try_send(int{i})) {
          ++i;
        } else {
          std::this_thread::yield();
        }
      }
    });
    for (int i = 0; i < 1000; ++i) {
      const result<int> got = co_await ch.recv();
      EXPECT_EQ(got, i);
    }
    feeder.join();
  });
}

TEST(channel, destroyed_while_tasks_wait_aborts_with_advice) {
  EXPECT_DEATH(run([](scope& s) -> task<> {
                 auto ch = std::make_unique<channel<int>>(1u);
                 (void)s.spawn([&]() -> task<> { (void)co_await ch->recv(); });
                 co_await test::let_others_run();
                 ch.reset();
               }),
               "a channel is destroyed while tasks wait(.|\n)*end the scope");
}

}  // namespace
}  // namespace corespun
