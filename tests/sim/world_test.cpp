// sim::world: machines that talk, and what can happen to them.

#include "tests/sim/support.hpp"

#include <corespun/runtime/buggify.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <vector>

#include "tests/support/io_sockets.hpp"

namespace corespun::test {
namespace {

using namespace std::chrono_literals;

TEST(world, carries_an_echo_between_machines_for_every_seed) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    sim::run(seed, [](sim::world& w) {
      (void)w.host("10.0.0.1", echo_server, 1 + w.choose(4));
      std::string answer;
      (void)w.host("10.0.0.2", [&]() -> task<> {
        co_await sleep_for(1s);
        auto asking = ask(server_at(), "hello");
        answer = need(co_await std::move(asking));
      });
      w.run_until([&] { return answer == "hello"; }, 1min);
    });
  }
}

TEST(world, takes_no_time_for_hours) {
  sim::world w(1);
  (void)w.host("10.0.0.1", []() -> task<> { co_await sleep_for(1000h); });
  w.run(2000h);
  EXPECT_EQ(w.now().time_since_epoch(), 1000h);
}

TEST(world, run_for_lets_that_much_time_pass) {
  sim::world w(1);
  int ticks = 0;
  (void)w.host("10.0.0.1", [&]() -> task<> {
    for (;; ++ticks) co_await sleep_for(1s);
  });
  w.run_for(10500ms);
  EXPECT_EQ(ticks, 10);
  EXPECT_EQ(w.now().time_since_epoch(), 10500ms);
}

TEST(world, gives_each_seed_its_own_run) {
  std::set<std::uint64_t> hashes;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    sim::world w(seed);
    (void)w.host("10.0.0.1", echo_server, 2);
    auto client = w.host("10.0.0.2", [] { return ask_until_answered(server_at(), "hello"); });
    w.run_until([&] { return client.ended(); });
    w.finish();
    hashes.insert(w.trace_hash());
  }
  EXPECT_EQ(hashes.size(), 20u);
}

TEST(world, its_choices_replay_it) {
  const auto play = [](sim::world& w) {
    (void)w.host("10.0.0.1", echo_server, 2);
    auto client = w.host("10.0.0.2", [] { return ask_until_answered(server_at(), "hello"); });
    w.run_until([&] { return client.ended(); });
    w.finish();
    return w.trace_hash();
  };
  sim::world first(7);
  const std::uint64_t hash = play(first);
  sim::replayed choices(first.choices());
  sim::world second(choices);
  EXPECT_EQ(play(second), hash);
}

TEST(world, latency_is_that_of_the_link) {
  sim::world w(1);
  auto server = w.host("10.0.0.1", echo_server);
  clock::duration took{};
  auto client = w.host("10.0.0.2", [&]() -> task<> {
    co_await sleep_for(1s);
    const clock::time_point before = clock::now();
    auto asking = ask(server_at(), "hello");
    (void)need(co_await std::move(asking));
    took = clock::now() - before;
  });
  w.link(server, client).latency(100ms, 100ms);
  w.run_until([&] { return client.ended(); });
  EXPECT_GE(took, 400ms);  // there and back, twice
  EXPECT_LT(took, 500ms);
}

TEST(world, a_stream_arrives_whole_and_in_order_over_a_bad_link) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    sim::run(seed, [](sim::world& w) {
      auto server = w.host("10.0.0.1", echo_server);
      auto client = w.host("10.0.0.2", []() -> task<> {
        co_await sleep_for(1s);
        std::string text;
        for (int i = 0; text.size() < 100'000; ++i) text += std::to_string(i);
        auto asking = ask(server_at(), text);
        const std::string answer = need(co_await std::move(asking));
        EXPECT_EQ(answer, text);
      });
      w.link(server, client).latency(1ms, 200ms).loss(0.1);
      w.run_until([&] { return client.ended(); });
    });
  }
}

TEST(world, nothing_gets_through_a_partition_until_it_heals) {
  sim::world w(1);
  auto server = w.host("10.0.0.1", echo_server);
  auto client = w.host("10.0.0.2", [] { return ask_until_answered(server_at(), "hello"); });
  w.partition(server, client);
  w.run_for(10s);
  EXPECT_FALSE(client.ended());
  w.heal();
  w.run_until([&] { return client.ended(); }, 5s);
}

TEST(world, a_killed_server_resets_its_connections_and_refuses_new_ones) {
  sim::world w(1);
  auto server = w.host("10.0.0.1", echo_server);
  std::error_code broken;
  std::error_code refused;
  bool connected = false;
  auto client = w.host("10.0.0.2", [&]() -> task<> {
    co_await sleep_for(1s);
    auto connecting = connect(server_at());
    tcp_stream s = need(co_await std::move(connecting));
    connected = true;
    const result<lease> end = co_await s.recv();
    if (!end) broken = end.error();
    auto again = connect(server_at());
    const result<tcp_stream> none = co_await std::move(again);
    refused = error_in(none);
  });
  w.run_until([&] { return connected; });
  w.run_for(1s);
  w.kill(server);
  EXPECT_TRUE(server.ended());
  w.run_until([&] { return client.ended(); });
  EXPECT_EQ(refused, system_error_code(ECONNREFUSED));
}

