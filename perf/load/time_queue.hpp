#pragma once
// time_queue: points in time, first in, first out. An empty one is small: there is one for each
// connection.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace load {

class time_queue {
 public:
  [[nodiscard]] std::size_t size() const noexcept { return times_.size() - first_; }

  void push(std::uint64_t ns) { times_.push_back(ns); }

  /// Of at least one.
  [[nodiscard]] std::uint64_t first() const noexcept { return times_[first_]; }

  std::uint64_t pop() noexcept {
    const auto ns = times_[first_++];
    if (first_ * 2 >= times_.size()) {  // moves no more of them than have been taken
      times_.erase(times_.begin(), times_.begin() + static_cast<std::ptrdiff_t>(first_));
      first_ = 0;
    }
    return ns;
  }

 private:
  std::vector<std::uint64_t> times_;
  std::size_t first_ = 0;  // of those that have not been taken
};

}  // namespace load
