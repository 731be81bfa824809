#pragma once
// corespun: coroutines on all cores of a Linux machine.
//
//   corespun::task<> hello() {
//     co_await corespun::sleep_for(1s);
//     std::puts("hello");
//   }
//   int main() { return corespun::run(hello); }

#include <corespun/io/drivers.hpp>
#include <corespun/io/fd.hpp>
#include <corespun/net/connect.hpp>
#include <corespun/net/serve.hpp>
#include <corespun/net/stream.hpp>
#include <corespun/runtime/as_result.hpp>
#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/event.hpp>
#include <corespun/runtime/offload.hpp>
#include <corespun/runtime/runtime.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/sleep.hpp>
#include <corespun/runtime/task.hpp>
#include <corespun/runtime/this_core.hpp>
#include <corespun/runtime/when.hpp>

namespace corespun {

/// How run() starts: the cores (runtime.hpp) and their I/O (io/options.hpp).
struct options : runtime_options {
  options() { handle_signals = true; }
  io_options io;
};

/// Runs fn(), or fn(scope&), a task, on a runtime with I/O, until it and all it owns has ended.
/// Returns what it returned, if that is an int, else 0; 0 too when SIGINT or SIGTERM ended it.
/// What it throws is thrown here.
template <typename Fn>
int run(Fn fn, options o = {}) {
  o.driver = io_drivers(o.io);
  runtime machine(std::move(o));
  auto outcome = machine.run(std::move(fn));
  if constexpr (requires { static_cast<int>(std::move(outcome).value()); }) {
    return outcome.has_value() ? static_cast<int>(std::move(outcome).value()) : 0;
  } else {
    return 0;
  }
}

}  // namespace corespun
