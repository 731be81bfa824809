// sieve: communicating sequential processes. Tasks share nothing but channels without room, where a
// send ends when it is received. Each prime number becomes a task that lets pass what it does not
// divide. The tasks run on all cores.

#include <corespun/corespun.hpp>

#include <cstdio>
#include <memory>

using namespace corespun;

using numbers = std::shared_ptr<channel<int>>;

task<> count_from(int first, numbers out) {
  for (int n = first;; ++n) (void)co_await out->send(n);
}

task<> drop_multiples(int of, numbers in, numbers out) {
  while (true) {
    result<int> n = co_await in->recv();
    if (n && *n % of != 0) (void)co_await out->send(*n);
  }
}

task<> primes(scope& s) {
  auto in = std::make_shared<channel<int>>(0);
  (void)s.spawn(count_from, 2, in);
  for (int found = 0; found < 10; ++found) {
    result<int> prime = co_await in->recv();
    std::printf("%d\n", *prime);
    auto out = std::make_shared<channel<int>>(0);
    (void)s.spawn(drop_multiples, *prime, in, out);
    in = out;
  }
  s.cancel();
}

int main() { return run(primes); }
