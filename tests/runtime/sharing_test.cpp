// Who is called to steal, and when the next may be.

#include <corespun/runtime/detail/frame.hpp>
#include <corespun/runtime/detail/machine.hpp>
#include <corespun/runtime/task.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <utility>

namespace corespun::detail {
namespace {

struct never_blocks final : driver {
  void attach(core&) override {}
  void poll(clock::time_point) override {}
  void wake() noexcept override {}
  [[nodiscard]] std::size_t in_flight() const noexcept override { return 0; }
  void cancel_all() override {}
  [[nodiscard]] const char* name() const noexcept override { return "test"; }
};

struct nobody final : joiner {
  std::coroutine_handle<> child_ended(root&) noexcept override { return std::noop_coroutine(); }
};

// Its own task may take as long as it likes.
TEST(sharing, a_core_that_was_called_while_its_own_work_came_leaves_room_for_the_next_call) {
  machine m(1);
  for (unsigned i = 0; i < 2; ++i) m.cores.push_back(std::make_unique<core>(i, m, nullptr));
  for (const auto& c : m.cores) c->attach(std::make_unique<never_blocks>());
  core& called = *m.cores.back();  // this thread stands in for it since it attached
  called.turn();
  m.searching.store(1);  // by who calls
  ASSERT_TRUE(called.wake_if_asleep(true));
  unsigned searching = 1;
  auto look = [&]() -> task<> {
    searching = m.searching.load();
    co_return;
  };
  nobody waits;
  task<> own = look();
  root r;
  r.adopt(called, waits, own.release(), true);
  called.make_ready(r);
  called.turn();
  EXPECT_EQ(searching, 0u);
  r.destroy_frames();
  core::stand_in(nullptr);
  release_free_frames();
}

}  // namespace
}  // namespace corespun::detail
