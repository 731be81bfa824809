// Fork-join on corespun: a task for each node. Two children or a fixed number are forked by
// when_all of tasks, which needs no memory beside the frames; a number that is only known at run
// time by when_all of a list.

#include <corespun/runtime/runtime.hpp>
#include <corespun/runtime/task.hpp>
#include <corespun/runtime/when.hpp>

#include <bit>
#include <numeric>
#include <utility>
#include <vector>

#include "problem.hpp"

namespace {

using corespun::task;
using corespun::when_all;

/// Half of the nodes are leaves. As a coroutine of its own, a leaf has a smaller frame.
task<std::int64_t> leaf(std::size_t value) { co_return static_cast<std::int64_t>(value); }

task<std::int64_t> fib_sum(std::size_t n);
task<std::int64_t> fib(std::size_t n) { return n < 2 ? leaf(n) : fib_sum(n); }

task<std::int64_t> fib_sum(std::size_t n) {
  auto both = when_all(fib(n - 1), fib(n - 2));
  const auto [a, b] = co_await std::move(both);
  co_return a + b;
}

task<std::int64_t> skynet_sum(std::size_t first, std::size_t leaves);
task<std::int64_t> skynet(std::size_t first, std::size_t leaves) {
  return leaves == 1 ? leaf(first) : skynet_sum(first, leaves);
}

/// The ten parts of an inner node.
template <std::size_t... I>
auto parts(std::size_t first, std::size_t leaves, std::index_sequence<I...>) {
  return when_all(skynet(first + I * leaves, leaves)...);
}

task<std::int64_t> skynet_sum(std::size_t first, std::size_t leaves) {
  auto all = parts(first, leaves / 10, std::make_index_sequence<10>{});
  const auto sums = co_await std::move(all);
  co_return std::apply([](auto... sum) { return (sum + ...); }, sums);
}

/// The board is seen from its next row: bits of the columns that are taken, or under attack along a
/// diagonal.
task<std::int64_t> nqueens(unsigned all, unsigned taken, unsigned left, unsigned right) {
  if (taken == all) co_return 1;
  unsigned open = all & ~(taken | left | right);
  if (open == 0) co_return 0;
  std::vector<task<std::int64_t>> rows;
  rows.reserve(static_cast<std::size_t>(std::popcount(open)));
  for (; open != 0; open &= open - 1) {
    const unsigned queen = open & -open;
    rows.push_back(nqueens(all, taken | queen, (left | queen) << 1, (right | queen) >> 1));
  }
  const std::vector<std::int64_t> ways = co_await when_all(std::move(rows));
  co_return std::reduce(ways.begin(), ways.end());
}

/// c += a * b
task<> matmul(const float* a, const float* b, float* c, std::size_t n) {
  if (n == matmul_tile) {
    matmul_leaf(a, b, c);
    co_return;
  }
  const std::size_t half = n / 2, quadrant = half * half;
  for (std::size_t k = 0; k < 2; ++k) {  // column of a, row of b
    const float *upper = a + k * quadrant, *lower = upper + 2 * quadrant;
    const float *left = b + 2 * k * quadrant, *right = left + quadrant;
    auto products = when_all(matmul(upper, left, c, half), matmul(upper, right, c + quadrant, half),
                             matmul(lower, left, c + 2 * quadrant, half),
                             matmul(lower, right, c + 3 * quadrant, half));
    co_await std::move(products);
  }
}

task<std::int64_t> solve(const forkjoin::problem* p) {
  switch (p->what) {
    case forkjoin::kind::fib: {
      auto solution = fib(p->size);
      co_return co_await std::move(solution);
    }
    case forkjoin::kind::skynet: {
      auto solution = skynet(0, p->size);
      co_return co_await std::move(solution);
    }
    case forkjoin::kind::nqueens: {
      auto solution = nqueens((1u << p->size) - 1, 0, 0, 0);
      co_return co_await std::move(solution);
    }
    case forkjoin::kind::matmul: {
      const forkjoin::matrices& m = *p->operands;
      auto solution = matmul(m.a.get(), m.b.get(), m.c.get(), p->size);
      co_await std::move(solution);
    }
  }
  co_return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const forkjoin::problem p = forkjoin::parse(argc, argv);
  corespun::runtime_options options;
  options.cores = p.cores;
  corespun::runtime machine(options);
  return forkjoin::measure(p, [&] { return machine.run(solve, &p).value(); });
}
