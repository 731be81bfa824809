#pragma once
// barrier: a fixed number of tasks meet, again and again. Each waits until all have come.
//
// Invariants
//   - The last one to come does not wait; it opens for the others and begins the next round.
//   - Nobody can come to the next round before this one was complete.
//   - The barrier outlives its waiters. Destroying it with waiters aborts.
//   - It is no alternative for select(): to arrive takes effect at once, not at the end of the
//     wait.
// Threads: any member except the destructor may be called from any thread.

#include <corespun/runtime/detail/fatal.hpp>
#include <corespun/runtime/detail/wait_list.hpp>

#include <cstddef>

namespace corespun {

class barrier {
  class arriving final : public detail::waiter {
   public:
    static constexpr const char* name = "barrier";
    // Having come is what the others count; select could take it back only after they went.
    static constexpr bool can_be_one_of_several = false;

    explicit arriving(barrier& b) noexcept : waiter(&b.waiting_), barrier_(b) {}
    bool try_now(detail::granted& g) noexcept override {
      if (barrier_.missing_ > 1) return false;
      while (waiter* const w = list_->claim_first()) g.add(*w);
      barrier_.missing_ = barrier_.parties_;
      return true;
    }
    void enter() noexcept override {
      --barrier_.missing_;
      waiter::enter();
    }
    void leave(detail::granted& g) noexcept override {
      ++barrier_.missing_;
      waiter::leave(g);
    }
    void result() const noexcept {}

   private:
    barrier& barrier_;
  };

 public:
  explicit barrier(std::size_t parties) noexcept : parties_(parties), missing_(parties) {
    if (parties == 0) detail::caller_bug("a barrier for nobody", "give it at least one party");
  }
  barrier(const barrier&) = delete;
  barrier& operator=(const barrier&) = delete;

  /// Waits until all have come. Cancel: takes the arrival back; the others go on waiting.
  [[nodiscard]] detail::wait<arriving> arrive_and_wait() noexcept {
    return detail::wait<arriving>(*this);
  }

 private:
  detail::spin_lock lock_;
  detail::wait_list waiting_{lock_, "a barrier"};
  const std::size_t parties_;
  std::size_t missing_;  // in this round
};

}  // namespace corespun
