#pragma once
// broadcast<T>: every receiver gets every item that is sent after it subscribed.
//
//   broadcast<quote> quotes(1024, when_behind::skip);
//   auto mine = quotes.subscribe();
//   while (result<quote> q = co_await mine.recv()) …
//
// A receiver may be slower than the senders. The last `capacity` items are kept for it; when it is
// further behind,
//   when_behind::skip   it misses the oldest and is told how many; senders never wait
//   when_behind::hold   senders wait for it
//
// Invariants
//   - All receivers get the items in the same order.
//   - An item that nobody has subscribed to is dropped.
//   - After close() nothing can be sent. Receivers still get what was sent before, then
//     errc::closed; senders that wait have not sent.
//   - The broadcast outlives its receivers, and these what waits on them.
// Memory: the buffer is allocated once. T is copied under a lock and so must not throw then: send a
// std::shared_ptr<const T> of what is large.
// Threads: any member except the destructor may be called from any thread; a receiver belongs to
// one task at a time.
// Cancel: of send() and recv(): leaves the broadcast unchanged.

#include <corespun/runtime/detail/fatal.hpp>
#include <corespun/runtime/detail/ring.hpp>
#include <corespun/runtime/detail/wait_list.hpp>
#include <corespun/runtime/result.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>

namespace corespun {

enum class when_behind { skip, hold };

template <typename T>
class broadcast {
  static_assert(std::is_nothrow_copy_constructible_v<T> && std::is_nothrow_destructible_v<T>,
                "broadcast<T>: copying a T must not throw; send a std::shared_ptr<const T>");
  class sending;
  class receiving;

 public:
  class receiver {
   public:
    receiver(receiver&& other) noexcept
        : of_(std::exchange(other.of_, nullptr)), next_(other.next_), missed_(other.missed_) {}
    receiver& operator=(receiver&&) = delete;
    ~receiver() {
      if (of_ != nullptr) of_->unsubscribe(*this);
    }

    /// Waits for the next item. Errors: errc::closed.
    [[nodiscard]] detail::wait<receiving> recv() noexcept { return detail::wait<receiving>(*this); }
    /// How many items it was too slow for, in all, up to the last that it received.
    [[nodiscard]] std::uint64_t missed() const noexcept { return missed_; }

   private:
    friend broadcast;
    receiver(broadcast& of, std::uint64_t next) noexcept : of_(&of), next_(next) {}

    broadcast* of_;
    std::uint64_t next_;
    std::uint64_t missed_ = 0;
  };

  /// Errors: std::bad_alloc.
  broadcast(std::size_t capacity, when_behind policy) : policy_(policy), slots_(capacity) {
    if (capacity == 0)
      detail::caller_bug("a broadcast without capacity", "let it keep at least one item");
  }
  broadcast(const broadcast&) = delete;
  broadcast& operator=(const broadcast&) = delete;

  /// Gets what is sent from here on. Ends with the receiver.
  [[nodiscard]] receiver subscribe() noexcept {
    const std::lock_guard hold(lock_);
    ++receivers_;
    return receiver(*this, end());
  }

  /// With when_behind::hold, waits until there is room. Errors: errc::closed.
  [[nodiscard]] detail::wait<sending> send(T item) noexcept {
    return detail::wait<sending>(*this, std::move(item));
  }

  /// Without waiting; the item is moved from only when it was sent.
  /// Errors: std::errc::operation_would_block: there is no room. errc::closed.
  [[nodiscard]] result<> try_send(T&& item) noexcept {
    std::optional<T> missed;
    detail::granted g;
    const std::lock_guard hold(lock_);
    if (closed_) return std::unexpected(make_error_code(errc::closed));
    if (!has_room()) return std::unexpected(make_error_code(std::errc::operation_would_block));
    push(std::move(item), missed, g);
    return {};
  }

