#pragma once
// table: a hash table of items whose buckets are in the order of places.
//
// The upper bits of an item's place are the number of its bucket, so a bucket that is split becomes
// two neighbours, and the order of the buckets never changes. That is what SCAN needs and what
// std::unordered_map has not: a cursor is a place, whatever has grown meanwhile.
// The table grows by and by: each insert moves a few buckets into the larger array.

#include "key.hpp"
#include "wall_clock.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace kv {

struct item {
  item* next;  // in its bucket
  std::uint32_t place;
  std::uint32_t used_s;  // when it was last used, in seconds of some era
  unix_ms expires;
  std::string key;
  std::string value;
};

class table {
 public:
  /// The place behind the last one.
  static constexpr std::uint64_t end = std::uint64_t{1} << 32;

  table();
  table(const table&) = delete;
  table& operator=(const table&) = delete;
  ~table();

  [[nodiscard]] item* find(const key& k) const;
  /// The key is not there yet. The item stays where it is in memory.
  item& insert(const key& k);
  void erase(item& i);
  void clear();
  [[nodiscard]] std::size_t size() const { return size_; }
  /// Memory of the buckets.
  [[nodiscard]] std::size_t bytes() const { return (heads_.size() + old_.size()) * sizeof(item*); }

  /// Calls fn(item&) for the items of the bucket that this place, below the end, is in. Returns the
  /// first place behind that bucket.
  template <typename Fn>
  std::uint64_t visit(std::uint64_t place, Fn fn) const {
    const auto [head, next] = bucket_of(static_cast<std::uint32_t>(place));
    for (item* i = *head; i != nullptr; i = i->next) fn(*i);
    return next;
  }

 private:
  struct bucket {
    item** head;
    std::uint64_t end;
  };
  [[nodiscard]] bucket bucket_of(std::uint32_t place) const;
  [[nodiscard]] item** head_of(std::uint32_t place) const;
  void grow();
  void delete_items();

  mutable std::vector<item*> heads_;
  mutable std::vector<item*> old_;  // not empty while the table grows
  std::size_t moved_;  // buckets of old_ whose items are in heads_
  unsigned shift_;  // of a place, to get the number of a bucket in heads_
  std::size_t size_;
};

}  // namespace kv
