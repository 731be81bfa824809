#include "store.hpp"

namespace kv {

namespace {

/// With what the allocator adds.
std::size_t heap_bytes(const std::string& s) {
  static const std::size_t inside = std::string().capacity();
  return s.capacity() > inside ? s.capacity() + 1 + 16 : 0;
}
std::size_t heap_bytes(const item& i) {
  return sizeof(item) + 16 + heap_bytes(i.key) + heap_bytes(i.value);
}
/// A node of deadlines_.
constexpr std::size_t deadline_bytes = 64;

constexpr int sample_size = 8;

}  // namespace

item* store::find(const key& k) {
  item* const i = table_.find(k);
  if (i != nullptr && !is_due(*i)) {
    i->used_s = now_s();
    ++stats_.hits;
    return i;
  }
  if (i != nullptr) {
    ++stats_.expired;
    erase(*i);
  }
  ++stats_.misses;
  return nullptr;
}

item& store::insert(const key& k, std::string_view value) {
  item& i = table_.insert(k);
  i.value = value;
  i.used_s = now_s();
  bytes_ += heap_bytes(i);
  return i;
}

void store::set(item& i, std::string_view value) {
  bytes_ -= heap_bytes(i.value);
  if (i.value.capacity() > 2 * value.size() + 64) {
    std::string(value).swap(i.value);
  } else {
    i.value = value;
  }
  bytes_ += heap_bytes(i.value);
}

bool store::append(item& i, std::string_view more) {
  if (i.value.size() + more.size() > limits_.max_value_bytes) return false;
  bytes_ -= heap_bytes(i.value);
  i.value += more;
  bytes_ += heap_bytes(i.value);
  return true;
}

void store::expire_at(item& i, unix_ms when) {
  if (i.expires == when) return;
  if (i.expires != never) {
    deadlines_.erase({i.expires, &i});
    bytes_ -= deadline_bytes;
  }
  i.expires = when;
  if (when != never) {
    deadlines_.emplace(when, &i);
    bytes_ += deadline_bytes;
  }
}

void store::erase(item& i) {
  expire_at(i, never);
  bytes_ -= heap_bytes(i);
  table_.erase(i);
}

store::remains store::clear() {
  bytes_ = 0;
  return {std::move(table_), std::exchange(deadlines_, {})};
}

bool store::remains::drop(std::size_t most) {
  for (std::size_t n = 0; n < most && !deadlines_.empty(); ++n) {
    deadlines_.erase(deadlines_.begin());
  }
  return table_.drop(most) && deadlines_.empty();
}

bool store::drop_expired(std::size_t most) {
  for (; next_deadline() <= now_; --most) {
    if (most == 0) return false;
    erase(*deadlines_.begin()->second);
    ++stats_.expired;
  }
  return true;
}

bool store::make_room() {
  while (limits_.max_bytes != 0 && bytes() > limits_.max_bytes) {
    item* const victim = choose_victim();
    if (victim == nullptr) return false;
    erase(*victim);
    ++stats_.evicted;
  }
  return true;
}

item* store::choose_victim() {
  if (limits_.policy == eviction::none || size() == 0) return nullptr;
  if (limits_.policy == eviction::ttl) {
    return deadlines_.empty() ? nullptr : deadlines_.begin()->second;
  }
  item* best = nullptr;
  int seen = 0;
  const int wanted = limits_.policy == eviction::lru ? sample_size : 1;
  const auto consider = [&](item& i) {
    if (seen++ == 0 || i.used_s < best->used_s) best = &i;
  };
  // Neighbours in a table are strangers to each other: their order is that of the hashes.
  std::uint64_t place = std::uint64_t{chance_()} << 1;
  for (std::uint64_t gone = 0; seen < wanted && gone < table::end;) {
    place %= table::end;
    const std::uint64_t next = table_.visit(place, consider);
    gone += next - place;
    place = next;
  }
  return best;
}

}  // namespace kv
