// outcome: a value, an exception, or stopped; exactly one of them.

#include <corespun/runtime/outcome.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>

namespace corespun {
namespace {

TEST(outcome, is_stopped_from_the_start) {
  const outcome<int> o;
  EXPECT_TRUE(o.stopped());
  EXPECT_FALSE(o.has_value());
  EXPECT_FALSE(o.failed());
  EXPECT_EQ(o.error(), nullptr);
}

TEST(outcome, of_a_value_gives_it_back) {
  auto o = outcome<std::unique_ptr<int>>::of(std::make_unique<int>(3));
  ASSERT_TRUE(o);
  EXPECT_EQ(*std::move(o).value(), 3);
}

TEST(outcome, of_a_reference_gives_the_same_object_back) {
  int x = 1;
  auto o = outcome<int&>::of(&x);
  ASSERT_TRUE(o);
  EXPECT_EQ(&std::move(o).value(), &x);
}

TEST(outcome, of_void_has_a_value_too) {
  auto o = outcome<void>::of({});
  EXPECT_TRUE(o.has_value());
  EXPECT_NO_THROW(std::move(o).value());
}

TEST(outcome, of_an_error_throws_it_when_asked_for_the_value) {
  auto o = outcome<int>::of_error(std::make_exception_ptr(std::runtime_error("no")));
  EXPECT_TRUE(o.failed());
  EXPECT_FALSE(o);
  EXPECT_NE(o.error(), nullptr);
  EXPECT_THROW((void)std::move(o).value(), std::runtime_error);
}

// A value may itself be an exception_ptr; that is no failure.
TEST(outcome, tells_a_value_from_an_error_even_if_both_are_exception_pointers) {
  auto o = outcome<std::exception_ptr>::of(std::make_exception_ptr(1));
  EXPECT_TRUE(o.has_value());
  EXPECT_FALSE(o.failed());
}

TEST(outcome, asking_a_stopped_one_for_its_value_aborts_with_advice) {
  EXPECT_DEATH((void)outcome<int>().value(),
               "value\\(\\) of an outcome that is stopped(.|\n)*"
               "ask stopped\\(\\) first");
}

}  // namespace
}  // namespace corespun
