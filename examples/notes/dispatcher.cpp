// dispatcher: the producer and the consumer of producer_consumer.cpp as generators. Each yields who
// is to run next, and a trampoline runs it. That is how coroutines that can only yield to who asks
// them switch to each other: two switches for each that transfer_to() makes.

#include <corespun/runtime/generator.hpp>

#include <cstdio>
#include <queue>

using namespace corespun;

enum class who { producer, consumer };

generator<who> produce(std::queue<int>& queue, std::size_t room) {
  for (int item = 1; item <= 5; ++item) {
    if (queue.size() == room) co_yield who::consumer;
    std::printf("produce %d\n", item);
    queue.push(item);
  }
  co_yield who::consumer;
}

generator<who> consume(std::queue<int>& queue) {
  while (true) {
    for (; !queue.empty(); queue.pop()) std::printf("consume %d\n", queue.front());
    co_yield who::producer;
  }
}

int main() {
  std::queue<int> queue;
  auto producer = produce(queue, 3);
  auto consumer = consume(queue);
  who next = who::producer;
  while (true) {
    auto& runs = next == who::producer ? producer : consumer;
    const who* const after = runs.next();
    if (after == nullptr) break;
    next = *after;
  }
}
