#include "table.hpp"

#include <new>
#include <utility>

namespace kv {

namespace {

constexpr unsigned place_bits = 32;
constexpr unsigned first_bits = 4;

}  // namespace

table::buckets::buckets(std::size_t n)
    : heads_(static_cast<item**>(std::calloc(n, sizeof(item*)))), size_(n) {
  if (heads_ == nullptr) throw std::bad_alloc();
}

table::table() : heads_(std::size_t{1} << first_bits), shift_(place_bits - first_bits) {}

table::table(table&& other) noexcept : table() {
  std::swap(heads_, other.heads_);
  std::swap(old_, other.old_);
  std::swap(moved_, other.moved_);
  std::swap(shift_, other.shift_);
  std::swap(size_, other.size_);
}

table::~table() { drop(size_); }

bool table::drop(std::size_t most) {
  for (; size_ > 0; ++dropped_) {
    const std::size_t n = heads_.size();
    for (item*& i = dropped_ < n ? heads_[dropped_] : old_[dropped_ - n]; i != nullptr; --size_) {
      if (most-- == 0) return false;
      delete std::exchange(i, i->next);
    }
  }
  return true;
}

item** table::head_of(std::uint32_t place) const {
  if (old_.size() > 0) {
    const std::size_t i = std::uint64_t{place} >> (shift_ + 1);
    if (i >= moved_) return &old_[i];
  }
  return &heads_[place >> shift_];
}

table::bucket table::bucket_of(std::uint32_t place) const {
  item** const head = head_of(place);
  const bool split = old_.size() == 0 || (std::uint64_t{place} >> (shift_ + 1)) < moved_;
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
  if (old_.size() == 0) {
    if (size_ < heads_.size() || shift_ == 0) return;
    buckets larger(2 * heads_.size());
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
