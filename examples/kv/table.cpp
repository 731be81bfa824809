#include "table.hpp"

#include <utility>

namespace kv {

namespace {

constexpr unsigned place_bits = 32;
constexpr unsigned first_bits = 4;

}  // namespace

table::table() { clear(); }

table::~table() { delete_items(); }

void table::clear() {
  delete_items();
  heads_.assign(std::size_t{1} << first_bits, nullptr);
  heads_.shrink_to_fit();
  old_ = {};
  moved_ = 0;
  shift_ = place_bits - first_bits;
  size_ = 0;
}

void table::delete_items() {
  for (std::vector<item*>* heads : {&heads_, &old_}) {
    for (item* i : *heads) {
      while (i != nullptr) delete std::exchange(i, i->next);
    }
  }
}

item** table::head_of(std::uint32_t place) const {
  if (!old_.empty()) {
    const std::size_t i = std::uint64_t{place} >> (shift_ + 1);
    if (i >= moved_) return &old_[i];
  }
  return &heads_[place >> shift_];
}

table::bucket table::bucket_of(std::uint32_t place) const {
  item** const head = head_of(place);
  const bool split = old_.empty() || (std::uint64_t{place} >> (shift_ + 1)) < moved_;
  const unsigned shift = split ? shift_ : shift_ + 1;
  return {head, ((std::uint64_t{place} >> shift) + 1) << shift};
}

item* table::find(const key& k) const {
  const std::uint32_t place = k.on_core();
  for (item* i = *head_of(place); i != nullptr; i = i->next) {
    if (i->place == place && i->key == k.text) return i;
  }
  return nullptr;
}

item& table::insert(const key& k) {
  grow();
  const std::uint32_t place = k.on_core();
  item** const head = head_of(place);
  *head = new item{*head, place, 0, never, std::string(k.text), {}};
  ++size_;
  return **head;
}

void table::erase(item& gone) {
  item** at = head_of(gone.place);
  while (*at != &gone) at = &(*at)->next;
  *at = gone.next;
  delete &gone;
  --size_;
}

void table::grow() {
  if (old_.empty()) {
    if (size_ < heads_.size() || shift_ == 0) return;
    std::vector<item*> larger(2 * heads_.size());
    old_ = std::exchange(heads_, std::move(larger));
    moved_ = 0;
    --shift_;
  }
  // Two for each insert: done when the larger array is three quarters full.
  for (int n = 0; n < 2 && moved_ < old_.size(); ++n) {
    for (item* i = std::exchange(old_[moved_++], nullptr); i != nullptr;) {
      item*& head = heads_[i->place >> shift_];
      item* const after = std::exchange(i->next, head);
      head = std::exchange(i, after);
    }
  }
  if (moved_ == old_.size()) old_ = {};
}

}  // namespace kv
