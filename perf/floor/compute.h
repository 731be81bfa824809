#pragma once
// What a request of perf/bench/stall or perf/bench/fairness makes its server compute: work, not
// time, or a thread that others interrupt would compute less. Each step needs the one before, so it
// takes as long whatever compiled it; echo_go and echo_tokio do the same.

#include <stdint.h>

/// Takes about so long at 3.5 GHz.
static inline void compute(uint32_t us) {
  uint64_t x = 1;
  for (uint64_t steps = (uint64_t)us * 700; steps > 0; --steps)
    x = (x ^ (x >> 32)) * 0x9e3779b97f4a7c15u;
  volatile uint64_t result = x;  // or nothing would be computed
  (void)result;
}
