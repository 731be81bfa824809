#include "tests/support/watchdog.hpp"

#include <corespun/runtime/detail/report.hpp>
#include <corespun/runtime/detail/threads.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace corespun::test {
namespace {

/// Below the limit of ctest, which prints no tasks.
std::chrono::seconds limit() {
  const char* const other = std::getenv("CORESPUN_TEST_LIMIT_S");
  return std::chrono::seconds(other != nullptr ? std::atoi(other) : 45);
}

class watchdog final : public testing::EmptyTestEventListener {
 public:
  watchdog() {
    const detail::all_signals_blocked not_the_ones_of_a_test;
    thread_ = std::thread([this] { watch(); });
  }
  ~watchdog() override {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  void OnTestStart(const testing::TestInfo& test) override {
    const std::lock_guard lock(mutex_);
    name_ = std::string(test.test_suite_name()) + "." + test.name();
    deadline_ = std::chrono::steady_clock::now() + limit();
    changed_.notify_all();
  }
  void OnTestEnd(const testing::TestInfo&) override {
    const std::lock_guard lock(mutex_);
    deadline_ = std::chrono::steady_clock::time_point::max();
  }

 private:
  void watch();

  std::mutex mutex_;
  std::condition_variable changed_;
  // Armed from the start: the process of a death test is told of no test.
  std::chrono::steady_clock::time_point deadline_ = std::chrono::steady_clock::now() + limit();
  std::string name_ = "a death test";
  bool ending_ = false;
  std::thread thread_;
};

struct registry {
  std::mutex mutex;
  std::vector<detail::root*> roots;
};
registry& watched() {
  static registry all;
  return all;
}

void watchdog::watch() {
  std::unique_lock lock(mutex_);
  while (!ending_) {
    if (std::chrono::steady_clock::now() >= deadline_) {
      std::fprintf(stderr, "%s hangs\n", name_.c_str());
      const std::lock_guard roots_stay(watched().mutex);
      for (detail::root* r : watched().roots) detail::report_tasks(*r, "tasks that still wait");
      std::abort();
    }
    if (deadline_ == std::chrono::steady_clock::time_point::max()) {
      changed_.wait(lock);
    } else {
      changed_.wait_until(lock, deadline_);
    }
  }
}

}  // namespace

watched_root::watched_root(detail::root& r) : root_(&r) {
  const std::lock_guard lock(watched().mutex);
  watched().roots.push_back(&r);
}

watched_root::~watched_root() {
  const std::lock_guard lock(watched().mutex);
  std::erase(watched().roots, root_);
}

}  // namespace corespun::test

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  // A death test starts the program anew: the sanitizers do not allow threads after a bare fork.
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  testing::UnitTest::GetInstance()->listeners().Append(new corespun::test::watchdog);
  return RUN_ALL_TESTS();
}
