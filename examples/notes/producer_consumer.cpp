// producer_consumer: two coroutines and a queue with room for three. The producer fills it, the
// consumer empties it, and each transfers control to the other: neither calls the other one.
// dispatcher.cpp does the same without transfer.

#include <corespun/runtime/coroutine.hpp>

#include <cstdio>
#include <queue>

using namespace corespun;

struct market;
coroutine<> produce(market& m);
coroutine<> consume(market& m);

struct market {
  static constexpr std::size_t room = 3;
  std::queue<int> queue;
  coroutine<> producer = produce(*this);
  coroutine<> consumer = consume(*this);
};

coroutine<> produce(market& m) {
  for (int item = 1; item <= 5; ++item) {
    if (m.queue.size() == market::room) co_await transfer_to(m.consumer);
    std::printf("produce %d\n", item);
    m.queue.push(item);
  }
  co_await transfer_to(m.consumer);
}

coroutine<> consume(market& m) {
  while (true) {
    for (; !m.queue.empty(); m.queue.pop()) std::printf("consume %d\n", m.queue.front());
    co_await transfer_to(m.producer);
  }
}

int main() {
  market m;
  m.producer.next();
}
