// hello: the smallest corespun program. Two tasks run side by side on one core.

#include <corespun/corespun.hpp>

#include <cstdio>

using namespace corespun;
using namespace std::chrono_literals;

task<> say(const char* what, clock::duration delay) {
  co_await sleep_for(delay);
  std::printf("%s\n", what);
}

task<> start() { co_await when_all(say("world", 20ms), say("hello", 10ms)); }

int main() { return run(start); }
