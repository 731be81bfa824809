#pragma once
// schedule: the points in time at which something is due, at a given mean rate.
//
// Poisson arrivals are those of many independent users: they come in bursts, as the distances are
// exponentially distributed. The arrivals of several processes together are Poisson again. Constant
// ones are shifted against each other by `phase`, so that together they are constant again.

#include <cstdint>
#include <limits>
#include <random>

namespace load {

enum class arrivals : std::uint8_t { poisson, constant };

class schedule {
 public:
  static constexpr std::uint64_t never = std::numeric_limits<std::uint64_t>::max();

  /// Nothing is ever due.
  schedule() : schedule(arrivals::constant, 0, 0, 0) {}

  /// Nothing is due before start(), and nothing at all if the rate is 0. `phase`, 0 to 1: when the
  /// first constant arrival is due, as a share of their distance. The seed determines Poisson ones.
  schedule(arrivals kind, double per_second, double phase, std::uint32_t seed)
      : kind_(kind), distance_ns_(1e9 / per_second), phase_(phase), random_(seed) {}

  void start(std::uint64_t now_ns) {
    start_ns_ = now_ns;
    offset_ns_ = kind_ == arrivals::poisson ? random_distance_ns() : phase_ * distance_ns_;
    settle();
  }

  void stop() noexcept { next_ns_ = never; }

  [[nodiscard]] std::uint64_t next_ns() const noexcept { return next_ns_; }

  /// Goes on to the one after next_ns(), which must not be `never`.
  void advance() {
    offset_ns_ += kind_ == arrivals::poisson ? random_distance_ns() : distance_ns_;
    settle();
  }

 private:
  double random_distance_ns() { return distance_ns_ * exponential_(random_); }

  void settle() noexcept {
    constexpr double a_century_ns = 3.2e18;
    next_ns_ =
        offset_ns_ < a_century_ns ? start_ns_ + static_cast<std::uint64_t>(offset_ns_) : never;
  }

  arrivals kind_;
  double distance_ns_;
  double phase_;
  std::mt19937_64 random_;
  std::exponential_distribution<double> exponential_;
  std::uint64_t start_ns_ = 0;
  double offset_ns_ = 0;  // of the next one from start_ns_; a sum, so that roundings do not add up
  std::uint64_t next_ns_ = never;
};

}  // namespace load
