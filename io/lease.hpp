#pragma once
// lease: bytes that were received, in a buffer of the core's pool. The destructor gives the buffer
// back.
//
// Holding many leases for long starves recv() of buffers: copy what must live on. Movable; may end
// on any thread, then the buffer goes home by mail. A lease must not outlive its runtime.

#include <corespun/io/detail/op.hpp>

#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

namespace corespun {

class lease {
 public:
  lease() noexcept {}  ///< empty: the end of the stream
  lease(detail::io_driver& owner, std::byte* data, std::size_t size, std::uint32_t buffer) noexcept
      : owner_(&owner), data_(data), size_(static_cast<std::uint32_t>(size)), buffer_(buffer) {}
  lease(lease&& other) noexcept
      : owner_(std::exchange(other.owner_, nullptr)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        buffer_(other.buffer_) {}
  lease& operator=(lease&& other) noexcept {
    lease old(std::move(*this));
    owner_ = std::exchange(other.owner_, nullptr);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    buffer_ = other.buffer_;
    return *this;
  }
  ~lease() {
    if (owner_ != nullptr) give_back();
  }

  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return {data_, size_}; }
  [[nodiscard]] std::string_view text() const noexcept {
    return {reinterpret_cast<const char*>(data_), size_};
  }

 private:
  void give_back() noexcept;

  detail::io_driver* owner_ = nullptr;
  std::byte* data_ = nullptr;
  std::uint32_t size_ = 0;
  std::uint32_t buffer_ = 0;  // class and id, as in the flags of its completion
};

}  // namespace corespun
