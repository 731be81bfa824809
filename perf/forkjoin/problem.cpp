#include "problem.hpp"

#include <time.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string_view>
#include <utility>

namespace forkjoin {
namespace {

constexpr const char* help = R"(usage: forkjoin PROBLEM N [--cores N]
Solves a problem with a task for each node of its recursion, checks the result, and prints one line
of JSON: benchmark, cores, wall_s, cpu_s (of all threads), result, max_rss_kib.

  fib N           the N-th Fibonacci number, at most 90 (36)
  skynet N        the sum of N leaves, a power of ten, of a tree with ten branches (10000000)
  nqueens N       ways to place N queens on a board of N by N, 1 to 16 (14)
  matmul N        the product of two matrices of N by N, 64 times a power of two (2048)
  --cores N       (1)
  --help
)";

// https://oeis.org/A000170
constexpr std::array<std::int64_t, 17> queens{
    1, 1, 0, 0, 2, 10, 4, 40, 92, 352, 724, 2'680, 14'200, 73'712, 365'596, 2'279'184, 14'772'512};

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "forkjoin: %s\n  now: see --help\n", what.c_str());
  std::exit(2);
}

std::size_t number(std::string_view text, std::size_t most) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < 1 || value > most)
    die("'" + std::string(text) + "' is not a number from 1 to " + std::to_string(most));
  return value;
}

std::int64_t fibonacci(std::size_t n) {
  std::int64_t a = 0, b = 1;
  for (; n > 0; --n) a = std::exchange(b, a + b);
  return a;
}

/// n = start * base^k
bool is_power(std::size_t n, std::size_t base, std::size_t start) {
  while (n > start && n % base == 0) n /= base;
  return n == start;
}

problem describe(std::string_view name, std::string_view size) {
  problem p{std::string(name), kind::fib, 0, 1, 0, nullptr};
  if (name == "fib") {
    p.size = number(size, 90);
    p.expected = fibonacci(p.size);
  } else if (name == "skynet") {
    p.what = kind::skynet;
    p.size = number(size, 1'000'000'000);
    if (!is_power(p.size, 10, 1)) die("the leaves of skynet are a power of ten");
    p.expected = static_cast<std::int64_t>(p.size * (p.size - 1) / 2);
  } else if (name == "nqueens") {
    p.what = kind::nqueens;
    p.size = number(size, queens.size() - 1);
    p.expected = queens[p.size];
  } else if (name == "matmul") {
    p.what = kind::matmul;
    p.size = number(size, 8192);
    if (!is_power(p.size, 2, matmul_tile)) die("the size of matmul is 64 times a power of two");
    p.operands = std::make_shared<matrices>(p.size);
  } else {
    die("there is no problem '" + std::string(name) + "'");
  }
  return p;
}

double seconds(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

/// Not getrusage(): its maximum includes the time before exec().
long max_rss_kib() {
  std::ifstream status("/proc/self/status");
  long kib = 0;
  for (std::string word; status >> word;)
    if (word == "VmHWM:") status >> kib;
  return kib;
}

}  // namespace

problem parse(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--help") {
    std::fputs(help, stdout);
    std::exit(0);
  }
  if (argc != 3 && !(argc == 5 && std::string_view(argv[3]) == "--cores"))
    die("a problem and its size are needed, as in fib 36 --cores 2");
  problem p = describe(argv[1], argv[2]);
  if (argc == 5) p.cores = static_cast<unsigned>(number(argv[4], 1024));
  return p;
}

int measure(const problem& p, const std::function<std::int64_t()>& solve) {
  const double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
  std::int64_t result = solve();
  const double wall_s = seconds(CLOCK_MONOTONIC) - wall;
  const double cpu_s = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
  const long rss_kib = max_rss_kib();
  bool right = result == p.expected;
  if (const matrices* m = p.operands.get()) {
    result = matmul_sum(m->a.get(), m->b.get(), m->c.get(), p.size);
    right = result >= 0;
  }
  std::printf(
      R"({"benchmark": "%s %zu", "cores": %u, "wall_s": %.6f, "cpu_s": %.6f, "result": %lld, )"
      R"("max_rss_kib": %ld})"
      "\n",
      p.name.c_str(), p.size, p.cores, wall_s, cpu_s, static_cast<long long>(result), rss_kib);
  if (!right) std::fprintf(stderr, "forkjoin: the result of %s is wrong\n", p.name.c_str());
  return right ? 0 : 1;
}

}  // namespace forkjoin
