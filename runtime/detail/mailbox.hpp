#pragma once
// mailbox: messages from one core to one other; there is one for each ordered pair.
//
// A message is a mail that lies in what it is about, such as the frame of a task that waits for the
// answer. So sending allocates nothing and cannot fail; what finds the ring full waits outside, in
// the list of its sender, which for a task is no more than to go on waiting.
//
// Messages are put into the ring unseen, and shown by flush(), several at once, which the core
// calls when it looks for messages itself: at the end of each turn, after each few tasks while some
// come, and after 32, or 10 us, when none do.
//
// Invariants
//   - Messages are delivered in the order in which they were put, each once.
//   - I1 (core.hpp) holds for them: step 1 of the poster is to show them, and step 2 of a core that
//     goes to sleep is to look into its mailboxes once more.
//
// N2: nobody sleeps on messages outside for which there is room
//
//   sender, going to sleep                       receiver
//   1  announce: rest_ = asleep        seq_cst   1  take messages: head_.store()    seq_cst
//   2  short_of_room_.store(true)      seq_cst   2  look at short_of_room_, take it seq_cst
//   3  look at head_                   seq_cst   3  wake the sender if it sleeps
//
// Memory: 2.2 KiB for each pair; 140 KiB for 8 cores, 8.8 MiB for 64.
// Threads: put, flush, wait_for_room on the sender's core, the rest on the receiver's.

#include <corespun/runtime/detail/mail.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace corespun::detail {

class core;

class mailbox {
 public:
  static constexpr std::uint64_t capacity = 256;

  mailbox() noexcept {}
  mailbox(const mailbox&) = delete;
  mailbox& operator=(const mailbox&) = delete;

  /// Before its first use. `room`: so many messages at once, at most capacity.
  void connect(core& receiver, std::uint64_t room) noexcept {
    to = &receiver;
    room_ = std::clamp<std::uint64_t>(room, 1, capacity);
  }

  void put(mail& m) noexcept {
    if (outside_.empty() && has_room()) {
      slots_[end_++ % capacity] = &m;
    } else {
      outside_.push(m);
    }
  }
  /// Shows what was put; true: the receiver is to be woken if it sleeps.
  [[nodiscard]] bool flush() noexcept {
    while (!outside_.empty() && has_room()) slots_[end_++ % capacity] = &outside_.pop();
    if (tail_.load(std::memory_order_relaxed) == end_) return false;
    tail_.store(end_, std::memory_order_seq_cst);  // I1 step 1, N1
    return true;
  }
  /// What was put has been shown to the last message.
  [[nodiscard]] bool all_shown() const noexcept { return outside_.empty(); }
  /// False: there is room by now, so flush() again. Else the sender is woken when room comes.
  [[nodiscard]] bool wait_for_room() noexcept {
    short_of_room_.store(true, std::memory_order_seq_cst);  // N2 step 2
    return head_.load(std::memory_order_seq_cst) == seen_head_;  // N2 step 3
  }

  [[nodiscard]] bool empty() const noexcept {
    return tail_.load(std::memory_order_seq_cst) ==  // I1 step 2
           head_.load(std::memory_order_relaxed);
  }
  /// Delivers what was shown; how many.
  std::uint64_t take() noexcept {
    const std::uint64_t tail = tail_.load(std::memory_order_acquire);  // N1
    const std::uint64_t first = head_.load(std::memory_order_relaxed);
    for (std::uint64_t head = first; head != tail; ++head) {
      mail& m = *slots_[head % capacity];
      m.deliver(m);
    }
    if (tail != first) head_.store(tail, std::memory_order_seq_cst);  // N2 step 1, N3
    return tail - first;
  }
  /// After take(): the sender is to be woken if it sleeps.
  [[nodiscard]] bool sender_waits_for_room() noexcept {
    return short_of_room_.load(std::memory_order_seq_cst) &&  // N2 step 2
           short_of_room_.exchange(false, std::memory_order_seq_cst);
  }

  // --- of the sender ---

  /// The next one that is to be flushed, and whether this is one.
  mailbox* next = nullptr;
  bool is_listed = false;
  core* to = nullptr;

 private:
  [[nodiscard]] bool has_room() noexcept {
    if (end_ - seen_head_ < room_) return true;
    seen_head_ = head_.load(std::memory_order_acquire);  // N3
    return end_ - seen_head_ < room_;
  }

  std::uint64_t room_ = capacity;
  std::uint64_t end_ = 0;  // of what was put
  std::uint64_t seen_head_ = 0;  // head_ as it was
  mail_list outside_;

  alignas(64) std::atomic<std::uint64_t> tail_{0};  // written by the sender: I1, N1
  std::atomic<bool> short_of_room_{false};  // set by the sender, taken by the receiver: N2
  alignas(64) std::atomic<std::uint64_t> head_{0};  // written by the receiver: N2, N3
  alignas(64) std::array<mail*, capacity> slots_;  // written by the sender: N1, N3
};

}  // namespace corespun::detail
