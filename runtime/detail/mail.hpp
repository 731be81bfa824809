#pragma once
// mail: how a core is told something from another thread. inbox: the queue of mail of one core.
//
// A mail is embedded in the object that it is about, so posting allocates nothing and cannot fail.
// Posting it twice before it was delivered is a bug; the owners guard against it.

#include <atomic>

namespace corespun::detail {

struct mail {
  mail() noexcept {}
  mail* next;  // of who holds it at present
  /// runs on the addressed core; may end the life of the mail
  void (*deliver)(mail&) noexcept;
};

/// A mail that is a member of what it is about.
template <typename T>
struct member_mail : mail {
  T* owner;

  /// deliver() will call (owner->*Method)().
  template <void (T::*Method)() noexcept>
  mail& to(T& o) noexcept {
    owner = &o;
    deliver = [](mail& m) noexcept { (static_cast<member_mail&>(m).owner->*Method)(); };
    return *this;
  }
};

/// First in, first out; of one core.
class mail_list {
 public:
  [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }
  [[nodiscard]] mail& first() const noexcept { return *first_; }

  void push(mail& m) noexcept {
    m.next = nullptr;
    (first_ != nullptr ? last_->next : first_) = &m;
    last_ = &m;
  }
  [[nodiscard]] mail& pop() noexcept {
    mail& m = *first_;
    first_ = m.next;
    return m;
  }

 private:
  mail* first_ = nullptr;
  mail* last_ = nullptr;  // if there is a first
};

/// Many producers, one consumer, unbounded, lock-free: a stack that the consumer takes whole and
/// turns around. Order: per producer, first posted is first delivered.
class inbox {
 public:
  /// Any thread.
  void push(mail& m) noexcept {
    mail* top = top_.load(std::memory_order_relaxed);
    do {
      m.next = top;
      // M1: publishes the mail to take(). seq_cst: step 1 of I1 (core.hpp).
    } while (
        !top_.compare_exchange_weak(top, &m, std::memory_order_seq_cst, std::memory_order_relaxed));
  }

  /// The core only: all mail, oldest first, linked by next; nullptr if there is none.
  [[nodiscard]] mail* take() noexcept {
    if (top_.load(std::memory_order_relaxed) == nullptr) return nullptr;
    // M1: sees what push() published
    mail* newest = top_.exchange(nullptr, std::memory_order_acquire);
    mail* oldest = nullptr;
    while (newest != nullptr) {
      mail* const following = newest->next;
      newest->next = oldest;
      oldest = newest;
      newest = following;
    }
    return oldest;
  }

  /// The core only; seq_cst: step 2 of I1.
  [[nodiscard]] bool empty() const noexcept {
    return top_.load(std::memory_order_seq_cst) == nullptr;
  }

 private:
  std::atomic<mail*> top_{nullptr};  // written by all; the newest mail
};

}  // namespace corespun::detail
