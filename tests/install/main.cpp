// Runs a coroutine, and checks that the program still has the C library's malloc and the C++
// library's operator new, although corespun brings mimalloc into the process.
#include <corespun/corespun.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include <dlfcn.h>

using namespace std::chrono_literals;

corespun::task<int> answer() {
  co_await corespun::sleep_for(1ms);
  co_return 42;
}

corespun::task<int> start() {
  int a = co_await answer();
  co_return a == 42 ? 0 : 1;
}

bool comes_from(void* function, const char* library) {
  Dl_info info{};
  const bool yes = dladdr(function, &info) && std::strstr(info.dli_fname, library);
  if (!yes) std::printf("expected from %s: %s\n", library, info.dli_fname);
  return yes;
}

int main() {
  void* (*allocate)(std::size_t) = &std::malloc;
  void* (*create)(std::size_t) = &operator new;
  if (!comes_from(reinterpret_cast<void*>(allocate), "/libc.so")) return 1;
  if (!comes_from(reinterpret_cast<void*>(create), "/libstdc++.so")) return 1;
  return corespun::run(start);
}
