#pragma once
// forced_barrier: a full memory barrier in other threads, for protocols of two sides of which one
// is hot and the other rare. The hot side then needs none of its own.
//
// Method: membarrier(2). It interrupts the threads of this process that run at present, at the cost
// of some microseconds for the caller.

namespace corespun::detail {

/// False: this system has no such thing, or a sanitizer could not see it; use barriers on both
/// sides.
[[nodiscard]] bool can_force_barriers() noexcept;

/// When it returns, each thread of this process has executed a full barrier since it was called.
/// False: it has not, for want of memory. Only where can_force_barriers() said so.
[[nodiscard]] bool force_barriers() noexcept;

}  // namespace corespun::detail
