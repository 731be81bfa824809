// broadcast: every receiver gets every item in the same order, or is told what it missed.

#include <corespun/runtime/broadcast.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/this_core.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "tests/support/run.hpp"
#include "tests/support/tasks.hpp"

namespace corespun {
namespace {

using test::run;
using test::run_on;

TEST(broadcast, gives_every_item_to_all_who_have_subscribed_before) {
  run([]() -> task<> {
    broadcast<int> b(4, when_behind::hold);
    (void)co_await b.send(0);  // nobody listens
    auto first = b.subscribe();
    (void)co_await b.send(1);
    auto second = b.subscribe();
    (void)co_await b.send(2);
    for (int i = 1; i < 3; ++i) {
      const result<int> got = co_await first.recv();
      EXPECT_EQ(got, i);
    }
    const result<int> got = co_await second.recv();
    EXPECT_EQ(got, 2);
  });
}

TEST(broadcast, wakes_all_receivers) {
  run([](scope& s) -> task<> {
    broadcast<int> b(1, when_behind::skip);
    int sum = 0;
    auto receive = [&]() -> task<> {
      auto mine = b.subscribe();
      const result<int> got = co_await mine.recv();
      sum += *got;
    };
    for (int i = 0; i < 3; ++i) (void)s.spawn(receive);
    co_await test::let_others_run();
    (void)co_await b.send(5);
    co_await test::let_others_run();
    EXPECT_EQ(sum, 15);
  });
}

TEST(broadcast, that_skips_tells_how_many_were_missed) {
  run([]() -> task<> {
    broadcast<int> b(3, when_behind::skip);
    auto slow = b.subscribe();
    for (int i = 0; i < 10; ++i) (void)co_await b.send(i);
    EXPECT_EQ(slow.missed(), 0u);
    for (int i = 7; i < 10; ++i) {
      const result<int> got = co_await slow.recv();
      EXPECT_EQ(got, i);
      EXPECT_EQ(slow.missed(), 7u);
    }
  });
}

TEST(broadcast, that_holds_waits_for_the_slowest) {
  run([](scope& s) -> task<> {
    broadcast<int> b(2, when_behind::hold);
    auto slow = b.subscribe();
    std::optional<broadcast<int>::receiver> slower(b.subscribe());
    int sent = 0;
    auto t = s.spawn([&]() -> task<> {
      for (; sent < 5; ++sent) (void)co_await b.send(int{sent});
    });
    co_await test::let_others_run(6);
    EXPECT_EQ(sent, 2);
    for (int i = 0; i < 2; ++i) (void)co_await slow.recv();
    co_await test::let_others_run(6);
    EXPECT_EQ(sent, 2) << "the other one has not received them";
    (void)co_await slower->recv();
    co_await test::let_others_run(6);
    EXPECT_EQ(sent, 3);
    slower.reset();
    co_await test::let_others_run(6);
    EXPECT_EQ(sent, 4) << "who has gone holds nobody";
    for (int i = 2; i < 5; ++i) {
      const result<int> got = co_await slow.recv();
      EXPECT_EQ(got, i);
    }
    EXPECT_EQ(slow.missed(), 0u);
    (void)co_await t.join();
    for (int i = 5; i < 9; ++i) {
      EXPECT_TRUE(b.try_send(int{i}));
      (void)co_await slow.recv();
    }
  });
}

TEST(broadcast, trying_to_send_does_not_wait) {
  broadcast<int> b(1, when_behind::hold);
  EXPECT_TRUE(b.try_send(1)) << "nobody listens";
  auto rx = b.subscribe();
  EXPECT_TRUE(b.try_send(2));
  EXPECT_EQ(b.try_send(3).error(), std::errc::operation_would_block);
  b.close();
  EXPECT_EQ(b.try_send(4).error(), errc::closed);

  broadcast<int> skipping(1, when_behind::skip);
  auto slow = skipping.subscribe();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(skipping.try_send(int{i}));
}

TEST(broadcast, that_was_closed_drains_first) {
  run([](scope& s) -> task<> {
    broadcast<int> b(1, when_behind::hold);
    auto rx = b.subscribe();
    (void)co_await b.send(1);
    auto late = s.spawn([&]() -> task<> {
      const result<> sent = co_await b.send(2);
      EXPECT_EQ(sent.error(), errc::closed);
    });
    auto waits = s.spawn([&]() -> task<> {
      auto mine = b.subscribe();
      const result<int> got = co_await mine.recv();
      EXPECT_EQ(got.error(), errc::closed);
    });
    co_await test::let_others_run();
    b.close();
    (void)co_await late.join();
    (void)co_await waits.join();
    const result<int> last = co_await rx.recv();
    EXPECT_EQ(last, 1);
    const result<int> end = co_await rx.recv();
    EXPECT_EQ(end.error(), errc::closed);
  });
}

TEST(broadcast, keeps_no_item_longer_than_a_receiver_wants_it) {
  run([]() -> task<> {
    broadcast<std::shared_ptr<const int>> b(2, when_behind::skip);
    auto first = b.subscribe();
    std::optional<broadcast<std::shared_ptr<const int>>::receiver> second(b.subscribe());
    auto item = std::make_shared<const int>(1);
    std::weak_ptr<const int> alive = item;
    (void)co_await b.send(std::move(item));
    (void)co_await first.recv();
    EXPECT_FALSE(alive.expired());
    second.reset();
    EXPECT_TRUE(alive.expired());
    item = std::make_shared<const int>(2);
    alive = item;
    (void)co_await b.send(std::move(item));
    for (int i = 0; i < 2; ++i) (void)co_await b.send(nullptr);
    EXPECT_TRUE(alive.expired()) << "skipped";
  });
}

TEST(broadcast, a_cancelled_receiver_or_sender_changes_nothing) {
  for (std::size_t cancelled = 0; cancelled < 3; ++cancelled) {  // first, middle, last
    run([&](scope& s) -> task<> {
      broadcast<int> b(1, when_behind::hold);
      std::vector<broadcast<int>::receiver> rx;
      for (int i = 0; i < 3; ++i) rx.push_back(b.subscribe());
      std::vector<task_handle<void>> t;
      auto receive = [&](std::size_t i) -> task<> {
        const result<int> got = co_await rx[i].recv();
        EXPECT_EQ(got, 1);
      };
      for (std::size_t i = 0; i < 3; ++i) {
        t.push_back(s.spawn(receive, i));
        co_await test::let_others_run();
      }
      t[cancelled].cancel();
      const outcome<void> o = co_await t[cancelled].join();
      EXPECT_TRUE(o.stopped());
      (void)co_await b.send(1);
      for (std::size_t i = 0; i < 3; ++i) {
        if (i != cancelled) (void)co_await t[i].join();
      }
      auto sender = s.spawn([&]() -> task<> { (void)co_await b.send(2); });
      co_await test::let_others_run();
      sender.cancel();
      (void)co_await sender.join();
      const result<int> still_there = co_await rx[cancelled].recv();
      EXPECT_EQ(still_there, 1);
      (void)co_await b.send(3);
      const result<int> next = co_await rx[0].recv();
      EXPECT_EQ(next, 3);
    });
  }
}

TEST(broadcast, reaches_tasks_of_many_cores_completely_and_in_one_order) {
  constexpr unsigned cores = 4;
  constexpr int senders = 3;
  constexpr int each = 600;
  for (const when_behind policy : {when_behind::hold, when_behind::skip}) {
    std::vector<std::vector<int>> got(5);
    std::vector<std::uint64_t> missed(5);
    run_on(cores, [&]() -> task<> {
      broadcast<int> b(8, policy);
      std::atomic<int> sending{senders};
      auto receive = [&](std::size_t me, broadcast<int>::receiver mine) -> task<> {
        while (true) {
          const result<int> item = co_await mine.recv();
          if (!item) break;
          got[me].push_back(*item);
        }
        missed[me] = mine.missed();
      };
      auto send = [&](int me) -> task<> {
        for (int i = 0; i < each; ++i) (void)co_await b.send(me * each + i);
        if (--sending == 0) b.close();
      };
      co_await with_scope([&](scope& s) -> task<> {
        for (std::size_t i = 0; i < got.size(); ++i)
          (void)s.spawn_on(static_cast<unsigned>(i) % cores, receive, i, b.subscribe());
        for (int i = 0; i < senders; ++i)
          (void)s.spawn_on(static_cast<unsigned>(i) % cores, send, i);
        co_return;
      });
    });
    for (std::size_t i = 0; i < got.size(); ++i) {
      EXPECT_EQ(got[i].size() + missed[i], static_cast<std::size_t>(senders * each));
      if (policy == when_behind::hold) {
        EXPECT_EQ(missed[i], 0u);
        EXPECT_EQ(got[i], got[0]);
      }
    }
  }
}

TEST(broadcast, destroyed_while_tasks_wait_aborts_with_advice) {
  EXPECT_DEATH(run([](scope& s) -> task<> {
                 auto b = std::make_unique<broadcast<int>>(1u, when_behind::hold);
                 (void)s.spawn([&]() -> task<> {
                   auto mine = b->subscribe();
                   (void)co_await mine.recv();
                 });
                 co_await test::let_others_run();
                 b.reset();
               }),
               "a broadcast is destroyed while tasks wait(.|\n)*end the scope");
}

}  // namespace
}  // namespace corespun
