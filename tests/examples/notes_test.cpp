// The examples of examples/notes: programs of one file, each of which shows one use of coroutines.

#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <vector>

#include "tests/examples/output.hpp"

namespace corespun::test {
namespace {

const std::string made_and_used =
    "produce 1\n"
    "produce 2\n"
    "produce 3\n"
    "consume 1\n"
    "consume 2\n"
    "consume 3\n"
    "produce 4\n"
    "produce 5\n"
    "consume 4\n"
    "consume 5\n";

TEST(notes, producer_and_consumer_transfer_to_each_other_when_the_queue_is_full_or_empty) {
  EXPECT_EQ(output_of("notes/producer_consumer"), made_and_used);
}

TEST(notes, a_dispatcher_runs_them_in_the_same_order) {
  EXPECT_EQ(output_of("notes/dispatcher"), made_and_used);
}

TEST(notes, a_receiver_takes_a_value_only_after_it_has_started) {
  EXPECT_EQ(output_of("notes/receiver"),
            "error: send() to a coroutine that has not started: no co_yield waits for the value; "
            "call next() first, which runs it to its first co_yield\n"
            "started\n"
            "received 100\n"
            "ended\n");
}

TEST(notes, two_way_passes_through_four_states) {
  EXPECT_EQ(output_of("notes/two_way"),
            "created\n"
            "running\n"
            "yielded 14\n"
            "suspended\n"
            "received y = 28\n"
            "yielded 42\n"
            "received z = 99\n"
            "ended\n"
            "closed\n");
}

TEST(notes, letters_and_numbers_come_in_their_order_and_once) {
  EXPECT_EQ(output_of("notes/letters_numbers"), "A\nB\n1\n2\nfirst A\nthen B12\n");
}

TEST(notes, generators_may_end_or_not_and_recurse) {
  EXPECT_EQ(output_of("notes/generators"),
            "5 4 3 2 1 \n"
            "1 11 21 1211 111221 312211 \n"
            "1 2 3 4 5 6 7 \n");
}

TEST(notes, what_is_thrown_in_and_handled_does_not_end_a_coroutine) {
  EXPECT_EQ(output_of("notes/close_and_throw"),
            "started\n"
            "received 1\n"
            "handled: not a number\n"
            "suspended\n"
            "received 2\n"
            "closed: goodbye\n"
            "closed\n"
            "started\n"
            "came back: no more power\n"
            "closed\n");
}

TEST(notes, follow_sees_all_lines_of_a_file_that_grows) {
  EXPECT_EQ(output_of("notes/follow"),
            "a python wakes up\n"
            "the python is hungry\n"
            "the python sleeps\n");
}

TEST(notes, a_pipeline_that_pushes_does_the_same_with_a_filter_that_is_an_object) {
  const std::string once = "a python wakes up\nthe python is hungry\nend\n";
  EXPECT_EQ(output_of("notes/push_pipeline"), once + once);
}

TEST(notes, broadcast_sends_each_line_to_all_filters) {
  EXPECT_EQ(output_of("notes/broadcast"),
            "python: a python wakes up\n"
            "cobra: a cobra sleeps\n"
            "sleep: a cobra sleeps\n"
            "python: python and cobra meet\n"
            "cobra: python and cobra meet\n");
}

TEST(notes, events_of_a_parser_become_records_of_buses) {
  EXPECT_EQ(output_of("notes/bus_events"),
            "bus 1755 on route 22 goes North Bound\n"
            "bus 7560 on route 22 goes South Bound\n");
}

TEST(notes, two_consumers_eat_by_turns) {
  EXPECT_EQ(output_of("notes/steamed_buns"),
            "A is ready to eat\n"
            "B is ready to eat\n"
            "two buns are done\n"
            "A eats bun 1\n"
            "B eats bun 2\n"
            "two buns are done\n"
            "A eats bun 3\n"
            "B eats bun 4\n"
            "two buns are done\n"
            "A eats bun 5\n"
            "B eats bun 6\n");
}

TEST(notes, actors_tell_each_other) {
  EXPECT_EQ(output_of("notes/actor"),
            "ping: speed 5, my hit number 1\n"
            "pong: speed 4, my hit number 1\n"
            "ping: speed 3, my hit number 2\n"
            "pong: speed 2, my hit number 2\n"
            "ping: speed 1, my hit number 3\n");
}

TEST(notes, processes_that_only_communicate_find_the_prime_numbers) {
  EXPECT_EQ(output_of("notes/sieve"), "2\n3\n5\n7\n11\n13\n17\n19\n23\n29\n");
}

TEST(notes, a_routine_asks_its_caller_for_values_of_the_function) {
  EXPECT_EQ(output_of("notes/root_finder"), "x * x = 2 at 1.414214, after 32 values\n");
}

std::string elsewhere(const std::string& where) {
  return where +
         "\n"
         "printed: one\n"
         "handled: thrown in\n"
         "printed: two\n"
         "closed\n"
         "ended well\n" +
         where +
         "\n"
         "printed: three\n"
         "failed: an empty text\n";
}

TEST(notes, values_errors_and_the_end_travel_to_another_thread) {
  EXPECT_EQ(output_of("notes/in_a_thread"), elsewhere("another thread"));
}

TEST(notes, values_errors_and_the_end_travel_to_another_process) {
  EXPECT_EQ(output_of("notes/in_a_process"), elsewhere("another process"));
}

TEST(notes, a_toy_system_runs_programs_that_wait_for_each_other_and_for_sockets) {
  EXPECT_EQ(output_of("notes/toy_os"),
            "program 2, three: 1\n"
            "program 2, three: 2\n"
            "program 3, two: 1\n"
            "program 2, three: 3\n"
            "program 3, two: 2\n"
            "waited: 1 0 0\n"
            "echoed: hello\n"
            "echoed: hello again\n"
            "killed: 0 1 1 1\n"
            "others ran meanwhile\n"
            "all programs have ended\n");
}

TEST(notes, who_sleeps_goes_on_in_the_order_of_time_and_who_yields_by_turns) {
  EXPECT_EQ(output_of("notes/sleepers"),
            "sleeps 0.1 s\n"
            "sleeps 0 s\n"
            "slept 0 s\n"
            "slept 0.1 s\n"
            "sleeps 1\n"
            "yields 1\n"
            "sleeps 2\n"
            "yields 2\n"
            "sleeps 3\n"
            "yields 3\n");
}

TEST(notes, an_event_loop_has_calls_futures_tasks_and_limits) {
  EXPECT_EQ(output_of("notes/event_loop"),
            "nothing runs yet\n"
            "at once\n"
            "at once, after that: cancelled\n"
            "after 10 ms\n"
            "at its time\n"
            "too late to cancel\n"
            "first: 42\n"
            "second: no answer\n"
            "squares: 9 and 16\n"
            "under a limit: timed out\n"
            "under a limit: 36\n"
            "submitted before: 4\n");
}

TEST(notes, a_loop_that_sleeps_is_woken_by_another_thread_and_by_nothing_else) {
  EXPECT_EQ(output_of("notes/threadsafe"),
            "asked 1, answered 1\n"
            "asked 2, answered 4\n"
            "asked 3, answered 9\n"
            "it slept in between\n"
            "a task got 7\n");
}

class upper : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (GetParam() == std::string("uring") && !on_uring()) GTEST_SKIP() << "there may be none";
  }
  static std::string option() { return std::string("--") + GetParam(); }
};
INSTANTIATE_TEST_SUITE_P(notes, upper, testing::Values("uring", "epoll"),
                         [](const auto& p) { return std::string(p.param); });

