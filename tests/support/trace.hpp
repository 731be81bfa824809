#pragma once
// What the tests count: objects that are alive, and the order in which things happened.

#include <atomic>
#include <string>
#include <utility>

namespace corespun::test {

/// Notes its name in a log when it ends; a moved-from one does not.
class noted {
 public:
  noted(std::string& log, std::string name) noexcept : log_(&log), name_(std::move(name)) {}
  noted(noted&& other) noexcept
      : log_(std::exchange(other.log_, nullptr)), name_(std::move(other.name_)) {}
  noted& operator=(noted&&) = delete;
  ~noted() {
    if (log_ != nullptr) *log_ += name_ + ' ';
  }

 private:
  std::string* log_;
  std::string name_;
};

/// How many of a kind are alive, on all threads; one copy or move is one more.
class counted {
 public:
  explicit counted(int& alive) noexcept : alive_(&alive) { add(1); }
  counted(const counted& other) noexcept : alive_(other.alive_) { add(1); }
  counted& operator=(const counted&) = delete;
  ~counted() { add(-1); }

 private:
  void add(int n) noexcept { std::atomic_ref(*alive_).fetch_add(n, std::memory_order_relaxed); }
  int* alive_;
};

}  // namespace corespun::test
