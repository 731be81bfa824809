#pragma once
// slab<T>: numbered slots with generations. A tag (generation and index) names one use of one slot,
// so that a late message from the kernel about an earlier use is recognized.
//
// T has members `std::uint32_t index, generation` and `T* next`. Slots never move and are reused
// last in, first out. Threads: one core.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace corespun::detail {

template <typename T>
class slab {
 public:
  /// A fresh T. Throws std::bad_alloc.
  [[nodiscard]] T& take() {
    if (free_ == nullptr) grow();
    T& slot = *free_;
    free_ = slot.next;
    const std::uint32_t index = slot.index;
    const std::uint32_t generation = slot.generation;
    if constexpr (requires { slot.reset(); }) {
      slot.reset();
    } else {
      slot = T{};
    }
    slot.index = index;
    slot.generation = generation + 1;
    ++used_;
    return slot;
  }

  void give_back(T& slot) noexcept {
    ++slot.generation;
    slot.next = free_;
    free_ = &slot;
    --used_;
  }

  [[nodiscard]] static std::uint64_t tag(const T& slot) noexcept {
    return std::uint64_t{slot.generation} << 32 | slot.index;
  }

  /// nullptr: that use of the slot is over.
  [[nodiscard]] T* find(std::uint64_t tag) noexcept {
    const auto index = static_cast<std::uint32_t>(tag);
    if (index / chunk >= chunks_.size()) return nullptr;
    T& slot = chunks_[index / chunk][index % chunk];
    return slot.generation == static_cast<std::uint32_t>(tag >> 32) && in_use(slot) ? &slot
                                                                                    : nullptr;
  }

  [[nodiscard]] std::size_t used() const noexcept { return used_; }

  /// All slots in use. fn may give back any slot, and take: what it takes may be visited or not.
  template <typename Fn>
  void for_each(Fn fn) {
    for (std::size_t c = 0; c < chunks_.size(); ++c) {
      for (std::size_t i = 0; i < chunk; ++i) {
        if (T& slot = chunks_[c][i]; in_use(slot)) fn(slot);
      }
    }
  }

 private:
  static constexpr std::size_t chunk = 256;

  // A free slot counts an even generation, a used one an odd.
  static bool in_use(const T& slot) noexcept { return slot.generation % 2 == 1; }

  void grow() {
    chunks_.push_back(std::make_unique<T[]>(chunk));
    const auto first = static_cast<std::uint32_t>((chunks_.size() - 1) * chunk);
    for (std::size_t i = chunk; i-- > 0;) {
      T& slot = chunks_.back()[i];
      slot.index = first + static_cast<std::uint32_t>(i);
      slot.next = free_;
      free_ = &slot;
    }
  }

  std::vector<std::unique_ptr<T[]>> chunks_;
  T* free_ = nullptr;
  std::size_t used_ = 0;
};

}  // namespace corespun::detail
