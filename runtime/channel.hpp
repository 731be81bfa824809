#pragma once
// channel<T>: a bounded queue between tasks. Many send, many receive; each item is received once.
//
//   channel<job> jobs(64);
//   result<> sent = co_await jobs.send(job);
//   while (result<job> next = co_await jobs.recv()) work(*next);   // until close()
//
// Invariants
//   - Items of one sender are received in the order in which it sent them.
//   - First come, first served, among senders and among receivers.
//   - At most `capacity` items are under way; a sender waits while there is no room. Capacity 0 is
//     a rendezvous: send() ends when a receiver has the item.
//   - After close() nothing can be sent. Receivers still get what was sent before, then
//     errc::closed; senders that wait have not sent.
//   - The channel outlives its waiters. Destroying it with waiters aborts.
// Memory: the buffer is allocated once. T moves without throwing, since it does so under a lock.
// Threads: any member except the destructor may be called from any thread.
// Cancel: of send() and recv(): leaves the channel unchanged; an item that was handed over before
// is delivered.

#include <corespun/runtime/detail/ring.hpp>
#include <corespun/runtime/detail/wait_list.hpp>
#include <corespun/runtime/result.hpp>

#include <cstddef>
#include <optional>

namespace corespun {

template <typename T>
class channel {
  static_assert(std::is_nothrow_move_constructible_v<T> && std::is_nothrow_destructible_v<T>,
                "channel<T>: moving a T must not throw; send a std::unique_ptr<T> instead");

  class receiver final : public detail::waiter {
   public:
    static constexpr const char* name = "channel recv";
    explicit receiver(channel& c) noexcept : waiter(&c.receivers_), channel_(c) {}
    bool try_now(detail::granted& g) noexcept override { return channel_.get(item, g); }
    corespun::result<T> result() {
      if (!item) return std::unexpected(make_error_code(errc::closed));
      return std::move(*item);
    }

    std::optional<T> item;  // empty in the end: the channel is closed

   private:
    channel& channel_;
  };

  class sender : public detail::waiter {
   public:
    explicit sender(channel& c) noexcept : waiter(&c.senders_), channel_(c) {}
    bool try_now(detail::granted& g) noexcept override {
      sent = channel_.give(item(), g);
      return sent || channel_.closed_;
    }
    virtual T& item() noexcept = 0;

    bool sent = false;

   private:
    channel& channel_;
  };

  /// From: T, or T& for an item that stays with the caller until it is sent.
  template <typename From>
  class sender_of final : public sender {
   public:
    static constexpr const char* name = "channel send";
    sender_of(channel& c, From&& item) noexcept : sender(c), item_(std::forward<From>(item)) {}
    T& item() noexcept override { return item_; }
    corespun::result<> result() const noexcept {
      if (!this->sent) return std::unexpected(make_error_code(errc::closed));
      return {};
    }

   private:
    From item_;
  };

 public:
  /// Errors: std::bad_alloc.
  explicit channel(std::size_t capacity) : items_(capacity) {}
  channel(const channel&) = delete;
  channel& operator=(const channel&) = delete;

  /// Waits until there is room. Errors: errc::closed; then the item is gone, see send_from().
  [[nodiscard]] detail::wait<sender_of<T>> send(T item) noexcept {
    return detail::wait<sender_of<T>>(*this, std::move(item));
  }
  /// The same, but `item` is moved from only when it is sent: where the send fails, is cancelled or
  /// is not what select() chose, the caller still has it. `item` must outlive the await.
  [[nodiscard]] detail::wait<sender_of<T&>> send_from(T& item) noexcept {
    return detail::wait<sender_of<T&>>(*this, item);
  }
  /// Waits for an item. Errors: errc::closed.
  [[nodiscard]] detail::wait<receiver> recv() noexcept { return detail::wait<receiver>(*this); }

  /// Without waiting; the item is moved from only when it was sent.
  /// Errors: std::errc::operation_would_block: there is no room. errc::closed.
  [[nodiscard]] result<> try_send(T&& item) noexcept {
    detail::granted g;
    const std::lock_guard hold(lock_);
    if (give(item, g)) return {};
    return std::unexpected(why_not());
  }
  /// Errors: std::errc::operation_would_block: there is no item. errc::closed.
  [[nodiscard]] result<T> try_recv() noexcept {
    std::optional<T> item;
    detail::granted g;
    const std::lock_guard hold(lock_);
    if (get(item, g) && item) return std::move(*item);
    return std::unexpected(why_not());
  }

  /// Ends it: see above. Later calls do nothing.
  void close() noexcept {
    detail::granted g;
    const std::lock_guard hold(lock_);
    closed_ = true;
    while (detail::waiter* const r = receivers_.claim_first()) g.add(*r);
    while (detail::waiter* const s = senders_.claim_first()) g.add(*s);
  }

 private:
  // Under the lock. Receivers wait only while there is no item, senders only while there is no
  // room; so whoever comes and finds an item or room overtakes nobody.

  /// Hands the item to a receiver, or keeps it. False: there is no room, or it is closed.
  bool give(T& item, detail::granted& g) noexcept {
    if (closed_) return false;
    if (auto* const r = static_cast<receiver*>(receivers_.claim_first())) {
      r->item.emplace(std::move(item));
      g.add(*r);
      return true;
    }
    if (items_.full()) return false;
    items_.push(std::move(item));
    return true;
  }

  /// Takes the oldest item; the room goes to the sender who waits longest. False: wait for one.
  bool get(std::optional<T>& item, detail::granted& g) noexcept {
    const bool kept = !items_.empty();
    if (kept) item.emplace(items_.pop());
    if (auto* const s = static_cast<sender*>(senders_.claim_first())) {
      if (kept) {
        items_.push(std::move(s->item()));
      } else {
        item.emplace(std::move(s->item()));
      }
      s->sent = true;
      g.add(*s);
    }
    return item || closed_;
  }

  std::error_code why_not() const noexcept {
    return closed_ ? make_error_code(errc::closed)
                   : std::make_error_code(std::errc::operation_would_block);
  }

  detail::spin_lock lock_;
  detail::wait_list receivers_{lock_, "a channel"};
  detail::wait_list senders_{lock_, "a channel"};
  bool closed_ = false;
  detail::ring<T> items_;
};

}  // namespace corespun
