// Fork-join on oneTBB. A task runs one of its children at once and spawns the others: a fixed
// number by parallel_invoke, else into a task_group.

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_invoke.h>
#include <oneapi/tbb/task_group.h>

#include <array>
#include <numeric>

#include "../forkjoin/problem.hpp"

namespace {

namespace tbb = oneapi::tbb;

std::int64_t fib(std::size_t n) {
  if (n < 2) return static_cast<std::int64_t>(n);
  std::int64_t a = 0, b = 0;
  tbb::parallel_invoke([&] { a = fib(n - 1); }, [&] { b = fib(n - 2); });
  return a + b;
}

std::int64_t skynet(std::size_t first, std::size_t leaves) {
  if (leaves == 1) return static_cast<std::int64_t>(first);
  std::array<std::int64_t, 10> sums{};
  tbb::task_group parts;
  const auto part = [&](std::size_t i) {
    return [&, i] { sums[i] = skynet(first + i * (leaves / 10), leaves / 10); };
  };
  for (std::size_t i = 1; i < sums.size(); ++i) parts.run(part(i));
  parts.run_and_wait(part(0));
  return std::reduce(sums.begin(), sums.end());
}

std::int64_t nqueens(unsigned all, unsigned taken, unsigned left, unsigned right) {
  if (taken == all) return 1;
  unsigned open = all & ~(taken | left | right);
  if (open == 0) return 0;
  std::array<std::int64_t, 16> ways;
  std::size_t row = 0;
  tbb::task_group rows;
  const auto next = [&] {
    const unsigned queen = open & -open;
    open -= queen;
    return [=, &result = ways[row++]] {
      result = nqueens(all, taken | queen, (left | queen) << 1, (right | queen) >> 1);
    };
  };
  while ((open & (open - 1)) != 0) rows.run(next());
  rows.run_and_wait(next());
  return std::reduce(ways.begin(), ways.begin() + row);
}

void matmul(const float* a, const float* b, float* c, std::size_t n) {
  if (n == matmul_tile) return matmul_leaf(a, b, c);
  const std::size_t half = n / 2, quadrant = half * half;
  for (std::size_t k = 0; k < 2; ++k) {
    const float *upper = a + k * quadrant, *lower = upper + 2 * quadrant;
    const float *left = b + 2 * k * quadrant, *right = left + quadrant;
    tbb::parallel_invoke([=] { matmul(upper, left, c, half); },
                         [=] { matmul(upper, right, c + quadrant, half); },
                         [=] { matmul(lower, left, c + 2 * quadrant, half); },
                         [=] { matmul(lower, right, c + 3 * quadrant, half); });
  }
}

std::int64_t solve(const forkjoin::problem& p) {
  switch (p.what) {
    case forkjoin::kind::fib: return fib(p.size);
    case forkjoin::kind::skynet: return skynet(0, p.size);
    case forkjoin::kind::nqueens: return nqueens((1u << p.size) - 1, 0, 0, 0);
    case forkjoin::kind::matmul: {
      const forkjoin::matrices& m = *p.operands;
      matmul(m.a.get(), m.b.get(), m.c.get(), p.size);
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const forkjoin::problem p = forkjoin::parse(argc, argv);
  const tbb::global_control threads(tbb::global_control::max_allowed_parallelism, p.cores);
  return forkjoin::measure(p, [&] { return solve(p); });
}
