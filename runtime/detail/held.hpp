#pragma once
// held: the guard of what is locked. Move-only; unlocks when it goes, on whatever core.

#include <utility>

namespace corespun::detail {

enum class access { alone, shared };

template <typename M, access Access = access::alone>
class [[nodiscard]] held {
 public:
  held() noexcept {}  ///< holds nothing
  held(held&& other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)) {}
  held& operator=(held&& other) noexcept {
    held old(std::exchange(mutex_, std::exchange(other.mutex_, nullptr)));
    return *this;
  }
  ~held() { unlock(); }

  /// What it holds; nullptr: nothing.
  [[nodiscard]] M* locked() const noexcept { return mutex_; }
  [[nodiscard]] explicit operator bool() const noexcept { return mutex_ != nullptr; }

  /// Before the end of the block. Does nothing if it holds nothing.
  void unlock() noexcept {
    if (mutex_ == nullptr) return;
    M& m = *std::exchange(mutex_, nullptr);
    if constexpr (Access == access::alone) {
      m.unlock();
    } else {
      m.unlock_shared();
    }
  }

 private:
  friend M;
  explicit held(M* locked) noexcept : mutex_(locked) {}

  M* mutex_ = nullptr;
};

}  // namespace corespun::detail
