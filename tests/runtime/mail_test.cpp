// inbox: all mail comes, once, and in the order in which each sender posted it.

#include <corespun/runtime/detail/mail.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

namespace corespun::detail {
namespace {

struct letter : mail {
  int sender = 0;
  int number = 0;
};

TEST(inbox, is_empty_from_the_start) {
  inbox box;
  EXPECT_TRUE(box.empty());
  EXPECT_EQ(box.take(), nullptr);
}

TEST(inbox, gives_all_that_was_pushed_oldest_first_and_is_then_empty) {
  inbox box;
  letter letters[5];
  for (letter& l : letters) box.push(l);
  EXPECT_FALSE(box.empty());
  mail* m = box.take();
  EXPECT_TRUE(box.empty());
  for (letter& l : letters) {
    ASSERT_EQ(m, &l);
    m = m->next;
  }
  EXPECT_EQ(m, nullptr);
}

TEST(inbox, mail_may_be_pushed_again_after_it_was_taken) {
  inbox box;
  letter l;
  for (int i = 0; i < 3; ++i) {
    box.push(l);
    EXPECT_EQ(box.take(), &l);
  }
}

TEST(inbox, keeps_the_order_of_each_sender_and_loses_nothing_under_contention) {
  constexpr int senders = 4;
  constexpr int each = 20'000;
  inbox box;
  std::vector<std::vector<letter>> letters;
  for (int s = 0; s < senders; ++s) {
    letters.emplace_back(each);
    for (int i = 0; i < each; ++i) {
      letters.back()[static_cast<std::size_t>(i)].sender = s;
      letters.back()[static_cast<std::size_t>(i)].number = i;
    }
  }
  std::atomic<bool> go{false};
  std::vector<std::jthread> threads;
  for (auto& mine : letters) {
    threads.emplace_back([&] {
      while (!go) std::this_thread::yield();
      for (letter& l : mine) box.push(l);
    });
  }
  go = true;
  int taken = 0;
  int next[senders] = {};
  int out_of_order = 0;
  while (taken < senders * each) {
    for (mail* m = box.take(); m != nullptr; ++taken) {
      const auto& l = static_cast<letter&>(*m);
      m = m->next;
      if (l.number != next[l.sender]++) ++out_of_order;
    }
  }
  EXPECT_EQ(out_of_order, 0);
  EXPECT_TRUE(box.empty());
}

TEST(member_mail, calls_the_member_it_was_addressed_to) {
  struct target {
    void called() noexcept { ++calls; }
    int calls = 0;
    member_mail<target> post;
  } t;
  mail& m = t.post.to<&target::called>(t);
  m.deliver(m);
  EXPECT_EQ(t.calls, 1);
}

}  // namespace
}  // namespace corespun::detail
