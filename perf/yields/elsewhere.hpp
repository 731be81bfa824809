#pragma once
// The same range twice, in another file: nothing of it can be inlined.

#include <corespun/runtime/generator.hpp>

#include <iterator>

namespace yields {

corespun::generator<int> range_elsewhere(int first, int last);

class range_by_hand_elsewhere {
 public:
  class iterator {
   public:
    iterator(int at, int last) noexcept;
    int operator*() const noexcept;
    iterator& operator++() noexcept;
    bool operator==(std::default_sentinel_t) const noexcept;

   private:
    int at_;
    int last_;
  };

  range_by_hand_elsewhere(int first, int last) noexcept;
  [[nodiscard]] iterator begin() const noexcept;
  [[nodiscard]] std::default_sentinel_t end() const noexcept;

 private:
  int first_;
  int last_;
};

}  // namespace yields
