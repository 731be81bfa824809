// core_ptr: wherever it is dropped, its object ends on its own core, once.

#include <corespun/runtime/core_ptr.hpp>
#include <corespun/runtime/latch.hpp>
#include <corespun/runtime/scope.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/run.hpp"

namespace corespun {
namespace {

struct ends {
  std::atomic<int> here{0};
  std::atomic<int> elsewhere{0};
};

class object {
 public:
  explicit object(ends& e) : ends_(e), core_(this_core::index()) {}
  object(const object&) = delete;
  ~object() {
    const detail::core* const c = detail::core::current();
    ++(c != nullptr && c->index() == core_ ? ends_.here : ends_.elsewhere);
  }
  unsigned core() const { return core_; }
  int add(int n) { return sum_ += n; }

 private:
  ends& ends_;
  unsigned core_;
  int sum_ = 0;
};

task<core_ptr<object>> make(ends& e) { co_return make_core_ptr<object>(e); }

TEST(core_ptr, ends_its_object_where_it_was_made) {
  ends e;
  test::run_on(3, [&]() -> task<> {
    for (unsigned core = 0; core < 3; ++core) {
      auto made = on_core(core, make, std::ref(e));
      core_ptr<object> p = co_await std::move(made);
      EXPECT_EQ(p.core(), core);
      core_ptr<object> q = std::move(p);
      EXPECT_FALSE(p);
      const auto add = [](object& o, int n) { return o.add(n) + (o.core() == this_core::index()); };
      auto first = q.on(add, 10);
      EXPECT_EQ(co_await std::move(first), 11);
      auto second = q.on(add, 10);
      EXPECT_EQ(co_await std::move(second), 21);
    }
  });
  EXPECT_EQ(e.here, 3);
  EXPECT_EQ(e.elsewhere, 0);
}

TEST(core_ptr, may_be_dropped_by_other_threads_while_the_runtime_lives) {
  if (test::on_sim()) GTEST_SKIP() << "there no other thread may touch it";
  ends e;
  runtime r(test::cores(2));
  std::vector<core_ptr<object>> all;
  (void)r.run([&]() -> task<> {
    for (int i = 0; i < 1000; ++i) {
      auto made = on_core(1, make, std::ref(e));
      all.push_back(co_await std::move(made));
    }
  });
  std::jthread([&] { all.clear(); }).join();
  (void)r.run([&]() -> task<> {
    auto last = on_core(1, [] {});  // behind them
    co_await std::move(last);
  });
  EXPECT_EQ(e.here, 1000);
  EXPECT_EQ(e.elsewhere, 0);
}

/// More than a mailbox holds, by the last thing that the last task does.
TEST(core_ptr, none_is_lost_at_the_end) {
  ends e;
  test::run_on(2, [&]() -> task<> {
    std::vector<core_ptr<object>> all;
    for (int i = 0; i < 1000; ++i) {
      auto made = on_core(1, make, std::ref(e));
      all.push_back(co_await std::move(made));
    }
  });
  EXPECT_EQ(e.here + e.elsewhere, 1000);
}

/// A T that drops another one, of a core that has already ended its work.
TEST(core_ptr, an_object_may_own_one_of_another_core) {
  ends e;
  struct owner : object {
    owner(ends& all, core_ptr<object> other) : object(all), other_(std::move(other)) {}
    core_ptr<object> other_;
  };
  test::run_on(2, [&]() -> task<> {
    const auto make_owner = [](ends& all, core_ptr<object> other) -> task<core_ptr<owner>> {
      co_return make_core_ptr<owner>(all, std::move(other));
    };
    auto making = on_core(1, make_owner, std::ref(e), make_core_ptr<object>(e));
    core_ptr<owner> p = co_await std::move(making);
    p = core_ptr<owner>();
  });
  EXPECT_EQ(e.here + e.elsewhere, 2);
}

#ifndef NDEBUG
TEST(core_ptr_death, says_when_it_is_used_elsewhere) {
  EXPECT_DEATH(test::run_on(2,
                            []() -> task<> {
                              ends e;
                              auto made = on_core(1, make, std::ref(e));
                              const core_ptr<object> p = co_await std::move(made);
                              p->add(1);
                            }),
               "another core than that of its object");
}
#endif

}  // namespace
}  // namespace corespun
