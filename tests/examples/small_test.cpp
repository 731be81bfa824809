// The examples that run and end: hello, timeout, fan_out, coming_from. What they print is what they
// teach.

#include <gtest/gtest.h>

#include <string>

#include "tests/examples/output.hpp"

namespace corespun::test {
namespace {

TEST(hello, prints_in_the_order_of_the_delays_not_of_the_calls) {
  EXPECT_EQ(output_of("hello"), "hello\nworld\n");
}

TEST(timeout, tells_of_the_deadline_then_cleans_up_then_ends) {
  const std::string text = output_of("timeout");
  EXPECT_EQ(text.find("read an answer failed: timed out"), 0u) << text;
  const auto goodbye = text.find("said goodbye\n");
  const auto ended = text.find("all ended\n");
  EXPECT_LT(goodbye, ended) << text;
  EXPECT_NE(ended, text.npos) << text;
}

TEST(fan_out, shows_what_becomes_of_each_branch) {
  EXPECT_EQ(output_of("fan_out"),
            "first: answer 0\n"
            "both: answer 0, answer 1\n"
            "when_all: server 2 is broken; the others were cancelled\n"
            "0 answer 0\n"
            "1 answer 1\n"
            "2 failed\n"
            "3 answer 3\n"
            "4 answer 4\n");
}

TEST(coming_from, does_what_the_document_says) {
  EXPECT_EQ(output_of("coming_from"),
            "both: 30\n"
            "group: 30\n"
            "in time: timed out\n"
            "received: 6\n"
            "first: 7\n"
            "blocked elsewhere: 2\n"
            "slept: cancelled\n"
            "cleaned up\n"
            "answered: 42\n"
            "numbers: 6\n"
            "ticks: 6\n"
            "balance: 5\n");
}

}  // namespace
}  // namespace corespun::test
