#pragma once
// Small tasks that many tests need.

#include <corespun/runtime/event.hpp>
#include <corespun/runtime/task.hpp>
#include <corespun/runtime/this_core.hpp>

namespace corespun::test {

/// Ends only by being stopped.
inline task<> forever() {
  event never;
  co_await never.wait();
}

inline task<> yield_once() { co_await yield(); }

/// Lets all that is ready on this core run `turns` times.
inline task<> let_others_run(int turns = 3) {
  for (int i = 0; i < turns; ++i) co_await yield();
}

}  // namespace corespun::test
