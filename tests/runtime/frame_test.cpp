// The memory of frames: from below only until a core is warm, and never more kept than is bounded.

#include <corespun/runtime/detail/frame.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/this_core.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <vector>

#include "tests/support/run.hpp"
#include "tests/support/sanitizers.hpp"

namespace corespun {
namespace {

using detail::allocate_frame;
using detail::frames_from_below;
using detail::release_frame;
using test::run;
using test::run_on;

constexpr std::size_t sizes[] = {1, 63, 64, 65, 500, 2048, 2049, 100'000};

void use_and_release_all_sizes() {
  for (const std::size_t bytes : sizes) {
    void* const memory = allocate_frame(bytes);
    std::memset(memory, 0xAB, bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory) % __STDCPP_DEFAULT_NEW_ALIGNMENT__, 0u);
    release_frame(memory, bytes);
  }
}

TEST(frame, blocks_of_each_size_are_whole_and_aligned_on_a_core_and_elsewhere) {
  use_and_release_all_sizes();
  run([]() -> task<> {
    use_and_release_all_sizes();
    use_and_release_all_sizes();  // from the lists
    co_return;
  });
}

TEST(frame, blocks_in_use_do_not_overlap) {
  run([]() -> task<> {
    std::vector<unsigned char*> blocks;
    for (int round = 0; round < 2; ++round) {
      for (int i = 0; i < 1000; ++i) {
        blocks.push_back(static_cast<unsigned char*>(allocate_frame(100)));
        std::memset(blocks.back(), i % 251, 100);
      }
      int spoiled = 0;
      for (int i = 0; i < 1000; ++i) {
        auto* const block = blocks[static_cast<std::size_t>(i)];
        if (block[0] != i % 251 || block[99] != i % 251) ++spoiled;
        release_frame(block, 100);
      }
      EXPECT_EQ(spoiled, 0);
      blocks.clear();
    }
    co_return;
  });
}

TEST(frame, a_warm_core_takes_nothing_from_below) {
  if (test::sanitized) GTEST_SKIP() << "sanitizers see each block";
  run([]() -> task<> {
    const auto work = [] {
      for (const std::size_t bytes : {10u, 100u, 1000u, 2048u})
        release_frame(allocate_frame(bytes), bytes);
    };
    work();
    const std::size_t before = frames_from_below();
    for (int i = 0; i < 1000; ++i) work();
    EXPECT_EQ(frames_from_below(), before);
    co_return;
  });
}

/// Takes n blocks of 100 bytes here and gives them back; how many came from below.
std::size_t blocks_from_below(std::size_t n) {
  const std::size_t before = frames_from_below();
  std::vector<void*> blocks(n);
  for (void*& b : blocks) b = allocate_frame(100);
  for (void* b : blocks) release_frame(b, 100);
  return frames_from_below() - before;
}

TEST(frame, what_another_core_releases_joins_its_list_up_to_a_bound) {
  if (test::sanitized) GTEST_SKIP() << "sanitizers see each block";
  static constexpr std::size_t many = 20'000;
  run_on(2, [](scope& s) -> task<> {
    std::vector<void*> blocks(many);
    for (void*& b : blocks) b = allocate_frame(100);
    auto t = s.spawn_on(1, [&]() -> task<> {
      for (void* b : blocks) release_frame(b, 100);
      const std::size_t from_below = blocks_from_below(many);
      EXPECT_LT(from_below, many) << "nothing was kept";
      EXPECT_GT(from_below, 0u) << "everything was kept: a pipeline of two cores would grow";
      co_return;
    });
    (void)co_await t.join();
  });
}

TEST(frame, blocks_of_a_core_may_be_released_outside_of_any) {
  void* from_core = nullptr;
  run([&]() -> task<> {
    from_core = allocate_frame(100);
    co_return;
  });
  std::memset(from_core, 1, 100);
  release_frame(from_core, 100);
  void* const to_core = allocate_frame(100);
  run([&]() -> task<> {
    release_frame(to_core, 100);
    co_return;
  });
}

}  // namespace
}  // namespace corespun