  /// Ends it: see above. Later calls do nothing.
  void close() noexcept {
    detail::granted g;
    const std::lock_guard hold(lock_);
    closed_ = true;
    waiting_receivers_.grant(g);
    waiting_senders_.grant(g);
  }

 private:
  struct slot {
    slot(T&& i, std::size_t n) noexcept : item(std::move(i)), left(n) {}
    T item;
    std::size_t left;  // receivers that have not got it; never more than those of a later one
  };

  class sending final : public detail::first_come<sending> {
   public:
    static constexpr const char* name = "broadcast send";
    sending(broadcast& b, T&& item) noexcept
        : detail::first_come<sending>(b.waiting_senders_), of_(b), item_(std::move(item)) {}
    bool possible() noexcept override { return of_.closed_ || of_.has_room(); }
    void take(detail::granted& g) noexcept override {
      if (of_.closed_) return;
      of_.push(std::move(item_), missed_, g);
      sent_ = true;
    }
    corespun::result<> result() const noexcept {
      if (!sent_) return std::unexpected(make_error_code(errc::closed));
      return {};
    }

   private:
    broadcast& of_;
    T item_;
    std::optional<T> missed_;  // ends with this, not under the lock
    bool sent_ = false;
  };

  class receiving final : public detail::first_come<receiving> {
   public:
    static constexpr const char* name = "broadcast recv";
    static constexpr bool in_turn = false;
    explicit receiving(receiver& r) noexcept
        : detail::first_come<receiving>(r.of_->waiting_receivers_), receiver_(r) {}
    bool possible() noexcept override {
      return receiver_.of_->closed_ || receiver_.next_ < receiver_.of_->end();
    }
    void take(detail::granted& g) noexcept override {
      (void)receiver_.of_->next(receiver_, item_, g);
    }
    corespun::result<T> result() {
      if (!item_) return std::unexpected(make_error_code(errc::closed));
      return std::move(*item_);
    }

   private:
    receiver& receiver_;
    std::optional<T> item_;
  };

  // --- under the lock ---

  /// The number of the item that comes next.
  std::uint64_t end() const noexcept { return first_ + slots_.size(); }

  bool has_room() const noexcept { return !slots_.full() || policy_ == when_behind::skip; }

  /// `missed`: what had to go for it.
  void push(T&& item, std::optional<T>& missed, detail::granted& g) noexcept {
    if (receivers_ == 0) return;
    if (slots_.full()) missed.emplace(drop_oldest());
    slots_.push(slot(std::move(item), receivers_));
    waiting_receivers_.grant(g);
  }

  /// False: r has got all.
  bool next(receiver& r, std::optional<T>& item, detail::granted& g) noexcept {
    if (r.next_ < first_) {
      r.missed_ += first_ - r.next_;
      r.next_ = first_;
    }
    if (r.next_ == end()) return false;
    slot& s = slots_[static_cast<std::size_t>(r.next_++ - first_)];
    if (--s.left > 0) {
      item.emplace(s.item);
    } else {
      // The last one takes it. What is older was taken by all before.
      item.emplace(std::move(s.item));
      (void)drop_oldest();
      waiting_senders_.grant(g);
    }
    return true;
  }

  T drop_oldest() noexcept {
    ++first_;
    return slots_.pop().item;
  }

  // --- not under it ---

  void unsubscribe(receiver& r) noexcept {
    // One at a time: an item that nobody else wants ends outside of the lock.
    for (bool more = true; more;) {
      std::optional<T> item;
      detail::granted g;
      const std::lock_guard hold(lock_);
      more = next(r, item, g);
      if (!more) --receivers_;
    }
  }

  const when_behind policy_;
  detail::spin_lock lock_;
  detail::wait_list waiting_receivers_{lock_, "a broadcast"};
  detail::wait_list waiting_senders_{lock_, "a broadcast"};
  bool closed_ = false;
  std::size_t receivers_ = 0;
  std::uint64_t first_ = 0;  // the number of the oldest item in slots_
  detail::ring<slot> slots_;
};

}  // namespace corespun
