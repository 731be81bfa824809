#pragma once
// op: one operation in flight. file: one descriptor with at most one operation per direction.
// Both live in slabs of a core's driver. An op is touched by that core alone, a file by the core
// that holds it.

#include <corespun/runtime/detail/root.hpp>

#include <atomic>
#include <climits>
#include <cstddef>
#include <cstdint>

namespace corespun::detail {

class io_driver;
class multishot_queue;
struct file;

enum class op_code : std::uint8_t {
  read,  // address, length: read(2) at the current position
  write,  // address, length
  recv,  // address, length
  recv_lease,  // into a buffer of the pool: its id and class come back in root::op_flags
  send,  // address, length
  send_parts,  // address: msghdr*, whose parts are used up
  accept,  // yields a descriptor, or a slot number where direct descriptors are on
  connect,  // address: sockaddr, length
  poll,  // events
  shutdown,  // the writing side of a socket
  close,  // the descriptor of `on`
};

/// Receives the completions of an operation that has many.
class sink {
 public:
  /// `final`: the operation has ended and its record is gone.
  virtual void completed(int result, std::uint32_t flags, bool final) noexcept = 0;

 protected:
  ~sink() = default;
};

struct op {
  enum class place : std::uint8_t { nowhere, kernel, backlog, starved, helper };

  op* next = nullptr;  // free slots; or in an op_queue
  op* prev = nullptr;  // in an op_queue
  root* task = nullptr;  // who waits; nullptr: nobody
  sink* many = nullptr;  // multishot: who is told instead of task
  file* on = nullptr;  // nullptr: a descriptor of another library
  void* address = nullptr;
  std::size_t length = 0;
  std::size_t moved = 0;  // bytes already moved, if `whole`
  std::uint32_t index = 0;
  std::uint32_t generation = 0;
  int fd = -1;
  std::uint32_t events = 0;  // poll
  op_code code = op_code::poll;
  place where = place::nowhere;
  std::uint8_t buffers = 0;  // recv_lease: class of the buffer
  bool whole = false;  // goes on until all of length has moved
  bool cancel_asked = false;  // by the waiting task
  bool abandoned = false;  // multishot: nobody listens any more
  bool stop_asked = false;  // by anybody
  bool cancel_sent = false;  // to the kernel
  // the kernel refused it: wait for readiness and make the system call
  bool by_readiness = false;
  bool waits_readiness = false;  // that wait is in the kernel at present

  [[nodiscard]] bool reads() const noexcept {
    return code == op_code::read || code == op_code::recv || code == op_code::recv_lease ||
           code == op_code::accept;
  }
};

/// Operations that wait for something other than the kernel; oldest first, any may leave.
class op_queue {
 public:
  [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }

  void push(op& o) noexcept {
    o.next = nullptr;
    o.prev = last_;
    (last_ != nullptr ? last_->next : first_) = &o;
    last_ = &o;
  }
  void remove(op& o) noexcept {
    (o.prev != nullptr ? o.prev->next : first_) = o.next;
    (o.next != nullptr ? o.next->prev : last_) = o.prev;
  }
  [[nodiscard]] op& pop() noexcept {
    op& o = *first_;
    remove(o);
    return o;
  }

 private:
  op* first_ = nullptr;
  op* last_ = nullptr;
};

/// What one core knows of a descriptor; see file.
struct file_state {
  enum class kind : std::uint8_t { socket, stream, regular };

  op* reading = nullptr;
  op* writing = nullptr;
  multishot_queue* many = nullptr;  // owned; nullptr: receives and accepts one by one
  root* closer = nullptr;  // waits in close()
  core* leaves_for = nullptr;  // the task that receives shall go on there, and the file with it
  int fd = -1;
  kind what = kind::socket;
  bool direct = false;  // fd is a slot of the ring's table
  bool stays = false;  // with the core that opened it, whose table it is in
  bool closing = false;  // cancels and awaits its operations
  bool held = false;  // not to be closed (again) by an operation that ends
  bool restore_blocking = false;
  bool short_is_empty = false;  // TCP: a short read has taken all there was
  std::uint8_t buffers = 0;  // class that recv() leases from: what the last messages needed
  std::uint8_t small_in_row = 0;
  bool more_to_read = false;  // io_uring: the last recv left data behind
  bool registered = false;  // epoll: the edge flags below are kept up to date
  bool watches_out = false;
  bool in_ready = false;
  bool out_ready = true;
  bool ended = false;  // epoll: no further edge will come for reading

  [[nodiscard]] op*& slot(bool reads) noexcept { return reads ? reading : writing; }
};

/// A descriptor is with one core at a time. It stays there as long as it has holders: an operation
/// in flight, the close, an armed multishot operation, a slot in the ring's table. Without any it
/// comes to the core whose task uses it next. F1: what the last holder wrote is seen by the next
/// core.
struct file : file_state {
  file* next = nullptr;  // free slots
  io_driver* origin = nullptr;  // in whose slab it lies
  std::uint32_t index = 0;
  std::uint32_t generation = 0;
  member_mail<file> mail;  // to the core where it is held, to close it there

  void reset() noexcept { static_cast<file_state&>(*this) = file_state(); }

  /// Where it is. A glance, unless it is held.
  [[nodiscard]] io_driver& driver() const noexcept { return *driver_or_null(); }
  /// The same; nullptr: it has been closed.
  [[nodiscard]] io_driver* driver_or_null() const noexcept {
    return reinterpret_cast<io_driver*>(at_.load(std::memory_order_relaxed) & ~(holders | glanced));
  }
  /// A new one.
  void place(io_driver& d) noexcept {
    at_.store(reinterpret_cast<std::uintptr_t>(&d), std::memory_order_release);
  }
  /// It is no more.
  void nowhere() noexcept { at_.store(0, std::memory_order_relaxed); }
  enum class where : std::uint8_t { here, elsewhere, closed };
  /// On the core of d. `here`: it was there or has come, and is held. `elsewhere`: it is held
  /// there. Who set out for it names its generation; another file in its place is left alone, and
  /// it `closed`.
  [[nodiscard]] where hold(io_driver& d, std::uint32_t wanted = 0) noexcept;
  /// On the core of d: keeps others from taking it, for a few instructions, until end_glance().
  /// False: it is elsewhere. Any file that there ever was may be asked.
  [[nodiscard]] bool glance(const io_driver& d) noexcept;
  void end_glance() noexcept {
    at_.store(at_.load(std::memory_order_relaxed) & ~glanced, std::memory_order_release);  // F1
  }
  /// Each hold once, on the core that holds it.
  void let_go() noexcept {
    at_.store(at_.load(std::memory_order_relaxed) - 1, std::memory_order_release);  // F1
  }
  void close_there() noexcept;

 private:
  void close_on_arrival() noexcept;
  static constexpr std::uintptr_t holders = 7;  // two operations, close, arrival, for good
  static constexpr std::uintptr_t glanced = 8;
  // The driver and how many hold it; 0: it is closed. While it is held, only its core writes it.
  std::atomic<std::uintptr_t> at_{0};
};

/// Flags of a completion beside the kernel's (IORING_CQE_F_BUFFER is bit 0, the buffer's id the
/// upper half).
inline constexpr std::uint32_t flag_buffer = 1U << 0;
inline constexpr std::uint32_t flag_more = 1U << 1;
inline constexpr std::uint32_t flag_nonempty = 1U << 2;
inline constexpr std::uint32_t flag_large = 1U << 8;  // ours: the class of the buffer
inline constexpr unsigned buffer_shift = 16;

}  // namespace corespun::detail
