#ifndef CORESPUN_PERF_MATMUL_H
#define CORESPUN_PERF_MATMUL_H
// The part of the matrix product that is the same for all who run tasks, and so is no part of the
// comparison: the tiles, what is in them, and the check of the product.
//
// A matrix of n by n floats (n is a tile times a power of two) lies in memory as its four
// quadrants, upper left, upper right, lower left, lower right, each of which is such a matrix; a
// tile is row-major. So a tile is contiguous, and its rows do not fight for the same cache sets.

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { matmul_tile = 64 };

/// Small whole numbers, so that the product is exact. c becomes zero.
void matmul_fill(float* a, float* b, float* c, size_t n);
/// c += a * b, for tiles.
void matmul_leaf(const float* a, const float* b, float* c);
/// The sum of the elements of c, or -1 if c is not a * b. Freivalds' check: compares c * v with
/// a * (b * v) for a vector v.
int64_t matmul_sum(const float* a, const float* b, const float* c, size_t n);

#ifdef __cplusplus
}
#endif
#endif
