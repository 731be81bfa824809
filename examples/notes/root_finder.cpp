// root_finder: reverse communication. The routine does not call the function whose zero it looks
// for: it yields x and is sent f(x). So its caller may compute that as he likes: here, or by asking
// another machine; and the routine needs no pointer to a function and its data.

#include <corespun/runtime/coroutine.hpp>

#include <cmath>
#include <cstdio>

using namespace corespun;

/// f must have different signs at a and b. The method is bisection.
coroutine<double, double, double> find_root(double a, double b) {
  const double at_a = co_yield a;
  while (b - a > 1e-9) {
    const double middle = (a + b) / 2;
    const double at_middle = co_yield middle;
    if ((at_middle < 0) == (at_a < 0)) {
      a = middle;
    } else {
      b = middle;
    }
  }
  co_return (a + b) / 2;
}

int main() {
  auto finder = find_root(0, 2);
  int values = 0;
  for (const double* x = finder.next(); x != nullptr; ++values) x = finder.send(*x * *x - 2);
  std::printf("x * x = 2 at %.6f, after %d values\n", finder.result(), values);
}
