// Which driver a core gets, what it says about it, and what happens where io_uring is forbidden.

#include <corespun/io/drivers.hpp>
#include <corespun/runtime/runtime.hpp>
#include <corespun/runtime/this_core.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>

#include "tests/support/io_process.hpp"
#include "tests/support/io_run.hpp"
#include "tests/support/io_sockets.hpp"

namespace corespun::test {
namespace {

/// One environment variable, put back at the end.
class driver_variable {
 public:
  explicit driver_variable(const char* value) {
    const char* const now = std::getenv("CORESPUN_DRIVER");
    had_ = now != nullptr;
    if (had_) before_ = now;
    ::setenv("CORESPUN_DRIVER", value, 1);
  }
  driver_variable(const driver_variable&) = delete;
  driver_variable& operator=(const driver_variable&) = delete;
  ~driver_variable() {
    if (had_) {
      ::setenv("CORESPUN_DRIVER", before_.c_str(), 1);
    } else {
      ::unsetenv("CORESPUN_DRIVER");
    }
  }

 private:
  bool had_ = false;
  std::string before_;
};

std::string driver_with(io_options io) {
  runtime rt(io_cores(1, io));
  auto name = rt.run([]() -> task<std::string> { co_return this_core::driver_name(); });
  return std::move(name).value();
}

io_options asking_for(backend b) {
  io_options io;
  io.driver = b;
  return io;
}

TEST(drivers, the_environment_overrides_the_option) {
  if (on_sim()) GTEST_SKIP() << "is about how the real ones are chosen";
  const driver_variable epoll("epoll");
  EXPECT_EQ(driver_with(asking_for(backend::uring)), "epoll");
}

TEST(drivers, without_the_environment_the_option_counts) {
  if (on_sim()) GTEST_SKIP() << "is about how the real ones are chosen";
  const driver_variable none("");
  EXPECT_EQ(driver_with(asking_for(backend::epoll)), "epoll");
}

TEST(drivers, automatic_takes_one_that_works) {
  if (on_sim()) GTEST_SKIP() << "is about how the real ones are chosen";
  const driver_variable automatic("auto");
  const std::string name = driver_with(asking_for(backend::epoll));
  EXPECT_TRUE(name == "uring" || name == "epoll") << name;
}

TEST(drivers, an_unknown_name_in_the_environment_fails_the_start_and_says_what_to_set) {
  if (on_sim()) GTEST_SKIP() << "is about how the real ones are chosen";
  const driver_variable bad("kqueue");
  try {
    (void)driver_with(io_options());
    FAIL() << "it started";
  } catch (const std::invalid_argument& e) {
    const std::string text = e.what();
    EXPECT_NE(text.find("CORESPUN_DRIVER is 'kqueue'"), text.npos) << text;
    EXPECT_NE(text.find("uring, epoll or auto"), text.npos) << text;
  }
}

TEST(drivers, the_report_names_what_runs) {
  if (on_sim()) GTEST_SKIP() << "is about how the real ones are chosen";
  run_io([]() -> task<> {
    const std::string report = backend_report();
    const std::string name = this_core::driver_name();
    EXPECT_TRUE(report.starts_with(name == "uring" ? "io_uring" : "epoll")) << report;
    co_return;
  });
}

TEST(drivers, a_runtime_that_cannot_start_leaves_nothing_behind) {
  if (on_sim()) GTEST_SKIP() << "is about how the real ones are chosen";
  const std::size_t before = open_descriptors();
  const driver_variable bad("kqueue");
  runtime_options options = io_cores(3);
  EXPECT_THROW(runtime rt(options), std::invalid_argument);
  EXPECT_EQ(open_descriptors(), before);
}

TEST(drivers, runtimes_come_and_go_in_one_process) {
  if (on_sim()) GTEST_SKIP() << "one thread plays all cores";
  const std::size_t before = open_descriptors();
  for (int i = 0; i < 10; ++i) run_io(io_cores(2), []() -> task<> { co_await yield(); });
  std::jthread other([] { run_io([]() -> task<> { co_await yield(); }); });
  other.join();
  EXPECT_EQ(open_descriptors(), before);
}

TEST(drivers, system_calls_are_counted) {
  if (on_sim()) GTEST_SKIP() << "there are no system calls";
  run_io([]() -> task<> {
    const std::uint64_t before = this_core_io().system_calls;
    raw_pair ends = socket_pair();
    fd ours = adopted(std::move(ends.one));
    send_now(ends.two, "x");
    std::array<std::byte, 1> byte{};
    need(co_await ours.read_exactly(byte));
    const std::uint64_t after = this_core_io().system_calls;
    EXPECT_GT(after, before);
    EXPECT_LT(after, before + 20);
  });
}

TEST(drivers_death, asking_outside_of_a_core_aborts_and_says_so) {
  EXPECT_DEATH((void)this_core_io(), "on a thread that is no core");
}

// --- where io_uring is refused ---
//
// The child is this very test, started anew under strace, which lets system calls fail. It runs the
// test below, which is disabled so that nobody else does.

TEST(child, DISABLED_echoes_through_a_pipe_and_tells_its_driver) {
  run_with(io_cores(2), [](scope& s) -> task<> {
    raw_pair ends = pipe_pair();
    fd in = adopted(std::move(ends.one));
    const auto write = [](fd to) -> task<> { need(co_await to.write_all(bytes_of("works"))); };
    (void)s.spawn(write, adopted(std::move(ends.two)));
    std::array<std::byte, 5> got{};
    need(co_await in.read_exactly(got));
    EXPECT_EQ(text_of(got), "works");
    std::printf("driver: %s\nreport: %s\n", this_core::driver_name(), backend_report().c_str());
  });
}

TEST(child_with_tables, DISABLED_starts) {
  io_options io = lane_io();
  io.file_table_per_core = true;
  try {
    const runtime rt(io_cores(2, io));
    std::printf("started\n");
  } catch (const std::system_error& e) {
    std::printf("%s\n", e.what());
  }
}

struct ending {
  int code;
  std::string out;
  std::string err;
};

ending child_where(const std::string& injected, const std::string& driver,
                   const std::string& test = "child") {
  const std::string trace = "inject=" + injected;
  const std::string this_program = std::filesystem::read_symlink("/proc/self/exe");
  // A traced process cannot look for leaks.
  program child({"strace", "-f", "-qq", "-o", "/dev/null", "-e", trace, this_program,
                 "--gtest_filter=" + test + ".*", "--gtest_also_run_disabled_tests"},
                {"CORESPUN_DRIVER=" + driver, "ASAN_OPTIONS=detect_leaks=0"});
  ending e;
  e.out = child.output();
  e.err = child.errors();
  e.code = child.wait();
  return e;
}

class refused_ring : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (!on_uring()) GTEST_SKIP() << "only where io_uring is there to be refused";
    if (!installed("strace")) GTEST_SKIP() << "strace is not installed";
  }
  [[nodiscard]] static std::string error() {
    const std::string& all = GetParam();
    const auto at = all.find("error=") + 6;
    return all.substr(at, all.find(':', at) - at);
  }
};
INSTANTIATE_TEST_SUITE_P(
    drivers, refused_ring,
    testing::Values("io_uring_setup:error=EPERM", "io_uring_setup:error=ENOSYS",
                    "io_uring_setup:error=ENOMEM", "io_uring_setup:error=EOPNOTSUPP",
                    "io_uring_setup:error=EINVAL", "io_uring_setup:error=EMFILE",
                    "io_uring_enter:error=EPERM", "io_uring_enter:error=EACCES",
                    "io_uring_enter:error=EINVAL"),
    [](const auto& p) {
      std::string name = p.param;
      for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
      return name;
    });

