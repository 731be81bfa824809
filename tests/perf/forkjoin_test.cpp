// perf/forkjoin and perf/micro, run as programs: what they promise to the scripts of perf/bench.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/io_process.hpp"

namespace corespun::test {
namespace {

const std::string folder = CORESPUN_BIN_DIR "/";

TEST(forkjoin, solves_each_problem_on_one_core_and_on_two) {
  const std::vector<std::vector<std::string>> problems{
      {"fib", "17"}, {"skynet", "1000"}, {"nqueens", "7"}, {"matmul", "128"}};
  const std::string results[] = {"1597", "499500", "40", "6291264"};
  for (const std::string cores : {"1", "2"}) {
    for (std::size_t i = 0; i < problems.size(); ++i) {
      program run({folder + "forkjoin", problems[i][0], problems[i][1], "--cores", cores});
      const std::string text = run.output();
      EXPECT_EQ(run.errors(), "");
      EXPECT_EQ(run.wait(), 0);
      EXPECT_NE(text.find("\"result\": " + results[i] + ","), text.npos) << text;
      EXPECT_NE(text.find("\"cores\": " + cores + ","), text.npos) << text;
    }
  }
}

TEST(forkjoin, says_what_it_cannot_solve) {
  program run({folder + "forkjoin", "skynet", "11"});
  EXPECT_NE(run.errors().find("the leaves of skynet are a power of ten"), std::string::npos);
  EXPECT_EQ(run.wait(), 2);
}

// Those with a million tasks take too long where memory is checked.
TEST(micro, runs_each_operation_to_its_end) {
  program run({folder + "micro", "--benchmark_min_time=0", "--benchmark_format=csv",
               "--benchmark_filter=-many|1000"});
  const std::string text = run.output();
  EXPECT_EQ(run.wait(), 0);
  for (const std::string name : {"parked", "await_child", "spawn_join", "when_all_two", "channel"})
    EXPECT_NE(text.find('"' + name + "/cores:1"), text.npos) << name << " in\n" << text;
}

}  // namespace
}  // namespace corespun::test
