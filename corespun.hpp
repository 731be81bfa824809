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
#include <corespun/runtime/actor.hpp>
#include <corespun/runtime/as_result.hpp>
#include <corespun/runtime/async_coroutine.hpp>
#include <corespun/runtime/barrier.hpp>
#include <corespun/runtime/broadcast.hpp>
#include <corespun/runtime/channel.hpp>
#include <corespun/runtime/condition.hpp>
#include <corespun/runtime/core_ptr.hpp>
#include <corespun/runtime/coroutine.hpp>
#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/event.hpp>
#include <corespun/runtime/generator.hpp>
#include <corespun/runtime/latch.hpp>
#include <corespun/runtime/loop.hpp>
#include <corespun/runtime/merge.hpp>
#include <corespun/runtime/mutex.hpp>
#include <corespun/runtime/offload.hpp>
#include <corespun/runtime/on_core.hpp>
#include <corespun/runtime/oneshot.hpp>
#include <corespun/runtime/pipeline.hpp>
#include <corespun/runtime/promise.hpp>
#include <corespun/runtime/runtime.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/select.hpp>
#include <corespun/runtime/semaphore.hpp>
#include <corespun/runtime/sharded.hpp>
#include <corespun/runtime/shared_mutex.hpp>
#include <corespun/runtime/sleep.hpp>
#include <corespun/runtime/task.hpp>
#include <corespun/runtime/this_core.hpp>
#include <corespun/runtime/watch.hpp>
#include <corespun/runtime/when.hpp>

#include <cstdio>
#include <type_traits>

namespace corespun {

/// How run() starts: the cores (runtime.hpp) and their I/O (io/options.hpp).
struct options : runtime_options {
  options() {
    handle_signals = true;
    driver = nullptr;
  }
  io_options io;  ///< unless `driver` is set
};

/// Runs fn(), or fn(scope&), a task, on a runtime with I/O, until it and all it owns has ended.
/// Returns what it returned, if that is an int; 1 if it returned an error, which is explained on
/// stderr; else 0. 0 too when SIGINT or SIGTERM ended it. What it throws is thrown here.
template <typename Fn>
int run(Fn fn, options o = {}) {
  if (!o.driver) o.driver = io_drivers(o.io);
  runtime machine(std::move(o));
  auto outcome = machine.run(std::move(fn));
  using value = decltype(std::move(outcome).value());
  if constexpr (std::is_convertible_v<value, int>) {
    return outcome.has_value() ? std::move(outcome).value() : 0;
  } else if constexpr (detail::is_result<value>::value) {
    if (!outcome.has_value()) return 0;
    const value ended = std::move(outcome).value();
    if (!ended) std::fprintf(stderr, "%s\n", explain(ended.error(), "main").c_str());
    return ended ? 0 : 1;
  } else {
    return 0;
  }
}

}  // namespace corespun
