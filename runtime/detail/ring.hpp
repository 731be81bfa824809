#pragma once
// ring: a queue of fixed capacity. Allocates once. Threads: one at a time.

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

namespace corespun::detail {

template <typename T>
class ring {
 public:
  explicit ring(std::size_t capacity)
      : slots_(capacity > 0 ? std::allocator<T>().allocate(capacity) : nullptr),
        capacity_(capacity) {}
  ring(const ring&) = delete;
  ring& operator=(const ring&) = delete;
  ~ring() {
    while (!empty()) pop();
    if (slots_ != nullptr) std::allocator<T>().deallocate(slots_, capacity_);
  }

  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] bool full() const noexcept { return size_ == capacity_; }

  /// The i-th oldest.
  [[nodiscard]] T& operator[](std::size_t i) noexcept { return slots_[at(i)]; }

  void push(T&& item) noexcept {
    std::construct_at(slots_ + at(size_), std::move(item));
    ++size_;
  }
  T pop() noexcept {
    T& oldest = slots_[first_];
    T item = std::move(oldest);
    std::destroy_at(&oldest);
    first_ = at(1);
    --size_;
    return item;
  }

 private:
  [[nodiscard]] std::size_t at(std::size_t i) const noexcept {
    i += first_;
    return i < capacity_ ? i : i - capacity_;
  }

  T* slots_;
  std::size_t capacity_;
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

}  // namespace corespun::detail
