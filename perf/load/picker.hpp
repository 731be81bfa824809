#pragma once
// picker: which of the active connections the next request goes to. They take turns, except that a
// share of the requests goes to a hot one, which may change from time to time.

#include <cstddef>
#include <cstdint>
#include <random>

namespace load {

class picker {
 public:
  /// Of none; next() needs at least one.
  picker() : picker(0, 0, 0, 0) {}

  /// Of `connections` ones. `hot_share`: 0 to 1. The hot one changes each
  /// `moves_every_ns`; never with 0. The seed determines which requests it gets.
  picker(std::size_t connections, double hot_share, std::uint64_t moves_every_ns,
         std::uint32_t seed)
      : connections_(connections),
        hot_share_(hot_share),
        moves_every_ns_(moves_every_ns),
        random_(seed) {}

  /// For the request that is due then; the first one is what the changes are counted from.
  std::size_t next(std::uint64_t due_ns) {
    if (hot_share_ == 0) return take_turn();
    if (first_ns_ == 0) first_ns_ = due_ns;
    const auto moves = moves_every_ns_ > 0 ? (due_ns - first_ns_) / moves_every_ns_ : 0;
    const std::size_t hot = moves % connections_;
    if (connections_ == 1 || share_(random_) < hot_share_) return hot;
    const auto other = take_turn();
    return other == hot ? take_turn() : other;
  }

 private:
  std::size_t take_turn() noexcept {
    turn_ = (turn_ + 1) % connections_;
    return turn_;
  }

  std::size_t connections_;
  double hot_share_;
  std::uint64_t moves_every_ns_;
  std::mt19937_64 random_;
  std::uniform_real_distribution<double> share_;
  std::uint64_t first_ns_ = 0;
  std::size_t turn_ = 0;
};

}  // namespace load
