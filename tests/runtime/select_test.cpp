// select: exactly one of several takes effect, whoever decides it and from wherever.

#include <corespun/runtime/as_result.hpp>
#include <corespun/runtime/broadcast.hpp>
#include <corespun/runtime/channel.hpp>
#include <corespun/runtime/event.hpp>
#include <corespun/runtime/latch.hpp>
#include <corespun/runtime/mutex.hpp>
#include <corespun/runtime/oneshot.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/select.hpp>
#include <corespun/runtime/semaphore.hpp>
#include <corespun/runtime/shared_mutex.hpp>
#include <corespun/runtime/this_core.hpp>
#include <corespun/runtime/watch.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "tests/support/run.hpp"
#include "tests/support/tasks.hpp"
#include "tests/support/virtual_time.hpp"

namespace corespun {
namespace {

using namespace std::chrono_literals;
using test::run;
using test::run_on;

TEST(select, takes_what_is_there_and_nothing_else) {
  run([]() -> task<> {
    channel<int> numbers(1);
    channel<char> letters(1);
    for (int round = 0; round < 100; ++round) {
      (void)co_await letters.send('x');
      auto first = co_await select(numbers.recv(), letters.recv(), sleep_for(1h));
      EXPECT_EQ(first.index(), 1u);
      EXPECT_EQ(std::get<1>(first), 'x');
      (void)co_await numbers.send(1);
      first = co_await select(numbers.recv(), letters.recv(), sleep_for(1h));
      EXPECT_EQ(first.index(), 0u);
      EXPECT_EQ(std::get<0>(first), 1);
    }
  });
}

TEST(select, waits_for_the_first_and_leaves_the_others) {
  for (std::size_t winner = 0; winner < 3; ++winner) {
    run([&](scope& s) -> task<> {
      std::unique_ptr<channel<int>> ch[3];
      for (auto& c : ch) c = std::make_unique<channel<int>>(1u);
      auto t = s.spawn([&]() -> task<> {
        const auto first = co_await select(ch[0]->recv(), ch[1]->recv(), ch[2]->recv());
        EXPECT_EQ(first.index(), winner);
      });
      co_await test::let_others_run();
      EXPECT_TRUE(ch[winner]->try_send(1));
      for (auto& c : ch) EXPECT_TRUE(c->try_send(2)) << "nobody waits any more";
      for (auto& c : ch) EXPECT_EQ(c->try_recv(), 2);
      (void)co_await t.join();
      for (auto& c : ch) c.reset();  // aborts if it is still in a list
    });
  }
}

TEST(select, decides_by_chance_where_several_are_possible) {
  run([]() -> task<> {
    channel<int> a(1);
    channel<int> b(1);
    event open;
    open.open();
    int chosen[3] = {};
    for (int i = 0; i < 3000; ++i) {
      (void)a.try_send(1);
      (void)b.try_send(1);
      const auto first = co_await select(a.recv(), b.recv(), open.wait());
      ++chosen[first.index()];
    }
    for (const int n : chosen) EXPECT_GT(n, 500);
  });
}

TEST(select, a_send_that_is_not_chosen_leaves_the_item_with_its_sender) {
  run([](scope& s) -> task<> {
    channel<std::unique_ptr<int>> out(0);
    channel<int> in(1);
    auto item = std::make_unique<int>(7);
    (void)co_await in.send(1);
    auto first = co_await select(out.send_from(item), in.recv());
    EXPECT_EQ(first.index(), 1u);
    EXPECT_TRUE(item);
    auto t = s.spawn([&]() -> task<> {
      const auto got = co_await out.recv();
      EXPECT_EQ(**got, 7);
    });
    first = co_await select(out.send_from(item), in.recv());
    EXPECT_EQ(first.index(), 0u);
    EXPECT_FALSE(item);
    (void)co_await t.join();
  });
}

TEST(select, tells_that_a_channel_is_closed) {
  run([](scope& s) -> task<> {
    channel<int> ch(1);
    channel<int> other(1);
    auto t = s.spawn([&]() -> task<> {
      const auto first = co_await select(other.recv(), ch.recv());
      EXPECT_EQ(first.index(), 1u);
      EXPECT_EQ(std::get<1>(first).error(), errc::closed);
    });
    co_await test::let_others_run();
    ch.close();
    (void)co_await t.join();
  });
}

TEST(select, ends_by_its_timer_at_that_time) {
  test::virtual_time time;
  time.run([&]() -> task<> {
    channel<int> ch(1);
    event never;
    const auto first = co_await select(sleep_for(3s), ch.recv(), sleep_for(1s), never.wait());
    EXPECT_EQ(first.index(), 2u);
    EXPECT_EQ(time.elapsed(), 1s);
    EXPECT_TRUE(ch.try_send(1));
    EXPECT_EQ(ch.try_recv(), 1) << "nobody waits any more";
    const auto past = co_await select(never.wait(), sleep_for(0s));
    EXPECT_EQ(past.index(), 1u);
    const auto at = co_await select(sleep_for(2s), sleep_until(clock::now() + 1s), never.wait());
    EXPECT_EQ(at.index(), 1u);
    EXPECT_EQ(time.elapsed(), 2s);
  });
}

TEST(select, takes_its_timers_out_when_another_wins) {
  test::virtual_time time;
  time.run([&](scope& s) -> task<> {
    event e;
    auto t = s.spawn([&]() -> task<> {
      for (int i = 0; i < 3; ++i) {
        const auto first = co_await select(sleep_for(1h), e.wait(), sleep_for(2h));
        EXPECT_EQ(first.index(), 1u);
      }
      co_await sleep_for(3h);  // where the timers were
    });
    co_await test::let_others_run();
    e.open();
    (void)co_await t.join();
    EXPECT_EQ(time.elapsed(), 3h);
  });
}

// Another thread has won and its mail is on the way when the timer comes.
TEST(select, its_timer_comes_too_late_when_another_has_won) {
  test::virtual_time time;
  time.run([&](scope& s) -> task<> {
    event e;
    auto t = s.spawn([&]() -> task<> {
      const auto first = co_await select(sleep_for(1ms), e.wait());
      EXPECT_EQ(first.index(), 1u);
    });
    co_await test::let_others_run();
    struct open_late : detail::mail {
      test::virtual_time* time;
      event* e;
    } opening;
    opening.time = &time;
    opening.e = &e;
    // After the core has taken its mail and before it looks at its timers.
    opening.deliver = [](detail::mail& m) noexcept {
      auto& self = static_cast<open_late&>(m);
      detail::core* const here = detail::core::current();
      self.time->pass(2ms);
      detail::core::stand_in(nullptr);
      self.e->open();
      detail::core::stand_in(here);
    };
    detail::core::current()->post(opening);
    (void)co_await t.join();
  });
}

TEST(select, both_ends_of_a_rendezvous_may_be_alternatives_of_the_same) {
  run([](scope& s) -> task<> {
    channel<int> ch(0);
    int sent = 0;
    int received = 0;
    auto meet = [&](int i) -> task<> {
      const auto first = co_await select(ch.send(i), ch.recv());
      if (first.index() == 0) {
        ++sent;
      } else {
        ++received;
        EXPECT_NE(std::get<1>(first), i) << "nobody meets himself";
      }
    };
    task_handle<void> t[] = {s.spawn(meet, 0), s.spawn(meet, 1), s.spawn(meet, 2),
                             s.spawn(meet, 3)};
    for (auto& each : t) (void)co_await each.join();
    EXPECT_EQ(sent, 2);
    EXPECT_EQ(received, 2);
  });
}

TEST(select, that_is_cancelled_leaves_all_lists) {
  run([](scope& s) -> task<> {
    channel<int> ch(1);
    channel<int> full(0);
    mutex m;
    auto held = co_await m.lock();
    event never;
    auto waits = [&]() -> task<> {
      const auto first =
          co_await select(ch.recv(), full.send(1), m.lock(), never.wait(), sleep_for(1h));
      ADD_FAILURE() << first.index();
    };
    for (std::size_t cancelled = 0; cancelled < 3; ++cancelled) {  // first, middle, last
      std::vector<task_handle<void>> t;
      for (int i = 0; i < 3; ++i) {
        t.push_back(s.spawn(waits));
        co_await test::let_others_run();
      }
      t[cancelled].cancel();
      (void)co_await t[cancelled].join();
      for (auto& each : t) each.cancel();
      for (std::size_t i = 0; i < 3; ++i) {
        if (i != cancelled) (void)co_await t[i].join();
      }
      EXPECT_TRUE(ch.try_send(1));
      EXPECT_EQ(ch.try_recv(), 1);
      EXPECT_FALSE(full.try_recv());
    }
    held.unlock();
    EXPECT_TRUE(m.try_lock());
  });
}

TEST(select, in_a_cancelled_task_takes_nothing) {
  run([](scope& s) -> task<> {
    channel<int> ch(1);
    (void)co_await ch.send(1);
    auto t = s.spawn([&]() -> task<> {
      (void)co_await as_result(test::forever());
      (void)co_await select(ch.recv(), sleep_for(0s));
      ADD_FAILURE() << "went on";
    });
    co_await test::let_others_run();
    t.cancel();
    (void)co_await t.join();
    EXPECT_EQ(ch.try_recv(), 1);
  });
}

TEST(select, decided_before_the_cancel_is_delivered) {
  run([](scope& s) -> task<> {
    channel<int> a(1);
    channel<int> b(1);
    int got = 0;
    auto t = s.spawn([&]() -> task<> {
      const auto first = co_await select(a.recv(), b.recv(), sleep_for(1h));
      EXPECT_EQ(first.index(), 1u);
      got = *std::get<1>(first);
    });
    co_await test::let_others_run();
    EXPECT_TRUE(b.try_send(5));
    t.cancel();
    (void)co_await t.join();
    EXPECT_EQ(got, 5);
  });
}

TEST(select, is_passed_over_where_it_still_stands_when_another_has_won) {
  run([](scope& s) -> task<> {
    mutex m;
    event e;
    auto held = co_await m.lock();
    auto t = s.spawn([&]() -> task<> {
      const auto won = co_await select(m.lock(), e.wait());
      EXPECT_EQ(won.index(), 1u);
    });
    co_await test::let_others_run();
    e.open();
    held.unlock();
    EXPECT_TRUE(m.try_lock());
    (void)co_await t.join();
  });
}

// It stands first, but is decided already: it blocks the others only until its task runs.
TEST(select, does_not_hold_up_those_behind_it_when_another_has_won) {
  run([](scope& s) -> task<> {
    semaphore permits(1);
    event e;
    bool passed = false;
    auto first = s.spawn([&]() -> task<> {
      const auto won = co_await select(permits.acquire(2), e.wait());
      EXPECT_EQ(won.index(), 1u);
    });
    co_await test::let_others_run();
    auto second = s.spawn([&]() -> task<> {
      co_await permits.acquire(1);
      passed = true;
    });
    co_await test::let_others_run();
    EXPECT_FALSE(passed);
    e.open();
    (void)co_await first.join();
    (void)co_await second.join();
    EXPECT_TRUE(passed);
  });
}

// --- each kind of alternative ---

/// Waits in vain, since another wins; waits in vain, since it is cancelled; and waits until serve()
/// makes it possible: `check` is given what it yields.
template <typename Wait, typename Serve, typename Check>
task<> can_be_chosen(Wait wait, Serve serve, Check check) {
  event other;
  event never;
  bool chosen = false;
  auto waits = [&](event& beside) -> task<> {
    auto first = co_await select(beside.wait(), wait());
    if (first.index() == 0) co_return;
    chosen = true;
    check(std::get<1>(first));
  };
  auto body = [&](scope& s) -> task<> {
    auto loses = s.spawn(waits, std::ref(other));
    co_await test::let_others_run();
    other.open();
    const outcome<void> lost = co_await loses.join();
    EXPECT_TRUE(lost.has_value());
    auto is_cancelled = s.spawn(waits, std::ref(never));
    co_await test::let_others_run();
    is_cancelled.cancel();
    const outcome<void> stopped = co_await is_cancelled.join();
    EXPECT_TRUE(stopped.stopped());
    auto wins = s.spawn(waits, std::ref(never));
    co_await test::let_others_run();
    EXPECT_FALSE(chosen);
    serve();
    const outcome<void> won = co_await wins.join();
    EXPECT_TRUE(won.has_value());
    EXPECT_TRUE(chosen);
  };
  co_await with_scope(body);
}

TEST(select, may_wait_for_a_oneshot) {
  run([]() -> task<> {
    oneshot<int> reply;
    auto test = can_be_chosen([&] { return reply.recv(); }, [&] { reply.send(7); },
                              [](const result<int>& got) { EXPECT_EQ(got, 7); });
    co_await std::move(test);
  });
}

TEST(select, may_wait_for_an_item_of_a_broadcast) {
  run([]() -> task<> {
    broadcast<int> news(1, when_behind::hold);
    auto mine = news.subscribe();
    auto test = can_be_chosen([&] { return mine.recv(); }, [&] { (void)news.try_send(7); },
                              [](const result<int>& got) { EXPECT_EQ(got, 7); });
    co_await std::move(test);
  });
}

TEST(select, may_wait_for_room_in_a_broadcast) {
  run([]() -> task<> {
    broadcast<int> news(1, when_behind::hold);
    auto mine = news.subscribe();
    std::optional behind(news.subscribe());
    (void)co_await news.send(1);
    EXPECT_EQ(co_await mine.recv(), 1);
    auto test = can_be_chosen([&] { return news.send(2); }, [&] { behind.reset(); },
                              [](const result<>& sent) { EXPECT_TRUE(sent); });
    co_await std::move(test);
    EXPECT_EQ(co_await mine.recv(), 2);
    news.close();
    EXPECT_EQ((co_await mine.recv()).error(), errc::closed) << "sent though it was not chosen";
  });
}

TEST(select, may_wait_for_a_change_of_a_watch) {
  run([]() -> task<> {
    watch<int> config(1);
    auto mine = config.observe();
    auto test = can_be_chosen([&] { return mine.changed(); }, [&] { config.set(2); },
                              [](const result<>& changed) { EXPECT_TRUE(changed); });
    co_await std::move(test);
    EXPECT_EQ(mine.get(), 2);
  });
}

TEST(select, may_wait_for_a_latch) {
  run([]() -> task<> {
    latch l(1);
    auto test = can_be_chosen([&] { return l.wait(); }, [&] { l.count_down(); },
                              [&](std::monostate) { EXPECT_TRUE(l.is_open()); });
    co_await std::move(test);
  });
}

TEST(select, may_wait_to_be_alone_in_a_shared_mutex_or_to_share_it) {
  run([]() -> task<> {
    shared_mutex m;
    auto sharing = co_await m.lock_shared();
    auto alone = can_be_chosen([&] { return m.lock(); }, [&] { sharing.unlock(); },
                               [&](const shared_mutex::guard& held) {
                                 EXPECT_EQ(held.locked(), &m);
                                 EXPECT_FALSE(m.try_lock_shared());
                               });
    co_await std::move(alone);
    auto held = co_await m.lock();
    auto shared = can_be_chosen([&] { return m.lock_shared(); }, [&] { held.unlock(); },
                                [&](const shared_mutex::shared_guard& mine) {
                                  EXPECT_EQ(mine.locked(), &m);
                                  EXPECT_TRUE(m.try_lock_shared());
                                  EXPECT_FALSE(m.try_lock());
                                });
    co_await std::move(shared);
    EXPECT_TRUE(m.try_lock());
  });
}

TEST(select, may_wait_for_a_permit_to_hold) {
  run([]() -> task<> {
    semaphore places(0);
    auto test = can_be_chosen([&] { return places.hold(); }, [&] { places.release(); },
                              [&](const semaphore::guard& mine) {
                                EXPECT_EQ(mine.locked(), &places);
                                EXPECT_EQ(places.available(), 0u);
                              });
    co_await std::move(test);
    EXPECT_EQ(places.available(), 1u);
  });
}

TEST(select, of_all_kinds_at_once_serves_one_and_leaves_the_others_as_they_were) {
  run([]() -> task<> {
    std::array<bool, 8> chosen{};
    while (!std::ranges::all_of(chosen, std::identity())) {
      oneshot<int> reply;
      reply.send(1);
      broadcast<int> news(1, when_behind::hold);
      auto mine = news.subscribe();
      (void)news.try_send(1);
      broadcast<int> room(1, when_behind::hold);
      auto theirs = room.subscribe();
      watch<int> config(1);
      auto observer = config.observe();
      config.set(2);
      shared_mutex alone;
      shared_mutex shared;
      semaphore places(1);
      latch l(0);
      const auto first =
          co_await select(reply.recv(), mine.recv(), room.send(1), observer.changed(), alone.lock(),
                          shared.lock_shared(), places.hold(), l.wait());
      const std::size_t i = first.index();
      chosen[i] = true;
      reply.close();
      news.close();
      room.close();
      config.close();
      EXPECT_EQ((co_await reply.recv()).has_value(), i != 0);
      EXPECT_EQ((co_await mine.recv()).has_value(), i != 1);
      EXPECT_EQ((co_await theirs.recv()).has_value(), i == 2);
      EXPECT_EQ((co_await observer.changed()).has_value(), i != 3);
      EXPECT_EQ(static_cast<bool>(alone.try_lock_shared()), i != 4);
      EXPECT_EQ(static_cast<bool>(shared.try_lock()), i != 5);
      EXPECT_EQ(places.available(), i != 6 ? 1u : 0u);
    }
  });
}

// Else two cores could each wait for a lock that the other has.
TEST(select, of_the_same_in_another_order_does_not_lock_up) {
  run_on(2, []() -> task<> {
    channel<int> a(1);
    channel<int> b(1);
    event open;
    open.open();
    auto forth = [&]() -> task<> {
      for (int i = 0; i < 20'000; ++i) {
        const auto first = co_await select(a.recv(), b.recv(), open.wait());
        EXPECT_EQ(first.index(), 2u);
      }
    };
    auto back = [&]() -> task<> {
      for (int i = 0; i < 20'000; ++i) {
        const auto first = co_await select(open.wait(), b.recv(), a.recv());
        EXPECT_EQ(first.index(), 0u);
      }
    };
    co_await with_scope([&](scope& s) -> task<> {
      (void)s.spawn_on(0, forth);
      (void)s.spawn_on(1, back);
      co_return;
    });
  });
}

// Both ends of three channels select; rings and rendezvous, timers in between, on all cores.
TEST(select, loses_nothing_between_many_cores) {
  for (const unsigned cores : {1u, 2u, 4u}) {
    for (const std::size_t capacity : {0u, 1u, 8u}) {
      constexpr int producers = 4;
      constexpr int each = 800;
      std::vector<std::atomic<int>> seen(producers * each);
      run_on(cores, [&]() -> task<> {
        channel<int> a(capacity);
        channel<int> b(capacity);
        channel<int> c(capacity);
        std::atomic<int> left{producers * each};
        event done;
        auto produce = [&](int me) -> task<> {
          for (int i = 0; i < each;) {
            int item = me * each + i;
            const auto sent = co_await select(a.send_from(item), b.send_from(item), sleep_for(50us),
                                              c.send_from(item));
            if (sent.index() != 2) ++i;
          }
        };
        auto consume = [&](int me) -> task<> {
          while (true) {
            int item = -1;
            if (me % 2 == 0) {
              auto got = co_await select(a.recv(), done.wait(), b.recv(), c.recv());
              if (got.index() == 1) break;
              if (got.index() == 0) item = *std::get<0>(got);
              if (got.index() == 2) item = *std::get<2>(got);
              if (got.index() == 3) item = *std::get<3>(got);
            } else {
              auto got =
                  co_await select(c.recv(), sleep_for(100us), b.recv(), done.wait(), a.recv());
              if (got.index() == 1) continue;
              if (got.index() == 3) break;
              if (got.index() == 0) item = *std::get<0>(got);
              if (got.index() == 2) item = *std::get<2>(got);
              if (got.index() == 4) item = *std::get<4>(got);
            }
            EXPECT_EQ(seen[static_cast<std::size_t>(item)]++, 0) << "twice";
            if (--left == 0) done.open();
          }
        };
        co_await with_scope([&](scope& s) -> task<> {
          for (unsigned i = 0; i < producers; ++i)
            (void)s.spawn_on(i % cores, produce, static_cast<int>(i));
          for (unsigned i = 0; i < 4; ++i)
            (void)s.spawn_on((i + 1) % cores, consume, static_cast<int>(i));
          co_return;
        });
        EXPECT_FALSE(a.try_recv() || b.try_recv() || c.try_recv());
      });
      for (const auto& n : seen) EXPECT_EQ(n, 1);
    }
  }
}

// Whoever is first of three: a timer, an unlock on another core, a cancel. The mutex is not lost.
TEST(select, loses_no_lock_between_its_timer_and_a_cancel_and_an_unlock) {
  run_on(2, []() -> task<> {
    for (int round = 0; round < 500; ++round) {
      mutex m;
      event never;
      std::atomic<bool> waits{false};
      co_await with_scope([&](scope& s) -> task<> {
        auto held = co_await m.lock();
        auto t = s.spawn_on(1, [&]() -> task<> {
          waits = true;
          (void)co_await select(never.wait(), m.lock(), sleep_for(std::chrono::microseconds(60)));
        });
        while (!waits) co_await yield();
        for (int i = 0; i < round % 50; ++i) co_await yield();
        if (round % 4 == 0) t.cancel();
        held.unlock();
        if (round % 4 == 1) t.cancel();
        (void)co_await t.join();
      });
      EXPECT_TRUE(m.try_lock());
    }
  });
}

}  // namespace
}  // namespace corespun
