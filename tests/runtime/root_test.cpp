// ready_list: first in, first out.

#include <corespun/runtime/detail/root.hpp>

#include <gtest/gtest.h>

namespace corespun::detail {
namespace {

TEST(ready_list, gives_roots_in_the_order_in_which_they_became_ready) {
  ready_list list;
  root a, b, c;
  EXPECT_TRUE(list.empty());
  list.push(a);
  list.push(b);
  list.push(c);
  EXPECT_EQ(list.size(), 3u);
  EXPECT_EQ(&list.pop(), &a);
  EXPECT_EQ(&list.pop(), &b);
  EXPECT_EQ(&list.pop(), &c);
  EXPECT_TRUE(list.empty());
  EXPECT_EQ(list.size(), 0u);
}

TEST(ready_list, can_be_used_again_after_it_was_empty) {
  ready_list list;
  root a, b;
  list.push(a);
  (void)list.pop();
  list.push(b);
  list.push(a);
  EXPECT_EQ(&list.pop(), &b);
  EXPECT_EQ(&list.pop(), &a);
}

// The rotation of a simulated choice.
TEST(ready_list, a_root_that_is_popped_may_go_to_the_back) {
  ready_list list;
  root a, b;
  list.push(a);
  list.push(b);
  list.push(list.pop());
  EXPECT_EQ(&list.pop(), &b);
  EXPECT_EQ(&list.pop(), &a);
}

}  // namespace
}  // namespace corespun::detail
