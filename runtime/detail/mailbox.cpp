#include <corespun/runtime/detail/mailbox.hpp>

#include <corespun/runtime/detail/core.hpp>

#include <algorithm>

namespace corespun::detail {

void mailbox::connect(core& from, core& to, std::uint64_t room) noexcept {
  from_ = &from;
  to_ = &to;
  room_ = std::clamp<std::uint64_t>(room, 1, capacity);
}

void mailbox::flush() noexcept {
  take_from_outside();
  show();
  while (first_outside_ != nullptr && !asked_) {
    asked_ = true;
    short_of_room_.store(true, std::memory_order_seq_cst);  // N3 step 1
    from_->preemption_point();
    if (head_.load(std::memory_order_seq_cst) == seen_head_) return;  // N3 step 2
    // There is room now. If the receiver saw the question, it answers all the same.
    asked_ = !short_of_room_.exchange(false, std::memory_order_seq_cst);
    take_from_outside();
    show();
  }
}

void mailbox::room_came() noexcept {
  asked_ = false;
  flush();
}

void mailbox::take_from_outside() noexcept {
  while (first_outside_ != nullptr && has_room()) {
    mail& m = *first_outside_;
    first_outside_ = m.next;
    slots_[end_++ % capacity].store(&m, std::memory_order_relaxed);
  }
}

void mailbox::show() noexcept {
  if (tail_.load(std::memory_order_relaxed) == end_) return;
  tail_.store(end_, std::memory_order_seq_cst);  // N1 step 1; N2: publishes slots and messages
  from_->preemption_point();
  if (rung_.load(std::memory_order_seq_cst)) return;  // N1 step 2
  rung_.store(true, std::memory_order_relaxed);
  to_->post(bell_.to<&mailbox::drain>(*this));
}

void mailbox::drain() noexcept {
  rung_.store(false, std::memory_order_seq_cst);  // N1 step 1
  to_->preemption_point();
  const std::uint64_t tail = tail_.load(std::memory_order_seq_cst);  // N1 step 2, N2
  std::uint64_t head = head_.load(std::memory_order_relaxed);
  while (head != tail) {
    mail& m = *slots_[head++ % capacity].load(std::memory_order_relaxed);
    m.deliver(m);
  }
  head_.store(head, std::memory_order_seq_cst);  // N3 step 1; N2: the slots have been read
  to_->preemption_point();
  if (short_of_room_.load(std::memory_order_seq_cst) &&  // N3 step 2
      short_of_room_.exchange(false, std::memory_order_seq_cst))
    from_->post(answer_.to<&mailbox::room_came>(*this));
}

}  // namespace corespun::detail
