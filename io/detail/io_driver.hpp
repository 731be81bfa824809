#pragma once
// io_driver: what uring and epoll have in common: records of operations and files, buffers, and the
// rules by which an operation ends.
//
// Life of an operation
//   submit()   the awaiter took a record with make_op(), filled it and hands it over
//   start()    the concrete driver begins it: at once done, or pending
//   settle()   the kernel's answer: go on (a short write_all, EINTR), wait (no buffer), or end
//   the end    the record is freed, and the task becomes ready: with the result, or as stopped if
//              it asked to cancel and nothing had happened
// A record is freed only after the kernel's last word about it, so the kernel never writes into
// memory that a task has given up (DEFER_TASKRUN and cancel: the task waits for the completion of
// the cancelled operation).
//
// Threads: the core's own, but for give_back_buffer() and close_late(), and for what open_file(),
// give_back_file() and file_came() do to files of another driver: under a lock, or by its atomics.

#include <corespun/io/detail/buffer_pool.hpp>
#include <corespun/io/detail/op.hpp>
#include <corespun/io/detail/os.hpp>
#include <corespun/io/detail/slab.hpp>
#include <corespun/io/options.hpp>
#include <corespun/runtime/detail/core.hpp>
#include <corespun/runtime/detail/helpers.hpp>
#include <corespun/runtime/detail/spin_lock.hpp>
#include <corespun/runtime/driver.hpp>

#include <array>
#include <atomic>
#include <string>

namespace corespun::detail {

class alignas(16) io_driver : public driver {  // file::at_ marks its address
 public:
  static constexpr int pending = INT_MIN;  // what start() returns when the answer comes later

  /// `calls` outlives the driver; nullptr: the kernel's.
  explicit io_driver(const io_options& options, os_calls* calls = nullptr)
      : options_(options), calls_(calls != nullptr ? *calls : sys()), pool_(options) {}

  /// The I/O driver of the core that runs the caller's task. A runtime without one is the caller's
  /// bug.
  [[nodiscard]] static io_driver& of(core& c);
  /// Of this thread, which is a core's.
  [[nodiscard]] static io_driver& here() { return of(*core::current()); }

  // --- operations ---

  [[nodiscard]] op& make_op(op_code code) {
    op& o = ops_.take();
    o.code = code;
    return o;
  }
  /// Takes the place of its direction on the file; a second operation there is the caller's bug.
  [[nodiscard]] op& make_op(op_code code, file& f);

  /// True: it has ended already and the result is in the task's root; the record is gone.
  [[nodiscard]] bool submit(op& o) noexcept;
  /// A multishot receive: armed anew it would get buffers of the size that its stream needs.
  [[nodiscard]] bool wants_other_buffers(const op& o) noexcept;
  /// Ends a multishot operation: its sink hears no more, what still comes is closed or given back.
  void abandon(op& o) noexcept;
  /// It still completes, with -ECANCELED if nothing else came first.
  void end_early(op& o) noexcept { request_stop(o); }
  /// Asks it to end; its task is resumed by its completion. For wait_kind::cancel.
  void cancel_for_task(op& o) noexcept;

  // --- files ---

  /// Takes the descriptor over. Throws std::bad_alloc, then it is still the caller's.
  [[nodiscard]] file& open_file(int fd, file::kind what, bool direct = false);
  /// The descriptor came from elsewhere, in whatever mode.
  virtual void adopted(file&) noexcept {}
  /// From now on accepts or receives by an operation that stays armed, at most `ahead` ahead of the
  /// task that takes.
  void use_multishot(file& f, op_code code, std::size_t ahead);
  /// The same for a descriptor that nobody else has: without memory it is closed, and the answer is
  /// nullptr.
  [[nodiscard]] file* try_open_file(int fd, file::kind what, bool direct) noexcept;
  /// Closes a connection, or gives a buffer back, that came too late for anybody.
  void drop(op_code code, int result, std::uint32_t flags) noexcept;
  /// Cancels what is in flight, awaits it, closes. `waiter` (or nullptr) is completed with the
  /// result of close. The file is held.
  void close_file(file& f, root* waiter) noexcept;
  /// For what was dropped when the cores had ended, by the thread that ends the runtime. What a
  /// ring's or a core's own table held went with it.
  void close_late(file& f) noexcept;
  /// A file that was with `before` has come here. Any operation begins anew.
  virtual void file_came(file&, io_driver& /*before*/) noexcept {}

  // --- buffers ---

  [[nodiscard]] buffer_pool& pool() noexcept { return pool_; }
  /// On any thread.
  void give_back_buffer(std::uint32_t buffer) noexcept;
  /// Filled and not come back yet: in leases, in queues, in operations.
  [[nodiscard]] std::size_t buffers_away() const noexcept { return buffers_away_; }
  [[nodiscard]] core& home() const noexcept { return *home_; }

  [[nodiscard]] os_calls& calls() const noexcept { return calls_; }

  // --- the door, as far as it is common ---

