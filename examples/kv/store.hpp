#pragma once
// store: the keys and values of one shard, their deadlines, and the memory they may take.
//
// Threads: one; a sharded server has one store on each core.
// Time stands still while requests run: tick() moves it. What is due is not there any more,
// whether or not its memory has been given back yet; size() counts it until then, as Redis does.

#include "table.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <set>
#include <string_view>
#include <utility>

namespace kv {

/// What goes when memory is full: nothing, so that writes fail; what was not used for longest,
/// among a sample; any; what is due first, if it has a deadline.
enum class eviction { none, lru, random, ttl };

struct limits {
  std::size_t max_bytes = 0;  // 0: no limit
  eviction policy = eviction::none;
  std::size_t max_value_bytes = std::numeric_limits<std::size_t>::max();  // of what append() makes
};

class store {
 public:
  struct statistics {
    std::uint64_t hits = 0, misses = 0, expired = 0, evicted = 0;
  };

  explicit store(const limits& l) : limits_(l) {}

  void tick(unix_ms now) { now_ = now; }
  [[nodiscard]] unix_ms now() const { return now_; }

  /// nullptr: not there. Counts as use. The item is valid until it is erased; it is changed by the
  /// members below only.
  item* find(const key& k);
  /// The key is not there. It gets no deadline.
  item& insert(const key& k, std::string_view value);
  void set(item& i, std::string_view value);
  /// False: the value would be too large.
  [[nodiscard]] bool append(item& i, std::string_view more);
  /// From then on it is not there any more; never: no deadline.
  void expire_at(item& i, unix_ms when);
  void erase(item& i);

  /// What was in a store, on its way back to the allocator: with many keys that takes long.
  class remains {
   public:
    /// Gives back at most so many; true if those were all.
    bool drop(std::size_t most);

   private:
    friend store;
    remains(table&& t, std::set<std::pair<unix_ms, item*>>&& d)
        : table_(std::move(t)), deadlines_(std::move(d)) {}
    table table_;
    std::set<std::pair<unix_ms, item*>> deadlines_;
  };
  /// All keys are gone at once.
  remains clear();

  /// Evicts until there is room for more. False: there is none, and none can be made.
  [[nodiscard]] bool make_room();
  /// Gives back the memory of what is due, of at most so many; true if that was all.
  bool drop_expired(std::size_t most);
  [[nodiscard]] unix_ms next_deadline() const {
    return deadlines_.empty() ? never : deadlines_.begin()->first;
  }

  /// fn(const item&) for what is there in the bucket of a place; see table::visit().
  template <typename Fn>
  std::uint64_t visit(std::uint64_t place, Fn fn) const {
    return table_.visit(place, [&](const item& i) {
      if (!is_due(i)) fn(i);
    });
  }

  [[nodiscard]] std::size_t size() const { return table_.size(); }
  [[nodiscard]] std::size_t with_deadline() const { return deadlines_.size(); }
  [[nodiscard]] std::size_t bytes() const { return bytes_ + table_.bytes(); }
  [[nodiscard]] const statistics& stats() const { return stats_; }

 private:
  [[nodiscard]] bool is_due(const item& i) const { return i.expires <= now_; }
  [[nodiscard]] std::uint32_t now_s() const { return static_cast<std::uint32_t>(now_ / 1000); }
  [[nodiscard]] item* choose_victim();

  limits limits_;
  unix_ms now_ = 0;
  table table_;
  std::set<std::pair<unix_ms, item*>> deadlines_;
  std::size_t bytes_ = 0;  // of items
  statistics stats_;
  std::minstd_rand chance_;
};

}  // namespace kv
