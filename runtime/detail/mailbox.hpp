#pragma once
// mailbox: messages from one core to one other; there is one for each ordered pair.
//
// A message is a mail that lies in what it is about, such as the frame of a task that waits for the
// answer. So sending allocates nothing and cannot fail; what finds the ring full waits outside, in
// the list of its sender, which for a task is no more than to go on waiting.
//
// Messages are put into the ring unseen, and shown by flush(), which the core calls at the end of each
// turn and when it looks at the clock: one doorbell for all of them.
//
// Invariants
//   - Messages are delivered in the order in which they were put, each once.
//   - What was flushed is delivered, whatever the receiver is doing; and what waits outside is
//     flushed as soon as there is room.
//
// N1: no message is left behind the doorbell
//
//   flush, sender                      drain, receiver
//   1  tail_.store()         seq_cst   1  rung_ = false      seq_cst
//   2  look at rung_         seq_cst   2  look at tail_      seq_cst
//   3  ring, if it is not rung
//
// N3: nobody waits outside of an empty ring
//
//   flush, sender                      drain, receiver
//   1  short_of_room_ = true seq_cst   1  head_.store()          seq_cst
//   2  look at head_         seq_cst   2  take short_of_room_    seq_cst
//                                      3  have the sender flush, if it was set
//
// Memory: 2.3 KiB for each pair; 146 KiB for 8 cores, 9.5 MiB for 64.
// Threads: put and flush on the sender's core, drain on the receiver's.

#include <corespun/runtime/detail/mail.hpp>

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
  void connect(core& from, core& to, std::uint64_t room) noexcept;

  void put(mail& m) noexcept {
    if (first_outside_ == nullptr && has_room()) {
      slots_[end_++ % capacity].store(&m, std::memory_order_relaxed);
    } else {
      m.next = nullptr;
      (first_outside_ != nullptr ? last_outside_->next : first_outside_) = &m;
      last_outside_ = &m;
    }
  }
  void flush() noexcept;

  /// Of the sender: the next one that is to be flushed, and whether this is one.
  mailbox* next = nullptr;
  bool is_listed = false;

 private:
  [[nodiscard]] bool has_room() noexcept {
    if (end_ - seen_head_ < room_) return true;
    seen_head_ = head_.load(std::memory_order_acquire);  // N2: the slots have been read
    return end_ - seen_head_ < room_;
  }
  void show() noexcept;
  void take_from_outside() noexcept;
  void room_came() noexcept;
  void drain() noexcept;

  // of the sender
  core* from_ = nullptr;
  core* to_ = nullptr;
  std::uint64_t room_ = capacity;
  std::uint64_t end_ = 0;  // of what was put
  std::uint64_t seen_head_ = 0;  // head_ as it was
  mail* first_outside_ = nullptr;
  mail* last_outside_ = nullptr;
  bool asked_ = false;  // for room; answer_ has not come yet
  member_mail<mailbox> bell_;  // delivered to the receiver
  member_mail<mailbox> answer_;  // delivered to the sender

  alignas(64) std::atomic<std::uint64_t> tail_{0};  // written by the sender: N1, N2
  std::atomic<bool> short_of_room_{false};  // set by the sender, taken by the receiver: N3
  alignas(64) std::atomic<std::uint64_t> head_{0};  // written by the receiver: N2, N3
  std::atomic<bool> rung_{false};  // set by the sender, cleared by the receiver: N1
  alignas(64) std::array<std::atomic<mail*>, capacity> slots_{};  // written by the sender
};

}  // namespace corespun::detail
