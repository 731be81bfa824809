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
#include <cstdlib>
#include <memory>
#include <string>

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
  /// The other one is empty then.
  table(table&& other) noexcept;
  table& operator=(table&&) = delete;
  ~table();

  [[nodiscard]] item* find(const key& k) const;
  /// The key is not there yet. The item stays where it is in memory.
  item& insert(const key& k);
  void erase(item& i);
  /// Erases at most so many, of a table that is not used any more; true if those were all.
  bool drop(std::size_t most);
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

  /// Heads of lists. The kernel makes its pages zero when they are touched, not all at once.
  class buckets {
   public:
    buckets() = default;
    explicit buckets(std::size_t n);
    [[nodiscard]] std::size_t size() const { return heads_ == nullptr ? 0 : size_; }
    [[nodiscard]] item*& operator[](std::size_t i) const { return heads_[i]; }

   private:
    struct freed {
      void operator()(item** p) const { std::free(p); }
    };
    std::unique_ptr<item*[], freed> heads_;
    std::size_t size_ = 0;
  };

  buckets heads_;
  buckets old_;  // there while the table grows
  std::size_t moved_ = 0;  // buckets of old_ whose items are in heads_
  std::size_t dropped_ = 0;  // buckets that drop() has emptied, of both
  unsigned shift_;  // of a place, to get the number of a bucket in heads_
  std::size_t size_ = 0;
};

}  // namespace kv
