// steamed_buns: a producer and two consumers on one thread. The producer makes two buns at a time
// and sends each consumer one; they eat, and wait for the next where they stand.

#include <corespun/runtime/coroutine.hpp>

#include <cstdio>
#include <string>

using namespace corespun;

coroutine<void, int> consumer(std::string name) {
  std::printf("%s is ready to eat\n", name.c_str());
  while (true) {
    const int bun = co_yield {};
    std::printf("%s eats bun %d\n", name.c_str(), bun);
  }
}

void produce(int rounds, coroutine<void, int>& a, coroutine<void, int>& b) {
  a.next();
  b.next();
  for (int i = 0; i < rounds; ++i) {
    std::printf("two buns are done\n");
    a.send(2 * i + 1);
    b.send(2 * i + 2);
  }
}

int main() {
  auto a = consumer("A");
  auto b = consumer("B");
  produce(3, a, b);
}
