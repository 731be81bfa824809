#pragma once
// A buffer that lies on a page of its own. When it ends, or when it is forbidden, the page becomes
// inaccessible: an operation that the kernel still carries out there fails with EFAULT, or takes
// bytes that the next read then misses. The sanitizers do not see what the kernel writes.

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <new>
#include <span>

namespace corespun::test {

class guarded_page {
 public:
  guarded_page() : bytes_(static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))) {
    page_ = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page_ == MAP_FAILED) throw std::bad_alloc();
  }
  guarded_page(const guarded_page&) = delete;
  guarded_page& operator=(const guarded_page&) = delete;
  /// Not unmapped: nothing else may come to lie here while the test runs.
  ~guarded_page() { forbid(); }

  [[nodiscard]] std::span<std::byte> bytes() const noexcept {
    return {static_cast<std::byte*>(page_), bytes_};
  }
  void forbid() noexcept { ::mprotect(page_, bytes_, PROT_NONE); }

 private:
  std::size_t bytes_;
  void* page_;
};

}  // namespace corespun::test
