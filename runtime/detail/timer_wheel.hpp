#pragma once
// timer_wheel: the timers of one core. Arm and cancel are O(1) and allocate nothing: a timer is
// embedded in what waits.
//
// Method: hierarchical timing wheels (Varghese and Lauck, 1987). A tick is 50 us, as coarse as the
// kernel's own timer slack; a deadline is rounded up to a tick, so a timer is never early. Level l
// has 64 slots of 64^l ticks; a timer lies on the level of the highest base-64 digit in which its
// tick differs from the current tick, and moves down when that digit comes. Eight levels cover
// every time_point.
//
// Threads: the core only.

#include <corespun/runtime/clock.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace corespun::detail {

struct timer_link {
  timer_link* prev = nullptr;  ///< nullptr: not armed
  timer_link* next = nullptr;
};

struct timer : timer_link {
  std::uint64_t tick = 0;
  /// called once, already disarmed; may arm and cancel any timer
  void (*fire)(timer&) noexcept = nullptr;

  [[nodiscard]] bool armed() const noexcept { return prev != nullptr; }
};

class timer_wheel {
 public:
  static constexpr clock::duration tick_length = std::chrono::microseconds(50);

  timer_wheel() noexcept;
  timer_wheel(const timer_wheel&) = delete;
  timer_wheel& operator=(const timer_wheel&) = delete;

  /// Fires at the first advance() at or after the deadline. The timer must not be armed.
  void arm(timer& t, clock::time_point deadline) noexcept;
  /// Does nothing if the timer is not armed.
  void cancel(timer& t) noexcept;
  /// Fires what is due, in order of deadline, equal ones in the order of arming.
  void advance(clock::time_point now) noexcept;
  /// When to call advance() next: never late, maybe early. max(): there is no timer.
  [[nodiscard]] clock::time_point next_deadline() const noexcept;

 private:
  static constexpr unsigned bits = 6;
  static constexpr unsigned slots = 1U << bits;
  static constexpr unsigned levels = 8;

  struct expiry {
    unsigned level;
    unsigned slot;
    std::uint64_t tick;
  };
  [[nodiscard]] bool next_expiry(expiry& e) const noexcept;
  void insert(timer& t) noexcept;

  std::uint64_t current_ = 0;                      // all timers up to this tick have fired
  std::array<std::uint64_t, levels> occupied_{};   // a bit per slot
  std::array<timer_link, std::size_t{levels} * slots> heads_;
};

}  // namespace corespun::detail