TEST_P(refused_ring, falls_to_epoll_works_and_says_why_once) {
  const ending e = child_where(GetParam(), "auto");
  EXPECT_EQ(e.code, 0) << e.out << e.err;
  EXPECT_NE(e.out.find("driver: epoll"), e.out.npos) << e.out << e.err;
  EXPECT_NE(e.out.find("report: epoll"), e.out.npos) << e.out;
  EXPECT_NE(e.out.find(error()), e.out.npos) << "the report does not say why: " << e.out;
  EXPECT_EQ(times("running on epoll", e.err), 1u) << e.err;
  EXPECT_NE(e.err.find(error()), e.err.npos) << e.err;
  EXPECT_NE(e.err.find("CORESPUN_DRIVER=uring"), e.err.npos) << e.err;
}

TEST_P(refused_ring, fails_the_start_with_the_reason_if_it_was_forced) {
  const ending e = child_where(GetParam(), "uring");
  EXPECT_EQ(e.code, 1) << e.out << e.err;
  EXPECT_NE(e.out.find(error()), e.out.npos) << e.out;
  EXPECT_EQ(e.out.find("driver: "), e.out.npos) << e.out;
}

TEST_P(refused_ring, is_no_matter_where_epoll_was_asked_for) {
  const ending e = child_where(GetParam(), "epoll");
  EXPECT_EQ(e.code, 0) << e.out << e.err;
  EXPECT_EQ(e.err.find("io_uring"), e.err.npos) << e.err;
}

TEST(drivers, without_unshare_a_runtime_with_file_tables_says_why_it_does_not_start) {
  if (on_sim()) GTEST_SKIP() << "there are no system calls";
  if (!installed("strace")) GTEST_SKIP() << "strace is not installed";
  const char* const lane = on_uring() ? "uring" : "epoll";
  const ending refused = child_where("unshare:error=EPERM", lane, "child_with_tables");
  EXPECT_EQ(refused.code, 0) << refused.out << refused.err;
  EXPECT_NE(refused.out.find("direct_descriptors"), refused.out.npos) << refused.out;
  EXPECT_NE(refused.out.find("not permitted"), refused.out.npos) << refused.out;
  EXPECT_EQ(refused.out.find("started"), refused.out.npos) << refused.out;
}

// Registering is a help, not a need: buffers, the ring's own descriptor.
TEST(drivers, without_io_uring_register_the_ring_still_works) {
  if (!on_uring()) GTEST_SKIP() << "only where io_uring is there to be refused";
  if (!installed("strace")) GTEST_SKIP() << "strace is not installed";
  const ending e = child_where("io_uring_register:error=EINVAL", "uring");
  EXPECT_EQ(e.code, 0) << e.out << e.err;
  EXPECT_NE(e.out.find("no buffer rings"), e.out.npos) << e.out;
}

}  // namespace
}  // namespace corespun::test
