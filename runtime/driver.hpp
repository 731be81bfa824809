#pragma once
// driver: the door between the runtime and the outside world.
//
// A core owns one driver and crosses this door once per loop turn, never per operation. How
// operations are submitted is between the driver and the floor that knows operations (io/); the
// runtime only asks for what became ready.
//
// Threads: wake() from any thread; all else on the core's own thread. The destructor runs after the
// core's thread ended.

#include <corespun/runtime/clock.hpp>

#include <cstddef>
#include <functional>
#include <memory>

namespace corespun {

namespace detail {
class core;
}  // namespace detail

class driver {
 public:
  driver() = default;
  driver(const driver&) = delete;
  driver& operator=(const driver&) = delete;
  virtual ~driver() = default;

  /// Binds the driver to its core: once, before the first poll.
  virtual void attach(detail::core& core) = 0;

  /// All cores have their drivers; not in a simulation. May throw, which fails the start of the
  /// runtime.
  virtual void all_attached() {}

  /// Submits all that is queued, then makes ready what has completed. Blocks until something
  /// completes, wake() is called or the deadline passes; clock::time_point::min() means: do not
  /// block.
  virtual void poll(clock::time_point deadline) = 0;

  /// Ends a poll that blocks, or the next one. Idempotent.
  virtual void wake() noexcept = 0;

  /// Operations whose final completion is still owed.
  [[nodiscard]] virtual std::size_t in_flight() const noexcept = 0;

  /// Asks each operation in flight to end; they still complete one by one.
  virtual void cancel_all() = 0;

  [[nodiscard]] virtual const char* name() const noexcept = 0;
};

/// Makes the driver of core `index`. Called on that core's thread; may throw, which fails the start
/// of the runtime.
using driver_factory = std::function<std::unique_ptr<driver>(unsigned index)>;

/// A driver that only sleeps and wakes: the runtime as a compute pool.
[[nodiscard]] std::unique_ptr<driver> make_futex_driver(unsigned index);

}  // namespace corespun
