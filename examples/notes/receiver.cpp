// receiver: a coroutine that is sent a value. next() runs it to the place where it takes one; to
// send before that is an error. At the end of its body it has ended.

#include <corespun/runtime/coroutine.hpp>

#include <cstdio>
#include <stdexcept>

using namespace corespun;

coroutine<void, int> receive() {
  std::printf("started\n");
  const int value = co_yield {};
  std::printf("received %d\n", value);
}

int main() {
  auto receiver = receive();
  try {
    receiver.send(100);
  } catch (const std::logic_error& e) {
    std::printf("error: %s\n", e.what());
  }
  receiver.next();
  const bool goes_on = receiver.send(100);
  std::printf("%s\n", goes_on ? "goes on" : "ended");
}
