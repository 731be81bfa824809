#pragma once
// buffer_pool: the memory from which recv() leases, one per core: small buffers, and a few large
// ones.
//
// All buffers of a class but the reserve may be lent to the kernel (a provided-buffer ring); the
// others wait in a free list. The driver decides; the pool only keeps the memory and the free
// lists. Threads: the core's own; leases that end elsewhere come home by mail (io_driver.cpp).

#include <corespun/io/options.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace corespun::detail {

class buffer_pool {
 public:
  static constexpr unsigned classes = 2;  // 0: small, 1: large
  // small buffers that never go to the kernel, for recv by system call
  static constexpr unsigned reserve = 16;

  explicit buffer_pool(const io_options& options);
  buffer_pool(const buffer_pool&) = delete;
  buffer_pool& operator=(const buffer_pool&) = delete;

  [[nodiscard]] std::byte* at(unsigned cls, unsigned id) const noexcept {
    return classes_[cls].memory + classes_[cls].stride() * id;
  }
  [[nodiscard]] std::size_t bytes(unsigned cls) const noexcept { return classes_[cls].bytes; }
  /// How many a ring may take.
  [[nodiscard]] unsigned for_ring(unsigned cls) const noexcept { return classes_[cls].count; }
  /// All ids below for_ring() belong to the kernel from now on.
  void lend_to_ring(unsigned cls) noexcept;
  [[nodiscard]] bool in_ring(unsigned cls, unsigned id) const noexcept {
    return id < classes_[cls].ring_count;
  }

  /// From the free list; false if it is empty.
  [[nodiscard]] bool take(unsigned cls, std::uint16_t& id) noexcept;
  void put(unsigned cls, std::uint16_t id) noexcept;

 private:
  struct size_class {
    size_class() noexcept {}
    size_class(const size_class&) = delete;
    size_class& operator=(const size_class&) = delete;
    ~size_class();
    std::byte* memory = nullptr;
    std::size_t bytes = 0;
    /// Not a power of two: else all heads would compete for the same few sets of the cache.
    [[nodiscard]] std::size_t stride() const noexcept { return bytes + 64; }
    unsigned count = 0;  // without the reserve
    unsigned total = 0;
    unsigned ring_count = 0;
    std::vector<std::uint16_t> free;  // capacity for all: put() never allocates
  };
  std::array<size_class, classes> classes_;
};

}  // namespace corespun::detail