TEST_P(upper, echoes_in_capital_letters_with_the_driver_that_it_is_told) {
  server run("notes/upper", {option(), "--cores", "2"});
  EXPECT_NE(run.greeting().find(std::string("(") + GetParam() + ","), std::string::npos)
      << run.greeting();
  std::vector<client> clients;
  for (int i = 0; i < 10; ++i) clients.emplace_back(run.at());
  for (int round = 0; round < 3; ++round) {
    for (const client& c : clients) c.say("What is " + c.name() + "?\n");
    for (const client& c : clients) {
      const std::string number = c.name().substr(5);
      EXPECT_EQ(c.line(), "WHAT IS GUEST" + number + "?");
    }
  }
  run.end();
}

TEST_P(upper, a_client_that_does_not_read_holds_up_nobody_else) {
  server run("notes/upper", {option(), "--cores", "1"});
  const client silent(run.at());
  fill(silent.socket());
  const client quick(run.at());
  quick.say("hello\n");
  EXPECT_EQ(quick.line(), "HELLO");
  run.end();
}

TEST_P(upper, what_was_sent_before_the_end_comes_back) {
  server run("notes/upper", {option()});
  const client c(run.at());
  c.say("the end");
  sys(::shutdown(c.socket().get(), SHUT_WR), "shutdown");
  EXPECT_EQ(read_to_end(c.socket()), "THE END");
  run.end();
}

TEST(notes, a_crawler_finds_all_pages_and_keeps_to_its_limits) {
  const std::string text = output_of("notes/crawler");
  const std::size_t limits = text.find("at most at once: ");
  EXPECT_EQ(text.substr(0, limits),
            "72 pages on 3 hosts, 21 asked for again\n"
            "http://host0/24: 503\n"
            "http://host0/missing: 404\n"
            "http://host1/24: 503\n"
            "http://host1/missing: 404\n"
            "http://host2/24: 503\n"
            "http://host2/missing: 404\n");
  ASSERT_NE(limits, text.npos);
  int at_once = 0;
  int of_one_host = 0;
  EXPECT_EQ(std::sscanf(text.c_str() + limits, "at most at once: %d, of one host: %d\n", &at_once,
                        &of_one_host),
            2);
  EXPECT_GE(at_once, 1);
  EXPECT_LE(at_once, 8);
  EXPECT_LE(of_one_host, 3);
}

TEST(notes, files_go_both_ways_at_the_same_time_and_go_on_where_they_broke_off) {
  EXPECT_EQ(output_of("notes/transfers"),
            "download song: 25% 50% 75% 100%, checksums agree\n"
            "download film: 25% 50% broken off, 75% 100%, checksums agree\n"
            "download book: 25% 50% 75% 100%, checksums agree\n"
            "upload letter: 25% 50% 75% 100%, checksums agree\n"
            "upload picture: 25% 50% broken off, 75% 100%, checksums agree\n");
}

TEST(notes, players_move_between_rooms_of_all_cores_and_none_is_lost) {
  EXPECT_EQ(output_of("notes/game", {"1000"}),
            "1000 players made 4000 visits and heard 12000 ticks\n"
            "0 are left; no room was overfull\n");
}

}  // namespace
}  // namespace corespun::test
