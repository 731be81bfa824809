#pragma once
// What the fork-join programs in C++ share, whatever runs their tasks: arguments, known results and
// the figures. Each program has a task per node of the recursion; only matmul stops at its tiles.
//
//   int main(int argc, char** argv) {
//     const forkjoin::problem p = forkjoin::parse(argc, argv);
//     …                                     // start p.cores cores
//     return forkjoin::measure(p, [&] { return solve(p); });
//   }

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "matmul.h"

namespace forkjoin {

/// fib N: the sum of two recursive calls. skynet N: the sum of N leaves, the numbers from 0 on, of
/// a tree with ten branches at each node. nqueens N: ways to place N queens on N by N squares.
/// matmul N: the product of two matrices of N by N floats, eight products of half the size at each
/// node, four at a time.
enum class kind { fib, skynet, nqueens, matmul };

struct matrices {
  explicit matrices(std::size_t n) : a(new float[n * n]), b(new float[n * n]), c(new float[n * n]) {
    matmul_fill(a.get(), b.get(), c.get(), n);
  }
  std::unique_ptr<float[]> a, b, c;
};

struct problem {
  std::string name;
  kind what;
  std::size_t size;
  unsigned cores;
  std::int64_t expected;  // not of matmul
  std::shared_ptr<matrices> operands;  // of matmul only
};

/// PROBLEM N [--cores N]. Ends the program if that is not what stands there.
problem parse(int argc, char** argv);

/// Solves it and prints one line of JSON: benchmark, cores, wall_s, cpu_s (of all threads), result,
/// max_rss_kib. solve() returns the result; that of matmul stands in p.operands. Returns the status
/// of the program: 1 if the result is wrong.
int measure(const problem& p, const std::function<std::int64_t()>& solve);

}  // namespace forkjoin
