// two_way: a coroutine that is given x when it is made, yields x, receives y, yields x + y,
// receives z and ends; and its four states as others see them.

#include <corespun/runtime/coroutine.hpp>

#include <cstdio>
#include <functional>
#include <optional>

using namespace corespun;

coroutine<int, int> add(int x, std::function<void()> show_state) {
  show_state();
  const int y = co_yield x;
  std::printf("received y = %d\n", y);
  const int z = co_yield x + y;
  std::printf("received z = %d\n", z);
}

int main() {
  std::optional<coroutine<int, int>> adder;
  const auto show_state = [&] { std::printf("%s\n", name_of(adder->state())); };
  adder.emplace(add(14, show_state));
  show_state();
  std::printf("yielded %d\n", *adder->next());
  show_state();
  std::printf("yielded %d\n", *adder->send(28));
  const bool ended = adder->send(99) == nullptr;
  std::printf("%s\n", ended ? "ended" : "goes on");
  show_state();
}