  [[nodiscard]] std::size_t in_flight() const noexcept final { return ops_.used(); }
  void cancel_all() override;
  void all_attached() override;

  [[nodiscard]] const io_options& options() const noexcept { return options_; }
  /// Multishot accept and recv are to be had.
  [[nodiscard]] virtual bool multishot() const noexcept { return false; }
  /// Accepted connections are slots of the ring, not descriptors.
  [[nodiscard]] virtual bool accepts_direct() const noexcept { return false; }
  /// For people: what runs, and why not something better.
  [[nodiscard]] virtual std::string report() const = 0;
  /// Accepted connections are with this core for good.
  [[nodiscard]] bool connections_stay() const noexcept {
    return accepts_direct() || options_.file_table_per_core;
  }
  /// System calls made so far.
  [[nodiscard]] std::uint64_t system_calls() const noexcept { return system_calls_; }

 protected:
  /// Begins the operation: its result, or pending.
  [[nodiscard]] virtual int start(op& o) noexcept = 0;
  /// Makes a pending operation end early; it still completes.
  virtual void stop(op& o) noexcept = 0;
  /// The operation is over; its record is still there.
  virtual void ending(op&) noexcept {}
  void give_back_file(file& f) noexcept;
  /// The descriptor is about to be closed.
  virtual void forget_file(file&) noexcept {}
  /// So many more buffers of the class belong to the kernel.
  void lent_to_ring(unsigned cls, std::size_t count) noexcept { ring_free_[cls] += count; }
  /// None is left of those that the kernel has. False: there are no others.
  [[nodiscard]] virtual bool lend_more(unsigned /*cls*/) noexcept { return false; }
  /// Gives a buffer to whoever fills it.
  virtual void provide(unsigned cls, std::uint16_t id) noexcept { pool_.put(cls, id); }

  /// The kernel's answer to a pending operation.
  void completed(op& o, int result, std::uint32_t flags) noexcept;
  void completed_many(op& o, int result, std::uint32_t flags) noexcept;
  /// Makes the system call of the operation without blocking: its result or -EAGAIN.
  [[nodiscard]] int attempt(op& o) noexcept;
  /// Closes a descriptor that never became a file.
  virtual void close_now(int fd, bool direct) noexcept = 0;
  /// For descriptors that are no sockets, before a system call on them; undone when the file
  /// closes.
  static void make_non_blocking(file& f) noexcept;
  /// Runs the operation on a helper thread; pending.
  [[nodiscard]] int start_on_helper(op& o) noexcept;

  core* home_ = nullptr;
  io_options options_;
  slab<op> ops_;
  spin_lock files_lock_;  // files end where they are closed
  slab<file> files_;
  std::uint64_t system_calls_ = 0;
  std::size_t buffers_away_ = 0;
  std::atomic<std::size_t> direct_in_use_{0};  // slots of accepted connections
  std::uint32_t attempt_flags_ = 0;  // of the last attempt(): the buffer it filled

 private:
  void return_buffer(std::uint32_t buffer) noexcept;
  void return_buffer_from_elsewhere(std::uint32_t buffer) noexcept;
  static void make_blocking_again(const file& f) noexcept;
  void close_stray(int fd, bool direct) noexcept;
  [[nodiscard]] bool goes_on(op& o, int& result) noexcept;
  [[nodiscard]] bool settle(op& o, int& result, std::uint32_t& flags) noexcept;
  void end(op& o, int result, std::uint32_t flags, bool inline_end) noexcept;
  void starve(op& o) noexcept;
  void feed_starved() noexcept;
  void request_stop(op& o) noexcept;
  void close_if_idle(file& f) noexcept;
  void closed(file& f, int result) noexcept;
  [[nodiscard]] static unsigned class_of(std::uint32_t buffer) noexcept {
    return (buffer & flag_large) != 0 ? 1 : 0;
  }
  /// There is a buffer of that class for an operation that found none.
  [[nodiscard]] bool refilled(const op& o, unsigned cls) noexcept {
    return !o.by_readiness && (ring_free_[cls] > 0 || lend_more(cls));
  }
  void took_buffer(std::uint32_t buffer) noexcept {
    const unsigned cls = class_of(buffer);
    if (pool_.in_ring(cls, buffer >> buffer_shift)) --ring_free_[cls];
  }
  void learn_size(op& o, int result, std::uint32_t flags) noexcept;
  void take_returned() noexcept;

  os_calls& calls_;
  buffer_pool pool_;
  op_queue starved_;  // wait for a buffer
  bool feeding_ = false;
  bool feed_again_ = false;
  // Buffers lent to the kernel and not seen to be filled.
  std::array<std::size_t, buffer_pool::classes> ring_free_{};

  struct returned {
    returned* next;
    std::uint32_t buffer;
  };
  // B1: leases that ended on other threads, in their own buffers
  std::atomic<returned*> returned_{nullptr};
  member_mail<io_driver> returned_mail_;
};

}  // namespace corespun::detail
