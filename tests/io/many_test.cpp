// More operations than the rings have room for.

#include <corespun/io/fd.hpp>
#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/scope.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "tests/support/io_run.hpp"
#include "tests/support/io_sockets.hpp"

namespace corespun::test {
namespace {

using namespace std::chrono_literals;

struct wire {
  wire() {
    raw_pair ends = socket_pair();
    one = adopted(std::move(ends.one));
    two = adopted(std::move(ends.two));
  }
  fd one;
  fd two;
};

std::vector<wire> wires(std::size_t wanted) {
  const std::size_t possible = (descriptor_limit() - open_descriptors() - 50) / 2;
  return std::vector<wire>(std::min(wanted, possible));
}

TEST(many_operations, ten_thousand_at_once_all_end_with_their_own_byte) {
  run_io([]() -> task<> {
    std::vector<wire> all = wires(5'000);
    std::size_t right = 0;
    auto both_ends = [&](scope& s) -> task<> {
      const auto read = [&right](fd& from, std::byte expected) -> task<> {
        std::array<std::byte, 1> byte{};
        need(co_await from.read_exactly(byte));
        if (byte[0] == expected) ++right;
      };
      const auto write = [](fd& to, std::byte b) -> task<> {
        const std::array bytes{b};
        need(co_await to.write_all(bytes));
      };
      const auto mark = [](std::size_t i, unsigned end) {
        return static_cast<std::byte>(2 * i + end);
      };
      for (std::size_t i = 0; i < all.size(); ++i) {
        (void)s.spawn(read, std::ref(all[i].one), mark(i, 1));
        (void)s.spawn(read, std::ref(all[i].two), mark(i, 0));
      }
      co_await yield();
      EXPECT_EQ(this_core_io().in_flight, 2 * all.size());
      for (std::size_t i = 0; i < all.size(); ++i) {
        (void)s.spawn(write, std::ref(all[i].one), mark(i, 0));
        (void)s.spawn(write, std::ref(all[i].two), mark(i, 1));
      }
    };
    co_await with_scope(both_ends);
    EXPECT_EQ(right, 2 * all.size());
  });
}

TEST(many_operations, thousands_are_cancelled_at_once_and_all_of_them_end) {
  run_io([]() -> task<> {
    std::vector<wire> all = wires(2'000);
    auto wait = [&](scope& s) -> task<> {
      const auto read = [](fd& from) -> task<> {
        std::array<std::byte, 1> byte{};
        (void)co_await from.read_some(byte);
        ADD_FAILURE() << "nobody wrote";
      };
      for (wire& w : all) (void)s.spawn(read, std::ref(w.one));
      co_await yield();
      s.cancel();
    };
    co_await with_scope(wait);
    EXPECT_EQ(this_core_io().in_flight, 0u);
  });
}

// The same number of operations ends as begins, in one turn of the loop, for each number that a
// small ring may have trouble with. What begins stays idle: only the cancels keep the loop going.
TEST(many_operations, cancels_find_their_way_past_operations_that_begin) {
  io_options tiny;
  tiny.ring_entries = 2;
  run_io(io_cores(1, tiny), []() -> task<> {
    for (std::size_t count = 1; count <= 20; ++count) {
      std::vector<wire> all = wires(count);
      auto body = [&](scope& s) -> task<> {
        const auto read = [](fd& from) -> task<> {
          std::array<std::byte, 1> byte{};
          (void)co_await from.read_some(byte);
        };
        std::vector<task_handle<void>> first;
        for (wire& w : all) first.push_back(s.spawn(read, std::ref(w.one)));
        while (this_core_io().in_flight < count) co_await yield();
        for (int i = 0; i < 10; ++i) co_await yield();
        for (wire& w : all) (void)s.spawn(read, std::ref(w.two));
        const auto cancel = [](std::vector<task_handle<void>>& these) -> task<> {
          for (auto& handle : these) handle.cancel();
          co_return;
        };
        (void)s.spawn(cancel, std::ref(first));
        for (auto& handle : first) (void)co_await handle.join();
        s.cancel();
      };
      co_await with_scope(body);
    }
  });
}

TEST(many_operations, that_always_wait_for_their_turn_leave_a_cancel_its_own) {
  io_options tiny;
  tiny.ring_entries = 2;
  run_io(io_cores(1, tiny), []() -> task<> {
    std::vector<wire> all = wires(16);
    wire idle = std::move(wires(1).front());
    auto body = [&](scope& s) -> task<> {
      const auto echo = [](fd& end) -> task<> {
        std::array<std::byte, 1> byte{};
        while (true) {
          (void)co_await end.write_all(byte);
          (void)co_await end.read_some(byte);
        }
      };
      for (wire& w : all) {
        (void)s.spawn(echo, std::ref(w.one));
        (void)s.spawn(echo, std::ref(w.two));
      }
      std::array<std::byte, 1> byte{};
      auto waiting = with_timeout(20ms, idle.one.read_some(byte));
      EXPECT_FALSE((co_await std::move(waiting)).has_value());
      s.cancel();
    };
    co_await with_scope(body);
  });
}

}  // namespace
}  // namespace corespun::test
