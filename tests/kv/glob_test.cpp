// Patterns of KEYS and SCAN.

#include "examples/kv/glob.hpp"

#include <gtest/gtest.h>

#include <string>

namespace kv {
namespace {

TEST(kv_glob, stars_and_question_marks) {
  EXPECT_TRUE(matches("*", ""));
  EXPECT_TRUE(matches("a*c", "abbbc"));
  EXPECT_TRUE(matches("a*", "a"));
  EXPECT_FALSE(matches("a?", "a"));
  EXPECT_TRUE(matches("h?llo", "hello"));
  EXPECT_TRUE(matches("*a*b*", "xxaxxbxx"));
  EXPECT_FALSE(matches("*a*b*", "xxbxxaxx"));
  EXPECT_FALSE(matches("", "a"));
}

TEST(kv_glob, classes) {
  EXPECT_TRUE(matches("h[ae]llo", "hello"));
  EXPECT_FALSE(matches("h[ae]llo", "hillo"));
  EXPECT_TRUE(matches("[a-c]", "b"));
  EXPECT_TRUE(matches("[c-a]", "b"));
  EXPECT_TRUE(matches("[^a-c]", "d"));
  EXPECT_FALSE(matches("[^a-c]", "b"));
  EXPECT_TRUE(matches("[\\]]", "]"));
  EXPECT_TRUE(matches("[\x80-\xff]", "\xc3"));
}

TEST(kv_glob, a_backslash_takes_what_follows_as_it_is) {
  EXPECT_TRUE(matches("a\\*", "a*"));
  EXPECT_FALSE(matches("a\\*", "ab"));
  EXPECT_TRUE(matches("\\", "\\"));
}

TEST(kv_glob, many_stars_do_not_take_exponential_time) {
  std::string pattern;
  for (int i = 0; i < 50; ++i) pattern += "a*";
  EXPECT_FALSE(matches(pattern + 'b', std::string(5'000, 'a')));
}

}  // namespace
}  // namespace kv
