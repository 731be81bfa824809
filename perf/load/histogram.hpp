#pragma once
// histogram: counts of durations in log-linear buckets, as in HdrHistogram: 128 buckets for each
// power of two, so a value read back is at most 0.8 % too large. It has a fixed size and no
// pointers, so that it may lie in memory that processes share.
//
// Threads: one writer; readers after the writer has ended.

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace load {

class histogram {
 public:
  void record(std::uint64_t ns) noexcept {
    ++counts_[index_of(std::min(ns, most_ns))];
    max_ns_ = std::max(max_ns_, ns);
  }

  void add(const histogram& other) noexcept {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    max_ns_ = std::max(max_ns_, other.max_ns_);
  }

  [[nodiscard]] std::uint64_t max_ns() const noexcept { return max_ns_; }

  /// The value that `share` (0 to 1) of all values do not exceed; 0 if there are none.
  [[nodiscard]] std::uint64_t quantile_ns(double share) const noexcept {
    std::uint64_t total = 0;
    for (auto count : counts_) total += count;
    const auto rank = static_cast<std::uint64_t>(share * static_cast<double>(total));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (counts_[i] != 0 && seen >= rank) return std::min(last_value_of(i), max_ns_);
    }
    return max_ns_;
  }

 private:
  static constexpr int sub_bits = 7;
  static constexpr int value_bits = 40;  // up to 18 minutes
  static constexpr std::uint64_t most_ns = (std::uint64_t{1} << value_bits) - 1;

  static constexpr int shift_of(std::uint64_t ns) noexcept {
    return std::max(0, static_cast<int>(std::bit_width(ns)) - sub_bits - 1);
  }
  // Values below 256 have a bucket each; above, the highest 8 bits select one of 128.
  static constexpr std::size_t index_of(std::uint64_t ns) noexcept {
    const int shift = shift_of(ns);
    return (static_cast<std::size_t>(shift) << sub_bits) + static_cast<std::size_t>(ns >> shift);
  }
  static constexpr std::uint64_t last_value_of(std::size_t index) noexcept {
    const auto row = index >> sub_bits;
    const int shift = row == 0 ? 0 : static_cast<int>(row) - 1;
    const auto top = index - (static_cast<std::size_t>(shift) << sub_bits);
    return ((static_cast<std::uint64_t>(top) + 1) << shift) - 1;
  }

  std::array<std::uint64_t, (value_bits - sub_bits + 1) << sub_bits> counts_{};
  std::uint64_t max_ns_ = 0;
};

}  // namespace load