TEST(world, a_restarted_server_serves_again) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    sim::run(seed, [](sim::world& w) {
      auto server = w.host("10.0.0.1", echo_server, 2);
      int answers = 0;
      auto client = w.host("10.0.0.2", [&]() -> task<> {
        for (; answers < 20; ++answers) {
          auto asking = ask_until_answered(server_at(), "hello");
          (void)co_await std::move(asking);
        }
      });
      for (const int after : {5, 10, 15}) {
        w.run_until([&] { return answers == after; });
        w.restart(server);
      }
      w.run_until([&] { return client.ended(); });
    });
  }
}

TEST(world, a_paused_machine_stands_still_and_loses_nothing) {
  sim::world w(1);
  auto server = w.host("10.0.0.1", echo_server);
  auto client = w.host("10.0.0.2", [&]() -> task<> {
    co_await sleep_for(1s);
    auto asking = ask(server_at(), "hello");
    (void)need(co_await std::move(asking));
  });
  w.run_for(500ms);
  w.pause(server);
  w.run_for(5s);
  EXPECT_FALSE(client.ended());
  w.resume(server);
  w.run_until([&] { return client.ended(); }, 1s);
}

TEST(world, resets_happen_when_asked_for) {
  int failures = 0;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    sim::run(seed, [&](sim::world& w) {
      sim::faults f;
      f.resets = 10;
      w.set(f);
      (void)w.host("10.0.0.1", echo_server);
      auto client = w.host("10.0.0.2", [&]() -> task<> {
        co_await sleep_for(1s);
        for (int i = 0; i < 5; ++i) {
          auto asking = ask(server_at(), "hello");
          const auto answer = co_await std::move(asking);
          if (!answer) ++failures;
        }
      });
      w.run_until([&] { return client.ended(); });
    });
  }
  EXPECT_GT(failures, 0);
}

fd datagrams(const address& here, const address& to) {
  detail::os_calls& kernel = detail::sys();
  detail::raw_fd s(sys(kernel.socket(here.family(), SOCK_DGRAM), "socket"));
  sys(kernel.bind(s.get(), here.native(), here.native_size()), "bind");
  sys(kernel.connect(s.get(), to.native(), to.native_size()), "connect");
  fd owned = need(fd::adopt(s.get()));
  s.release();
  return owned;
}

TEST(world, datagrams_are_lost_and_overtake_each_other_but_stay_whole) {
  const address here = need(address::parse("10.0.0.1:53"));
  const address there = need(address::parse("10.0.0.2:53"));
  std::vector<int> got;
  sim::world w(1);
  auto receiver = w.host("10.0.0.1", [&]() -> task<> {
    fd socket = datagrams(here, there);
    std::array<std::byte, 100> buffer{};
    while (true) {
      const std::size_t n = need(co_await socket.read_some(buffer));
      got.push_back(std::stoi(text_of(std::span(buffer).first(n))));
    }
  });
  auto sender = w.host("10.0.0.2", [&]() -> task<> {
    fd socket = datagrams(there, here);
    co_await sleep_for(1s);
    for (int i = 0; i < 100; ++i) {
      const std::string text = std::to_string(i);
      (void)need(co_await socket.write_some(bytes_of(text)));
    }
    co_await sleep_for(1s);
  });
  w.link(sender, receiver).latency(1ms, 50ms).loss(0.2);
  w.run_until([&] { return sender.ended(); });
  EXPECT_GT(got.size(), 50u);
  EXPECT_LT(got.size(), 100u);
  EXPECT_FALSE(std::ranges::is_sorted(got));
  EXPECT_EQ(std::set<int>(got.begin(), got.end()).size(), got.size()) << "none comes twice";
}

TEST(world, a_link_that_loses_all_is_slow_and_not_endless) {
  sim::world w(1);
  auto server = w.host("10.0.0.1", echo_server);
  auto client = w.host("10.0.0.2", [] { return ask_until_answered(server_at(), "hello"); });
  w.link(server, client).loss(1);
  w.run_for(1min);
  EXPECT_FALSE(client.ended());
}

TEST(world, a_machine_may_kill_another) {
  sim::world w(1);
  auto victim = w.host("10.0.0.1", echo_server);
  bool done = false;
  auto killer = w.host("10.0.0.2", [&]() -> task<> {
    co_await sleep_for(1s);
    w.kill(victim);
    co_await sleep_for(1s);
    done = clock::now().time_since_epoch() == 2s;
  });
  w.run_until([&] { return killer.ended(); });
  EXPECT_TRUE(done);
  EXPECT_TRUE(victim.ended());
}

// --- buggify, probes ---

TEST(buggify, fires_in_some_runs_and_there_often) {
  int runs = 0;
  int times = 0;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    sim::world w(seed);
    int here = 0;
    (void)w.host("10.0.0.1", [&]() -> task<> {
      for (int i = 0; i < 100; ++i) here += sim::buggify() ? 1 : 0;
      co_return;
    });
    w.run();
    runs += here > 0 ? 1 : 0;
    times += here;
  }
  EXPECT_NEAR(runs, 50, 20);
  EXPECT_NEAR(times, 50 * 25, 500);
}

TEST(buggify, never_fires_outside_of_a_world) {
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(sim::buggify());
  EXPECT_EQ(sim::choose(100), 0u);
}

TEST(probe, is_told_of_when_it_was_reached) {
  sim::world w(1);
  (void)w.host("10.0.0.1", []() -> task<> {
    sim::probe("here");
    co_return;
  });
  w.run();
  EXPECT_EQ(w.reached(), std::set<std::string>{"here"});
}

}  // namespace
}  // namespace corespun::test
