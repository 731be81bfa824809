#include <corespun/io/detail/buffer_pool.hpp>

#include <sys/mman.h>

#include <new>

namespace corespun::detail {

buffer_pool::buffer_pool(const io_options& options) {
  classes_[0].bytes = options.small_buffer_bytes;
  classes_[0].count = options.small_buffers;
  classes_[0].total = options.small_buffers + reserve;
  classes_[1].bytes = options.large_buffer_bytes;
  classes_[1].count = classes_[1].total = options.large_buffers;
  for (size_class& c : classes_) {
    // Not malloc: pages that no message ever needs are never touched.
    void* const memory = ::mmap(nullptr, c.stride() * c.total, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    c.memory = static_cast<std::byte*>(memory);
    c.free.reserve(c.total);
    for (unsigned id = c.total; id-- > 0;) c.free.push_back(static_cast<std::uint16_t>(id));
  }
}

buffer_pool::size_class::~size_class() {
  if (memory != nullptr) ::munmap(memory, stride() * total);
}

void buffer_pool::lend_to_ring(unsigned cls) noexcept {
  size_class& c = classes_[cls];
  c.ring_count = c.count;
  std::erase_if(c.free, [&](std::uint16_t id) { return id < c.ring_count; });
}

bool buffer_pool::take(unsigned cls, std::uint16_t& id) noexcept {
  std::vector<std::uint16_t>& free = classes_[cls].free;
  if (free.empty()) return false;
  id = free.back();
  free.pop_back();
  return true;
}

void buffer_pool::put(unsigned cls, std::uint16_t id) noexcept { classes_[cls].free.push_back(id); }

}  // namespace corespun::detail
