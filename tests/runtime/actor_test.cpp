// actor: one message after the other, none lost while it lives; whoever asks hears of it.

#include <corespun/runtime/actor.hpp>
#include <corespun/runtime/event.hpp>
#include <corespun/runtime/this_core.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "tests/support/run.hpp"
#include "tests/support/tasks.hpp"
#include "tests/support/trace.hpp"
#include "tests/support/virtual_time.hpp"

namespace corespun {
namespace {

using namespace std::chrono_literals;
using test::run;
using test::run_on;
using test::virtual_time;

struct add {
  explicit add(int by) noexcept : n(by) {}
  int n;
};
struct sum {
  sum() noexcept {}
  reply_to<int> reply;
};
/// Throws in the handler; the reply is lost.
struct fail {
  fail() noexcept {}
  reply_to<int> reply;
};
/// The answer comes later, or never.
struct keep {
  keep() noexcept {}
  reply_to<int> reply;
};
using message = std::variant<add, sum, fail, keep>;

struct counter {
  void operator()(message m) {
    if (const auto* const a = std::get_if<add>(&m)) all += a->n;
    if (auto* const s = std::get_if<sum>(&m)) s->reply.answer(all);
    if (std::holds_alternative<fail>(m)) throw std::runtime_error("handler");
    if (auto* const k = std::get_if<keep>(&m)) kept.push_back(std::move(k->reply));
  }
  int all = 0;
  std::vector<reply_to<int>> kept;
};
counter make_counter() { return {}; }

actor_options restarting(unsigned times, clock::duration within) {
  actor_options o;
  o.restarts = times;
  o.within = within;
  return o;
}

actor_options room_for(std::size_t messages) {
  actor_options o;
  o.capacity = messages;
  return o;
}

// --- messages ---

TEST(actor, handles_one_message_after_the_other_in_their_order) {
  run([]() -> task<> {
    std::string log;
    const auto make = [&log] {
      return [&log](char c) -> task<> {
        log += c;
        co_await test::let_others_run();
        log += c;
      };
    };
    co_await with_scope([&](scope& s) -> task<> {
      const actor<char> a = spawn_actor<char>(s, make);
      for (const char c : {'a', 'b', 'c'}) {
        const result<> told = co_await a.tell(c);
        EXPECT_TRUE(told);
      }
    });
    EXPECT_EQ(log, "aabbcc");
  });
}

TEST(actor, whoever_tells_waits_while_the_mailbox_is_full) {
  run([](scope& s) -> task<> {
    event go;
    const auto make = [&] { return [&](int) -> task<> { co_await go.wait(); }; };
    const actor<int> a = spawn_actor<int>(s, make, room_for(2));
    int told = 0;
    auto t = s.spawn([&]() -> task<> {
      for (; told < 5; ++told) (void)co_await a.tell(1);
    });
    co_await test::let_others_run(10);
    EXPECT_EQ(told, 3) << "one is being handled, two wait";
    EXPECT_EQ(a.try_tell(1).error(), std::errc::operation_would_block);
    go.open();
    (void)co_await t.join();
    EXPECT_EQ(told, 5);
  });
}

TEST(actor, answers_who_asks) {
  run([](scope& s) -> task<> {
    const actor<message> a = spawn_actor<message>(s, make_counter);
    for (int i = 1; i < 4; ++i) (void)co_await a.tell(add(i));
    const result<int> all = co_await a.ask(sum());
    EXPECT_EQ(all, 6);
    (void)co_await a.tell(sum());  // nobody asks
  });
}

TEST(actor, answers_nothing_or_an_error) {
  struct check {
    explicit check(bool good) noexcept : ok(good) {}
    bool ok;
    reply_to<void> reply;
  };
  run([](scope& s) -> task<> {
    const auto make = [] {
      return [](check c) {
        c.ok ? c.reply.answer({}) : c.reply.answer(std::unexpected(errc::not_supported));
      };
    };
    const actor<check> a = spawn_actor<check>(s, make);
    const result<> good = co_await a.ask(check(true));
    EXPECT_TRUE(good);
    const result<> bad = co_await a.ask(check(false));
    EXPECT_EQ(bad.error(), errc::not_supported);
  });
}

TEST(actor, is_told_by_threads_that_are_no_core) {
  if (test::on_sim()) GTEST_SKIP() << "one thread plays all cores";
  run([](scope& s) -> task<> {
    const actor<message> a = spawn_actor<message>(s, make_counter);
    promise<> done;
    future<> f = done.get_future();
    std::jthread other([&] {
      for (int i = 0; i < 1000;) {
        if (a.try_tell(add(1))) {
          ++i;
        } else {
          std::this_thread::yield();
        }
      }
      done.set_value();
    });
    co_await std::move(f);
    const result<int> all = co_await a.ask(sum());
    EXPECT_EQ(all, 1000);
  });
}

TEST(actor, loses_nothing_that_tasks_of_many_cores_tell_it) {
  for (const std::size_t capacity : {0u, 1u, 64u}) {
    run_on(4, [&](scope& s) -> task<> {
      const actor<message> a = spawn_actor<message>(s, make_counter, room_for(capacity));
      co_await with_scope([&](scope& tellers) -> task<> {
        for (unsigned core = 0; core < 4; ++core) {
          (void)tellers.spawn_on(core, [&]() -> task<> {
            int before = -1;
            for (int i = 0; i < 300; ++i) {
              (void)co_await a.tell(add(1));
              const result<int> all = co_await a.ask(sum());
              EXPECT_GT(*all, before) << "what this task has told was handled before";
              before = *all;
            }
          });
        }
        co_return;
      });
      const result<int> all = co_await a.ask(sum());
      EXPECT_EQ(all, 1200);
    });
  }
}

// --- answers that do not come ---

TEST(actor, a_question_that_is_dropped_is_an_error_for_the_asker) {
  run([](scope& s) -> task<> {
    const auto make = [] { return [](message) {}; };
    const actor<message> a = spawn_actor<message>(s, make);
    const result<int> none = co_await a.ask(sum());
    EXPECT_EQ(none.error(), errc::broken_promise);
  });
}

TEST(actor, an_answer_that_takes_too_long_is_a_timeout_and_harmless_when_it_comes) {
  virtual_time time;
  time.run([&](scope& s) -> task<> {
    const auto make = [] {
      return [](sum question) -> task<> {
        co_await sleep_for(3s);
        question.reply.answer(1);
      };
    };
    const actor<sum> a = spawn_actor<sum>(s, make, room_for(1));
    const result<int> late = co_await a.ask(sum(), 1s);
    EXPECT_EQ(late.error(), errc::timed_out);
    EXPECT_EQ(time.elapsed(), 1s);
    const result<int> later = co_await a.ask(sum(), 10s);
    EXPECT_EQ(later, 1);
    EXPECT_EQ(time.elapsed(), 6s);
  });
}

TEST(actor, the_limit_of_a_question_counts_the_wait_for_room) {
  virtual_time time;
  time.run([&](scope& s) -> task<> {
    event go;
    int handled = 0;
    const auto make = [&] {
      return [&](sum) -> task<> {
        ++handled;
        co_await go.wait();
      };
    };
    const actor<sum> a = spawn_actor<sum>(s, make, room_for(1));
    for (int i = 0; i < 2; ++i) (void)co_await a.tell(sum());
    const result<int> none = co_await a.ask(sum(), 1s);
    EXPECT_EQ(none.error(), errc::timed_out);
    EXPECT_EQ(time.elapsed(), 1s);
    go.open();
    co_await test::let_others_run(20);
    EXPECT_EQ(handled, 2) << "the one that found no room was not sent";
  });
}

TEST(actor, a_cancelled_question_leaves_nothing_behind) {
  run([](scope& s) -> task<> {
    const actor<message> a = spawn_actor<message>(s, make_counter);
    auto t = s.spawn([&]() -> task<> {
      const result<int> none = co_await a.ask(keep());
      ADD_FAILURE() << none.has_value();
    });
    co_await test::let_others_run(6);
    t.cancel();
    const outcome<void> o = co_await t.join();
    EXPECT_TRUE(o.stopped());
    const result<int> next = co_await a.ask(sum());
    EXPECT_EQ(next, 0);
  });
}

TEST(reply_to, answers_once) {
  promise<result<int>> p;
  future<result<int>> f = p.get_future();
  reply_to<int> r(std::move(p));
  reply_to<int> moved(std::move(r));
  r.answer(1);  // nobody asks there any more
  EXPECT_FALSE(f.ready());
  moved.answer(2);
  EXPECT_EQ(f.take(), 2);
  EXPECT_DEATH(moved.answer(3), "a promise is set twice");
}

TEST(reply_to, that_is_assigned_to_breaks_its_old_question_only) {
  promise<result<int>> p;
  promise<result<int>> q;
  future<result<int>> f = p.get_future();
  future<result<int>> g = q.get_future();
  reply_to<int> r(std::move(p));
  r = reply_to<int>(std::move(q));
  EXPECT_TRUE(f.ready());
  EXPECT_FALSE(g.ready());
  EXPECT_EQ(f.take().error(), errc::broken_promise);
  r.answer(1);
  EXPECT_EQ(g.take(), 1);
}

TEST(reply_to, that_is_assigned_nothing_breaks_its_question) {
  promise<result<int>> p;
  future<result<int>> f = p.get_future();
  reply_to<int> r(std::move(p));
  r = reply_to<int>();
  EXPECT_EQ(f.take().error(), errc::broken_promise);
  r.answer(1);  // nobody asks
}

TEST(reply_to, that_has_answered_may_be_moved) {
  promise<result<int>> p;
  future<result<int>> f = p.get_future();
  reply_to<int> r(std::move(p));
  r.answer(1);
  {
    const reply_to<int> moved(std::move(r));
  }
  EXPECT_EQ(f.take(), 1);
}

TEST(reply_to, that_has_answered_may_take_another_question_and_break_it) {
  promise<result<int>> p;
  promise<result<int>> q;
  future<result<int>> f = p.get_future();
  future<result<int>> g = q.get_future();
  {
    reply_to<int> r(std::move(p));
    r.answer(1);
    r = reply_to<int>(std::move(q));
  }
  EXPECT_EQ(f.take(), 1);
  EXPECT_EQ(g.take().error(), errc::broken_promise);
}

// --- its end ---

TEST(actor, stop_handles_what_is_in_the_mailbox_and_accepts_nothing_more) {
  run([](scope& s) -> task<> {
    event go;
    std::string log;
    const auto make = [&] {
      return [&](char c) -> task<> {
        co_await go.wait();
        log += c;
      };
    };
    const actor<char> a = spawn_actor<char>(s, make, room_for(2));
    for (const char c : {'a', 'b', 'c'}) (void)co_await a.tell(c);
    auto waits_for_room = s.spawn([&]() -> task<> {
      const result<> told = co_await a.tell('d');
      EXPECT_EQ(told.error(), errc::closed);
    });
    co_await test::let_others_run();
    a.stop();
    a.stop();
    const result<> late = co_await a.tell('e');
    EXPECT_EQ(late.error(), errc::closed);
    go.open();
    (void)co_await waits_for_room.join();
    while (s.alive() > 1) co_await yield();
    EXPECT_EQ(log, "abc");
  });
}

TEST(actor, that_has_ended_says_so_to_who_asks) {
  run([](scope& s) -> task<> {
    const actor<message> a = spawn_actor<message>(s, make_counter);
    a.stop();
    while (s.alive() > 1) co_await yield();
    const result<int> none = co_await a.ask(sum(), 1h);
    EXPECT_EQ(none.error(), errc::closed);
    EXPECT_EQ(a.try_tell(add(1)).error(), errc::closed);
  });
}

TEST(actor, ends_when_its_last_address_has_gone) {
  int handled = 0;
  run([&](scope& s) -> task<> {
    const auto make = [&] { return [&](int) { ++handled; }; };
    std::optional<actor<int>> a = spawn_actor<int>(s, make);
    std::optional<actor<int>> copy = a;
    (void)co_await a->tell(1);
    a.reset();
    co_await test::let_others_run();
    (void)co_await copy->tell(2);
    copy.reset();
    while (s.alive() > 1) co_await yield();
    EXPECT_EQ(handled, 2);
  });
}

/// Runs what uses an actor in a scope around the one that owns it; the inner one ends by itself.
/// The error that came out of the inner one.
task<std::string> around(actor_options options, std::function<task<>(scope&, actor<message>)> ask,
                         std::function<task<>(scope&, actor<message>)> in_scope) {
  std::string error;
  co_await with_scope([&](scope& outer) -> task<> {
    try {
      co_await with_scope([&](scope& s) -> task<> {
        const actor<message> a = spawn_actor<message>(s, make_counter, options);
        auto asking = ask(outer, a);
        co_await std::move(asking);
        auto body = in_scope(s, a);
        co_await std::move(body);
      });
    } catch (const std::runtime_error& e) {
      error = e.what();
    }
  });
  co_return error;
}

/// Asks Q, and notes the error.
template <typename Q>
task<> note_error(actor<message> a, std::vector<std::error_code>& errors) {
  const result<int> r = co_await a.ask(Q());
  errors.push_back(r ? std::error_code() : r.error());
}

const std::error_code broken = make_error_code(errc::broken_promise);
const std::error_code closed = make_error_code(errc::closed);

TEST(actor, whose_handler_throws_ends_the_scope_and_all_that_wait_for_it_hear_of_it) {
  run([]() -> task<> {
    std::vector<std::error_code> errors;
    std::string log;
    std::optional<actor<message>> address;
    actor_options o = room_for(2);
    const auto ask = [&](scope& s, actor<message> a) -> task<> {
      address = a;
      (void)s.spawn(note_error<fail>, a, std::ref(errors));
      (void)s.spawn(note_error<sum>, a, std::ref(errors));
      (void)s.spawn(note_error<sum>, a, std::ref(errors));
      co_return;
    };
    const auto sibling = [&](scope&, actor<message>) -> task<> {
      const test::noted end(log, "sibling");
      co_await test::forever();
    };
    auto all = around(o, ask, sibling);
    const std::string error = co_await std::move(all);
    EXPECT_EQ(error, "handler");
    EXPECT_EQ(log, "sibling ");
    EXPECT_EQ(errors, (std::vector<std::error_code>{broken, broken, broken}));
    const result<int> late = co_await address->ask(sum());
    EXPECT_EQ(late.error(), errc::closed);
  });
}

TEST(actor, a_cancel_of_its_scope_ends_the_wait_of_all_that_ask) {
  run([]() -> task<> {
    std::vector<std::error_code> errors;
    const auto make = [] { return [](message) -> task<> { co_await test::forever(); }; };
    co_await with_scope([&](scope& outer) -> task<> {
      co_await with_scope([&](scope& s) -> task<> {
        const actor<message> a = spawn_actor<message>(s, make, room_for(1));
        for (int i = 0; i < 3; ++i) {  // handled, in the mailbox, waiting for room
          (void)outer.spawn(note_error<sum>, a, std::ref(errors));
          co_await test::let_others_run(6);
        }
        EXPECT_TRUE(errors.empty());
        s.cancel();
      });
      co_await test::let_others_run(6);
      EXPECT_EQ(errors.size(), 3u) << "the inner scope has ended";
    });
    EXPECT_EQ(errors, (std::vector<std::error_code>{broken, closed, broken}));
  });
}

TEST(actor, that_was_cancelled_before_it_began_ends_the_wait_of_who_asks) {
  run([]() -> task<> {
    std::vector<std::error_code> errors;
    co_await with_scope([&](scope& outer) -> task<> {
      co_await with_scope([&](scope& s) -> task<> {
        s.cancel();
        const actor<message> a = spawn_actor<message>(s, make_counter);
        (void)outer.spawn(note_error<sum>, a, std::ref(errors));
        co_return;
      });
    });
    EXPECT_EQ(errors.size(), 1u);
    EXPECT_TRUE(errors[0] == broken || errors[0] == closed);
  });
}

// --- restarts ---

TEST(actor, that_restarts_has_a_fresh_state_and_keeps_its_mailbox) {
  run([](scope& s) -> task<> {
    const actor<message> a = spawn_actor<message>(s, make_counter, restarting(1, 1h));
    (void)co_await a.tell(add(5));
    std::vector<std::error_code> errors;
    auto failing = s.spawn(note_error<fail>, a, std::ref(errors));
    co_await yield();  // it is in the mailbox
    (void)co_await a.tell(add(2));
    const result<int> all = co_await a.ask(sum());
    EXPECT_EQ(all, 2);
    (void)co_await failing.join();
    EXPECT_EQ(errors, (std::vector<std::error_code>{broken}));
  });
}

TEST(actor, whose_handler_fails_once_more_than_it_may_escalates) {
  for (const unsigned restarts : {0u, 1u, 3u}) {
    virtual_time time;
    unsigned failed = 0;
    time.run([&]() -> task<> {
      const auto nothing = [](scope&, actor<message>) -> task<> { co_return; };
      const auto fail_often = [&](scope&, actor<message> a) -> task<> {
        while (true) {
          const result<int> r = co_await a.ask(fail());
          if (r.error() == errc::broken_promise) ++failed;
          co_await sleep_for(1s);
        }
      };
      auto all = around(restarting(restarts, 1h), nothing, fail_often);
      const std::string error = co_await std::move(all);
      EXPECT_EQ(error, "handler");
    });
    EXPECT_EQ(failed, restarts + 1) << "who asks hears of it before the scope is cancelled";
  }
}

TEST(actor, counts_only_the_restarts_of_late) {
  virtual_time time;
  time.run([&](scope& s) -> task<> {
    const actor<message> a = spawn_actor<message>(s, make_counter, restarting(2, 10s));
    for (int i = 0; i < 10; ++i) {
      const result<int> r = co_await a.ask(fail());
      EXPECT_EQ(r.error(), errc::broken_promise);
      co_await sleep_for(5s);
    }
    const result<int> all = co_await a.ask(sum());
    EXPECT_EQ(all, 0);
  });
}

TEST(actor, whose_state_cannot_be_made_anew_escalates) {
  int made = 0;
  EXPECT_THROW(run([&](scope& s) -> task<> {
                 const auto make = [&]() -> counter {
                   if (++made > 1) throw std::invalid_argument("no state");
                   return {};
                 };
                 const actor<message> a = spawn_actor<message>(s, make, restarting(1, 1h));
                 (void)co_await a.tell(fail());
                 co_await test::forever();
               }),
               std::invalid_argument);
  EXPECT_EQ(made, 2);
}

TEST(actor, each_message_goes_whatever_becomes_of_it) {
  struct carried {
    explicit carried(int& alive) noexcept : owned(alive) {}
    test::counted owned;
  };
  int alive = 0;
  int handled = 0;
  using box = std::unique_ptr<carried>;
  run([&](scope& s) -> task<> {
    const auto make = [&] {
      return [&](box) -> task<> {
        if (++handled == 2) throw std::runtime_error("handler");
        co_await yield();
        if (handled == 4) co_await test::forever();
      };
    };
    const actor<box> a = spawn_actor<box>(s, make, restarting(1, 1h));
    for (int i = 0; i < 8; ++i) (void)co_await a.tell(std::make_unique<carried>(alive));
    while (handled < 4) co_await yield();
    EXPECT_GT(alive, 0);
    s.cancel();
  });
  EXPECT_EQ(alive, 0);
}

}  // namespace
}  // namespace corespun
