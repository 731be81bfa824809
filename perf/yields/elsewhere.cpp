#include "elsewhere.hpp"

namespace yields {

corespun::generator<int> range_elsewhere(int first, int last) {
  for (int i = first; i < last; ++i) co_yield i;
}

using by_hand = range_by_hand_elsewhere;

by_hand::iterator::iterator(int at, int last) noexcept : at_(at), last_(last) {}
int by_hand::iterator::operator*() const noexcept { return at_; }
by_hand::iterator& by_hand::iterator::operator++() noexcept {
  ++at_;
  return *this;
}
bool by_hand::iterator::operator==(std::default_sentinel_t) const noexcept { return at_ == last_; }

by_hand::range_by_hand_elsewhere(int first, int last) noexcept : first_(first), last_(last) {}
by_hand::iterator by_hand::begin() const noexcept { return iterator(first_, last_); }
std::default_sentinel_t by_hand::end() const noexcept { return {}; }

}  // namespace yields
