// close_and_throw: a coroutine that handles what is thrown in where it stands, and goes on; sees
// that it is closed; and ends by what it does not handle, which comes back to who threw it in.

#include <corespun/runtime/coroutine.hpp>

#include <cstdio>
#include <stdexcept>

using namespace corespun;

coroutine<void, int> receive() {
  const auto goodbye = [] { std::printf("closed: goodbye\n"); };
  const auto guard = co_await on_close(goodbye);
  std::printf("started\n");
  while (true) {
    try {
      const int value = co_yield {};
      std::printf("received %d\n", value);
    } catch (const std::invalid_argument& e) {
      std::printf("handled: %s\n", e.what());
    }
  }
}

int main() {
  auto first = receive();
  first.next();
  first.send(1);
  first.throw_in(std::invalid_argument("not a number"));
  std::printf("%s\n", name_of(first.state()));
  first.send(2);
  first.close();
  std::printf("%s\n", name_of(first.state()));

  auto second = receive();
  second.next();
  try {
    second.throw_in(std::runtime_error("no more power"));
  } catch (const std::runtime_error& e) {
    std::printf("came back: %s\n", e.what());
  }
  std::printf("%s\n", name_of(second.state()));
}
