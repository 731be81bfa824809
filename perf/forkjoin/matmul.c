#include "matmul.h"

#include <stdlib.h>

static size_t at(size_t row, size_t column, size_t n) {
  size_t start = 0;
  for (size_t half = n / 2; half >= matmul_tile; half /= 2) {
    start += (row / half * 2 + column / half) * half * half;
    row %= half;
    column %= half;
  }
  return start + row * matmul_tile + column;
}

void matmul_fill(float* a, float* b, float* c, size_t n) {
  for (size_t i = 0; i < n * n; ++i) {
    a[i] = (float)((i * 7 + i / 64) % 5);
    b[i] = (float)((i * 3 + i / 128) % 4);
    c[i] = 0;
  }
}

// Four rows by eight columns at a time stay in registers.
enum { rows = 4, columns = 8 };

void matmul_leaf(const float* restrict a, const float* restrict b, float* restrict c) {
  for (size_t i = 0; i < matmul_tile; i += rows) {
    for (size_t j = 0; j < matmul_tile; j += columns) {
      float sum[rows][columns];
      for (size_t y = 0; y < rows; ++y)
        for (size_t x = 0; x < columns; ++x) sum[y][x] = c[(i + y) * matmul_tile + j + x];
      for (size_t k = 0; k < matmul_tile; ++k)
        for (size_t y = 0; y < rows; ++y)
          for (size_t x = 0; x < columns; ++x)
            sum[y][x] += a[(i + y) * matmul_tile + k] * b[k * matmul_tile + j + x];
      for (size_t y = 0; y < rows; ++y)
        for (size_t x = 0; x < columns; ++x) c[(i + y) * matmul_tile + j + x] = sum[y][x];
    }
  }
}

static void times_vector(const float* matrix, const int64_t* v, int64_t* product, size_t n) {
  for (size_t row = 0; row < n; ++row) {
    product[row] = 0;
    for (size_t column = 0; column < n; ++column)
      product[row] += (int64_t)matrix[at(row, column, n)] * v[column];
  }
}

int64_t matmul_sum(const float* a, const float* b, const float* c, size_t n) {
  int64_t* vectors = calloc(4 * n, sizeof(int64_t));
  if (vectors == NULL) return -1;
  int64_t *v = vectors, *bv = v + n, *abv = bv + n, *cv = abv + n;
  for (size_t i = 0; i < n; ++i) v[i] = (int64_t)(i * i % 1009);
  times_vector(b, v, bv, n);
  times_vector(a, bv, abv, n);
  times_vector(c, v, cv, n);
  int64_t sum = 0;
  for (size_t i = 0; i < n * n; ++i) sum += (int64_t)c[i];
  for (size_t i = 0; i < n; ++i)
    if (abv[i] != cv[i]) sum = -1;
  free(vectors);
  return sum;
}
