// sleepers: two tasks on one event loop, of which one sleeps 0.1 s and the other one 0 s. Their
// lines come in the order of what they wait for. To sleep 0 s is yield(): it goes to the back of
// the queue, so that two tasks which do it run by turns.

#include <corespun/runtime/loop.hpp>
#include <corespun/runtime/sleep.hpp>
#include <corespun/runtime/this_core.hpp>
#include <corespun/runtime/when.hpp>

#include <cstdio>

using namespace corespun;
using namespace std::chrono_literals;

task<> sleep_once(const char* length, clock::duration d) {
  std::printf("sleeps %s\n", length);
  co_await sleep_for(d);
  std::printf("slept %s\n", length);
}

task<> count_with_sleep(const char* name) {
  for (int i = 1; i <= 3; ++i) {
    std::printf("%s %d\n", name, i);
    co_await sleep_for(0s);
  }
}

task<> count_with_yield(const char* name) {
  for (int i = 1; i <= 3; ++i) {
    std::printf("%s %d\n", name, i);
    co_await yield();
  }
}

task<> start() {
  co_await when_all(sleep_once("0.1 s", 100ms), sleep_once("0 s", 0s));
  co_await when_all(count_with_sleep("sleeps"), count_with_yield("yields"));
}

int main() {
  loop l;
  l.run(start).value();
}
