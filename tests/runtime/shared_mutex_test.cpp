// shared_mutex: alone or shared, first come first served, and no cancel loses it.

#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/shared_mutex.hpp>
#include <corespun/runtime/this_core.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/support/run.hpp"
#include "tests/support/tasks.hpp"

namespace corespun {
namespace {

using test::run;
using test::run_on;

TEST(shared_mutex, is_for_one_alone_or_for_many_that_share) {
  run([]() -> task<> {
    shared_mutex m;
    {
      auto first = co_await m.lock_shared();
      auto second = m.try_lock_shared();
      EXPECT_TRUE(second);
      EXPECT_FALSE(m.try_lock());
      first.unlock();
      EXPECT_FALSE(m.try_lock());
    }
    auto alone = co_await m.lock();
    EXPECT_FALSE(m.try_lock());
    EXPECT_FALSE(m.try_lock_shared());
    alone.unlock();
    EXPECT_TRUE(m.try_lock());
  });
}

/// Tasks that lock in turn: a small letter shares, a capital letter is alone. Each logs itself when
/// it is inside and stays there until `leave` says its letter.
struct visitors {
  explicit visitors(scope& in) : scope_(in) {}

  task<> come(char c) {
    waiting.push_back(scope_.spawn([this, c]() -> task<> {
      if (c >= 'a') {
        auto held = co_await m.lock_shared();
        inside.insert(c);
        while (inside.contains(c)) co_await yield();
      } else {
        auto held = co_await m.lock();
        inside.insert(c);
        while (inside.contains(c)) co_await yield();
      }
    }));
    co_await test::let_others_run();
  }
  task<> leave(char c) {
    inside.erase(c);
    co_await test::let_others_run(6);
  }
  std::string who() const { return std::string(inside.begin(), inside.end()); }

  scope& scope_;
  shared_mutex m;
  std::set<char> inside;
  std::vector<task_handle<void>> waiting;
};

TEST(shared_mutex, serves_in_order_and_lets_neighbours_share) {
  run([]() -> task<> {
    co_await with_scope([](scope& s) -> task<> {
      visitors v(s);
      for (const char c : {'a', 'B', 'c', 'd', 'E'}) co_await v.come(c);
      EXPECT_EQ(v.who(), "a") << "c and d do not overtake B";
      EXPECT_FALSE(v.m.try_lock_shared());
      co_await v.leave('a');
      EXPECT_EQ(v.who(), "B");
      co_await v.leave('B');
      EXPECT_EQ(v.who(), "cd");
      co_await v.leave('d');
      EXPECT_EQ(v.who(), "c");
      co_await v.leave('c');
      EXPECT_EQ(v.who(), "E");
      co_await v.leave('E');
      for (auto& t : v.waiting) (void)co_await t.join();
    });
  });
}

TEST(shared_mutex, those_behind_a_cancelled_one_move_up) {
  for (std::size_t cancelled = 1; cancelled < 4; ++cancelled) {
    run([&]() -> task<> {
      co_await with_scope([&](scope& s) -> task<> {
        visitors v(s);
        for (const char c : {'a', 'B', 'c', 'D'}) co_await v.come(c);
        v.waiting[cancelled].cancel();
        const outcome<void> o = co_await v.waiting[cancelled].join();
        EXPECT_TRUE(o.stopped());
        co_await test::let_others_run();
        EXPECT_EQ(v.who(), cancelled == 1 ? "ac" : "a");
        std::string left = "aBcD";
        left.erase(cancelled, 1);
        for (const char c : left) {
          EXPECT_TRUE(v.inside.contains(c)) << c;
          co_await v.leave(c);
        }
        EXPECT_TRUE(v.m.try_lock());
        for (std::size_t i = 0; i < 4; ++i) {
          if (i != cancelled) (void)co_await v.waiting[i].join();
        }
      });
    });
  }
}

TEST(shared_mutex, keeps_apart_tasks_of_many_cores) {
  constexpr unsigned cores = 4;
  std::atomic<int> sharing{0};
  std::atomic<int> alone{0};
  int written = 0;  // guarded by the mutex
  run_on(cores, [&]() -> task<> {
    shared_mutex m;
    auto read = [&]() -> task<> {
      for (int i = 0; i < 400; ++i) {
        auto held = co_await m.lock_shared();
        ++sharing;
        EXPECT_EQ(alone, 0);
        if (i % 16 == 0) co_await yield();
        --sharing;
      }
    };
    auto write = [&]() -> task<> {
      for (int i = 0; i < 400; ++i) {
        auto held = co_await m.lock();
        EXPECT_EQ(++alone, 1);
        EXPECT_EQ(sharing, 0);
        ++written;
        if (i % 16 == 0) co_await yield();
        --alone;
      }
    };
    co_await with_scope([&](scope& s) -> task<> {
      for (unsigned i = 0; i < 8; ++i) (void)s.spawn_on(i % cores, read);
      for (unsigned i = 0; i < 4; ++i) (void)s.spawn_on(i % cores, write);
      co_return;
    });
    EXPECT_TRUE(m.try_lock());
  });
  EXPECT_EQ(written, 1600);
}

TEST(shared_mutex, is_never_lost_between_an_unlock_and_a_cancel) {
  run_on(2, []() -> task<> {
    for (int round = 0; round < 500; ++round) {
      shared_mutex m;
      std::atomic<int> waits{0};
      co_await with_scope([&](scope& s) -> task<> {
        auto held = co_await m.lock();
        auto alone = s.spawn_on(1, [&]() -> task<> {
          ++waits;
          auto mine = co_await m.lock();
        });
        auto shared = s.spawn_on(1, [&]() -> task<> {
          ++waits;
          auto mine = co_await m.lock_shared();
        });
        while (waits < 2) co_await yield();
        if (round % 2 == 0) alone.cancel();
        held.unlock();
        if (round % 2 == 1) alone.cancel();
        (void)co_await alone.join();
        const outcome<void> o = co_await shared.join();
        EXPECT_FALSE(o.stopped());
      });
      EXPECT_TRUE(m.try_lock());
    }
  });
}

TEST(shared_mutex, destroyed_while_tasks_wait_aborts_with_advice) {
  EXPECT_DEATH(run([](scope& s) -> task<> {
                 auto m = std::make_unique<shared_mutex>();
                 auto held = co_await m->lock();
                 (void)s.spawn([&]() -> task<> { auto mine = co_await m->lock_shared(); });
                 co_await test::let_others_run();
                 m.reset();
               }),
               "a shared_mutex is destroyed while tasks wait(.|\n)*end the scope");
}

}  // namespace
}  // namespace corespun
