// uring driver: one ring per core, touched by that core alone.
//
// One io_uring_enter per loop turn submits what the tasks have queued and waits. What finds no
// submission slot, or would exceed half of the completion ring in one turn, waits in the backlog,
// so a full ring never fails an operation. Completions that come late all the same overflow into
// kernel memory, at most one per operation in flight.
//
// Long, since it is one class: the ring and its set-up, buffers, the bell, and what each operation
// is for the kernel.

#include <corespun/io/detail/uring_driver.hpp>

#include <corespun/io/detail/io_driver.hpp>
#include <corespun/io/detail/liburing.hpp>
#include <corespun/runtime/detail/fatal.hpp>
#include <corespun/runtime/result.hpp>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>
#include <vector>

namespace corespun::detail {
namespace {

constexpr std::uint64_t ignore_tag = 0;  // no use of a slot has generation 0
constexpr std::uint64_t wake_tag = 2;  // nor an even one
constexpr unsigned flags_of_kernel =
    IORING_CQE_F_BUFFER | IORING_CQE_F_MORE | IORING_CQE_F_SOCK_NONEMPTY;
static_assert(flag_buffer == IORING_CQE_F_BUFFER && flag_more == IORING_CQE_F_MORE &&
              flag_nonempty == IORING_CQE_F_SOCK_NONEMPTY &&
              buffer_shift == IORING_CQE_BUFFER_SHIFT);

[[noreturn]] void fail(int error, const char* call) {
  const std::error_code code = system_error_code(error);
  throw std::system_error(code, explain(code, call));
}

/// io_uring itself, its eventfd and its buffer rings, with their lifetimes.
struct ring {
  explicit ring(const io_options& options) {
    struct flag {
      unsigned bit;
      const char* name;
    };
    // Oldest first: a kernel that does not know one does not know the later ones either.
    constexpr flag wanted[] = {{IORING_SETUP_SUBMIT_ALL, "SUBMIT_ALL"},
                               {IORING_SETUP_COOP_TASKRUN, "COOP_TASKRUN"},
                               {IORING_SETUP_TASKRUN_FLAG, "TASKRUN_FLAG"},
                               {IORING_SETUP_SINGLE_ISSUER, "SINGLE_ISSUER"},
                               {IORING_SETUP_DEFER_TASKRUN, "DEFER_TASKRUN"}};
    const unsigned disabled = refused_operations.load() != 0 ? IORING_SETUP_R_DISABLED : 0U;
    int error = 0;
    for (std::size_t count = std::size(wanted);; --count) {
      io_uring_params p{};
      p.flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | disabled;
      p.cq_entries = 4 * options.ring_entries;
      features = "flags";
      for (std::size_t i = 0; i < count; ++i) {
        p.flags |= wanted[i].bit;
        features += std::string(" ") + wanted[i].name;
      }
      error = -io_uring_queue_init_params(options.ring_entries, &it, &p);
      if (error != EINVAL || count == 0) break;
    }
    if (error != 0) fail(error, "io_uring_setup");
    // flush() then only moves the tail
    for (unsigned i = 0; i < it.sq.ring_entries; ++i) it.sq.array[i] = i;
    bell = ::eventfd(0, EFD_CLOEXEC);
    if (bell < 0) {
      const int why = errno;
      io_uring_queue_exit(&it);
      fail(why, "eventfd");
    }
    enter_flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
    if ((it.features & feature_no_iowait) != 0) enter_flags |= enter_no_iowait;
  }
  ring(const ring&) = delete;
  ring& operator=(const ring&) = delete;
  ~ring() {
    io_uring_queue_exit(&it);
    ::close(bell);
  }

  void register_ring() {
    if (io_uring_register_ring_fd(&it) == 1) {
      enter_flags |= IORING_ENTER_REGISTERED_RING;
      features += ", registered ring";
    }
  }

  /// For tests: the kernel itself refuses some operations.
  void refuse(std::uint64_t operations) {
    if (operations == 0) return;
    std::vector<io_uring_restriction> allowed;
    for (unsigned op = 0; op < IORING_OP_LAST; ++op) {
      if ((operations >> op & 1) != 0) continue;
      io_uring_restriction r{};
      r.opcode = IORING_RESTRICTION_SQE_OP;
      r.sqe_op = static_cast<__u8>(op);
      allowed.push_back(r);
    }
    io_uring_restriction update{};
    update.opcode = IORING_RESTRICTION_REGISTER_OP;
    update.register_op = IORING_REGISTER_FILES_UPDATE;
    allowed.push_back(update);
    io_uring_restriction flags{};
    flags.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
    flags.sqe_flags = IOSQE_BUFFER_SELECT | IOSQE_FIXED_FILE;
    allowed.push_back(flags);
    // liburing 2.3 declares these two calls and does not export them.
    const auto call = [this](unsigned what, void* data, std::size_t count) {
      if (::syscall(__NR_io_uring_register, it.ring_fd, what, data, count) != 0)
        fail(errno, "io_uring_register");
    };
    call(IORING_REGISTER_RESTRICTIONS, allowed.data(), allowed.size());
    call(IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
  }

  /// Hands the queued entries to the kernel's view; how many it has not consumed.
  [[nodiscard]] unsigned flush() noexcept {
    io_uring_smp_store_release(it.sq.ktail, it.sq.sqe_tail);
    return it.sq.sqe_tail - IO_URING_READ_ONCE(*it.sq.khead);
  }

  [[nodiscard]] int enter(unsigned wait, const __kernel_timespec* limit) noexcept {
    io_uring_getevents_arg arg{};
    arg.sigmask_sz = _NSIG / 8;
    arg.ts = reinterpret_cast<std::uintptr_t>(limit);
    return io_uring_enter2(static_cast<unsigned>(it.enter_ring_fd), flush(), wait, enter_flags,
                           reinterpret_cast<sigset_t*>(&arg), sizeof arg);
  }

  io_uring it{};
  int bell = -1;
  unsigned enter_flags = 0;
  std::string features;
};

/// The kernel's side of one class of buffers.
struct buffer_ring {
  io_uring_buf_ring* shared = nullptr;
  std::size_t bytes = 0;
  int mask = 0;
  unsigned lent = 0;  // of the first ids
  ~buffer_ring() {
    if (shared != nullptr) ::munmap(shared, bytes);
  }
};

class uring_driver final : public io_driver {
 public:
  explicit uring_driver(const io_options& options) : io_driver(options), ring_(options) {
    for (unsigned cls = 0; cls < buffer_pool::classes && selects_; ++cls)
      selects_ = lend_buffers(cls);
    ring_.features += selects_ ? ", buffer rings" : ", no buffer rings";
    // of the same age as multishot receives: Linux 6.0
    multishot_ = selects_ && knows(IORING_OP_SEND_ZC);
    if (multishot_) ring_.features += ", multishot";
    if (options.direct_descriptors > 0) {
      const int error = -io_uring_register_files_sparse(&ring_.it, options.direct_descriptors);
      if (error != 0) fail(error, "io_uring_register files");
      ring_.features += ", direct descriptors";
    }
    ring_.register_ring();
    ring_.refuse(refused_operations.load());
    try_it();
  }

  void attach(core& c) override {
    home_ = &c;
    c.io = static_cast<io_driver*>(this);
  }

  const char* name() const noexcept override { return "uring"; }
  bool multishot() const noexcept override { return multishot_; }
  bool accepts_direct() const noexcept override { return options().direct_descriptors > 0; }
  std::string report() const override { return "io_uring, " + ring_.features; }

  void wake() noexcept override {
    const std::uint64_t one = 1;
    (void)!::write(ring_.bell, &one, sizeof one);
  }

  void poll(clock::time_point deadline) override {
    budget_ = ring_.it.cq.ring_entries / 2;
    listen_for_bell();
    if (cancels_missed_) send_missed_cancels();  // first: the backlog may never be empty
    while (!backlog_.empty()) {
      io_uring_sqe* const sqe = free_entry();
      if (sqe == nullptr) break;
      prepare(backlog_.pop(), *sqe);
    }
    const bool all_handed_over = backlog_.empty() && !cancels_missed_ && bell_armed_;
    const bool wait =
        deadline != clock::time_point::min() && all_handed_over && !completions_ready();
    if (wait || ring_.flush() > 0 || kernel_has_work()) enter(wait, deadline);
    reap();
  }

 private:
  // --- the ring ---

  /// One no-op under the filters and limits of this process: what cannot do that is not used.
  void try_it() {
    try_one([](io_uring_sqe* s) { io_uring_prep_nop(s); }, "io_uring no-op");
    // Without these two an operation could neither be ended nor fall back.
    try_one([](io_uring_sqe* s) { io_uring_prep_cancel64(s, wake_tag, 0); }, "io_uring cancel");
    wake();
    try_one([this](io_uring_sqe* s) { io_uring_prep_poll_add(s, ring_.bell, POLLIN); },
            "io_uring poll");
    (void)!::read(ring_.bell, &bell_count_, sizeof bell_count_);
  }

  template <typename Prepare>
  void try_one(Prepare prepare, const char* what) {
    io_uring_sqe* const sqe = io_uring_get_sqe(&ring_.it);
    prepare(sqe);
    sqe->user_data = ignore_tag;
    int n = 0;
    do {
      n = ring_.enter(1, nullptr);
    } while (n == -EINTR);
    if (n < 0) fail(-n, "io_uring_enter");
    io_uring_cqe* cqe = nullptr;
    if (io_uring_peek_cqe(&ring_.it, &cqe) != 0)
      fail(ENOSYS, "io_uring_enter (no completion came)");
    if (cqe->res < 0 && cqe->res != -ENOENT) fail(-cqe->res, what);  // there is nothing to cancel
    io_uring_cqe_seen(&ring_.it, cqe);
  }

  bool knows(int operation) noexcept {
    io_uring_probe* const probe = io_uring_get_probe_ring(&ring_.it);
    const bool known = probe != nullptr && io_uring_opcode_supported(probe, operation) != 0;
    io_uring_free_probe(probe);
    return known;
  }

  bool lend_buffers(unsigned cls) noexcept {
    buffer_ring& r = buffer_rings_[cls];
    const unsigned count = pool().for_ring(cls);
    r.bytes = count * sizeof(io_uring_buf);
    void* const memory =
        ::mmap(nullptr, r.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return false;
    r.shared = static_cast<io_uring_buf_ring*>(memory);
    r.mask = io_uring_buf_ring_mask(count);
    io_uring_buf_reg reg{};
    reg.ring_addr = reinterpret_cast<std::uintptr_t>(memory);
    reg.ring_entries = count;
    reg.bgid = static_cast<__u16>(cls);
    if (io_uring_register_buf_ring(&ring_.it, &reg, 0) != 0) return false;  // before Linux 5.19
    pool().lend_to_ring(cls);
    return lend_more(cls);
  }

  // The kernel takes the buffers in turn, so all that it has are touched. It gets as many as were
  // ever needed at once, more or less: they stay in the cache, and the others take no memory.
  bool lend_more(unsigned cls) noexcept override {
    static constexpr unsigned at_first[] = {64, 4};
    buffer_ring& r = buffer_rings_[cls];
    const unsigned before = r.lent;
    r.lent = std::min(std::max(2 * before, at_first[cls]), pool().for_ring(cls));
    for (unsigned id = before; id < r.lent; ++id) provide(cls, static_cast<std::uint16_t>(id));
    lent_to_ring(cls, r.lent - before);
    return r.lent > before;
  }

  void provide(unsigned cls, std::uint16_t id) noexcept override {
    if (!pool().in_ring(cls, id)) {
      pool().put(cls, id);
      return;
    }
    buffer_ring& r = buffer_rings_[cls];
    io_uring_buf_ring_add(r.shared, pool().at(cls, id), static_cast<unsigned>(pool().bytes(cls)),
                          id, r.mask, 0);
    io_uring_buf_ring_advance(r.shared, 1);
  }

  [[nodiscard]] bool completions_ready() const noexcept { return io_uring_cq_ready(&ring_.it) > 0; }
  [[nodiscard]] bool kernel_has_work() const noexcept {
    return (IO_URING_READ_ONCE(*ring_.it.sq.kflags) &
            (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
  }

  void enter(bool wait, clock::time_point deadline) noexcept {
    __kernel_timespec limit{};
    const bool limited = wait && deadline != clock::time_point::max();
    if (limited) {
      const auto left = std::max(deadline - home_->now(), clock::duration::zero());
      limit.tv_sec = left / std::chrono::seconds(1);
      limit.tv_nsec = (left % std::chrono::seconds(1)).count();
    }
    ++system_calls_;
    const int n = ring_.enter(wait ? 1 : 0, limited ? &limit : nullptr);
    // Out of memory for now (EAGAIN) or completions to be taken first (EBUSY): what was not taken
    // is tried next turn.
    if (n >= 0 || n == -ETIME || n == -EINTR || n == -EAGAIN || n == -EBUSY) return;
    std::fprintf(stderr, "corespun: %s\n",
                 explain(system_error_code(-n), "io_uring_enter of a running core").c_str());
    std::abort();
  }

  io_uring_sqe* free_entry() noexcept {
    if (budget_ == 0) return nullptr;
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_.it);
    if (sqe == nullptr) {
      enter(false, {});
      sqe = io_uring_get_sqe(&ring_.it);
    }
    if (sqe != nullptr) --budget_;
    return sqe;
  }

  void listen_for_bell() noexcept {
    if (bell_armed_) return;
    io_uring_sqe* const sqe = free_entry();
    if (sqe == nullptr) return;  // poll() does not wait then, and tries again
    if (bell_by_poll_) {
      io_uring_prep_poll_add(sqe, ring_.bell, POLLIN);
    } else {
      io_uring_prep_read(sqe, ring_.bell, &bell_count_, sizeof bell_count_, 0);
    }
    sqe->user_data = wake_tag;
    bell_armed_ = true;
  }

  // The bell is a blocking eventfd: a read of the ring waits, a read by call follows a poll that
  // said there is something.
  void bell_rang(int result) noexcept {
    bell_armed_ = false;
    if (bell_by_poll_) {
      if (result < 0) return;
      ++system_calls_;
      (void)!::read(ring_.bell, &bell_count_, sizeof bell_count_);
    } else if (result < 0) {
      bell_by_poll_ = true;  // a restricted ring that may not read
    }
  }

  void reap() noexcept {
    io_uring_cq& cq = ring_.it.cq;
    unsigned head = *cq.khead;
    while (head != io_uring_smp_load_acquire(cq.ktail)) {
      const io_uring_cqe cqe = cq.cqes[head & cq.ring_mask];
      io_uring_smp_store_release(cq.khead, ++head);
      if (cqe.user_data == wake_tag) {
        bell_rang(cqe.res);
      } else if (op* const o = ops_.find(cqe.user_data); o != nullptr) {
        answered(*o, cqe.res, cqe.flags);
      }
    }
  }

  // --- operations ---

  void answered(op& o, int result, std::uint32_t flags) noexcept {
    flags &= flags_of_kernel | ~std::uint32_t{0} << buffer_shift;
    if ((flags & flag_buffer) != 0) {
      ++buffers_away_;
      if (o.buffers != 0) flags |= flag_large;
    }
    if ((flags & flag_more) != 0) {
      completed_many(o, result, flags);
      return;
    }
    o.where = op::place::nowhere;
    if (o.waits_readiness) {
      o.waits_readiness = false;
      if (result >= 0) {
        again(o);
        return;
      }
    } else if (refused(result) && may_fall_back(o)) {
      o.by_readiness = true;
      again(o);
      return;
    }
    if (o.stop_asked && refused(result)) result = -ECANCELED;
    if (o.code == op_code::close && o.on->direct && refused(result)) {
      close_now(o.fd, true);  // a ring that may not close: else the slot would be lost
      result = 0;
    }
    completed(o, result, flags);
  }

  // What the kernel says to an operation that it does not know, that is restricted, or that
  // (EAGAIN) does not wait on a non-blocking descriptor. Where the error is the caller's own, the
  // system call says it again.
  [[nodiscard]] static bool refused(int result) noexcept {
    return result == -EINVAL || result == -EOPNOTSUPP || result == -EACCES || result == -EAGAIN ||
           result == -ENOSYS;
  }
  [[nodiscard]] static bool may_fall_back(const op& o) noexcept {
    return !o.by_readiness && !o.stop_asked && o.code != op_code::poll &&
           (o.on == nullptr || !o.on->direct);
  }

  // An operation that was asked to end meanwhile gets this one chance and does not wait anew:
  // nobody would ask again.
  void again(op& o) noexcept {
    attempt_flags_ = 0;
    const bool last = o.stop_asked;
    int result = last ? attempt(o) : start(o);
    if (last && result == -EAGAIN) result = -ECANCELED;
    if (result != pending) completed(o, result, attempt_flags_);
  }

  int start(op& o) noexcept override {
    const bool has_number = o.on == nullptr || !o.on->direct;
    // The kernel shuts down on a worker thread, which costs more than the call.
    if (o.code == op_code::shutdown && has_number) return attempt(o);
    // The kernel would take the connection from the queue, find no slot and drop it.
    const bool no_slot = accepts_direct() && direct_in_use_ >= options().direct_descriptors;
    if (o.code == op_code::accept && no_slot) return -ENFILE;
    if (o.code == op_code::recv_lease && !selects_) o.by_readiness = true;
    if (o.by_readiness) {
      if (o.on != nullptr && o.on->what == file::kind::regular && o.code != op_code::close)
        return start_on_helper(o);
      if (o.on != nullptr && o.on->what == file::kind::stream) make_non_blocking(*o.on);
      const int result = attempt(o);
      if (result != -EAGAIN) return result;
      o.waits_readiness = true;
    }
    io_uring_sqe* const sqe = backlog_.empty() ? free_entry() : nullptr;
    if (sqe != nullptr) {
      prepare(o, *sqe);
    } else {
      o.where = op::place::backlog;
      backlog_.push(o);
    }
    return pending;
  }

  void prepare(op& o, io_uring_sqe& sqe) noexcept {
    const auto left =
        static_cast<unsigned>(std::min<std::size_t>(o.length - (o.whole ? o.moved : 0), INT_MAX));
    const int all = o.whole ? MSG_WAITALL : 0;  // the kernel goes on after a short transfer
    const bool direct = o.on != nullptr && o.on->direct;
    if (o.waits_readiness) {
      io_uring_prep_poll_add(&sqe, o.fd, o.reads() ? POLLIN : POLLOUT);
    } else {
      switch (o.code) {
        case op_code::read:
          io_uring_prep_read(&sqe, o.fd, o.address, left, static_cast<__u64>(-1));
          break;
        case op_code::write:
          io_uring_prep_write(&sqe, o.fd, o.address, left, static_cast<__u64>(-1));
          break;
        case op_code::recv: io_uring_prep_recv(&sqe, o.fd, o.address, left, all); break;
        case op_code::recv_lease:
          io_uring_prep_recv(&sqe, o.fd, nullptr, 0, 0);
          sqe.flags |= IOSQE_BUFFER_SELECT;
          sqe.buf_group = o.buffers;
          if (o.many != nullptr) sqe.ioprio |= IORING_RECV_MULTISHOT;
          break;
        case op_code::send:
          io_uring_prep_send(&sqe, o.fd, o.address, left, MSG_NOSIGNAL | all);
          break;
        case op_code::send_parts:
          io_uring_prep_sendmsg(&sqe, o.fd, static_cast<msghdr*>(o.address),
                                static_cast<unsigned>(MSG_NOSIGNAL | all));
          break;
        case op_code::accept: prepare_accept(o, sqe); break;
        case op_code::connect:
          io_uring_prep_connect(&sqe, o.fd, static_cast<const sockaddr*>(o.address),
                                static_cast<socklen_t>(o.length));
          break;
        case op_code::poll: io_uring_prep_poll_add(&sqe, o.fd, o.events); break;
        case op_code::shutdown: io_uring_prep_shutdown(&sqe, o.fd, SHUT_WR); break;
        case op_code::close:
          if (direct) {
            io_uring_prep_close_direct(&sqe, static_cast<unsigned>(o.fd));
          } else {
            io_uring_prep_close(&sqe, o.fd);
          }
          break;
      }
      // A request seldom waits in the socket when its answer has just been sent: do not look first,
      // wait.
      if ((o.code == op_code::recv || o.code == op_code::recv_lease) && !o.on->more_to_read) {
        sqe.ioprio |= IORING_RECVSEND_POLL_FIRST;
      }
    }
    if (direct && o.code != op_code::close) sqe.flags |= IOSQE_FIXED_FILE;
    sqe.user_data = slab<op>::tag(o);
    o.where = op::place::kernel;
    o.cancel_sent = false;
  }

  void prepare_accept(const op& o, io_uring_sqe& sqe) noexcept {
    // Direct slots are neither inherited nor blocking, and the kernel rejects flags that say so.
    if (accepts_direct()) {
      if (o.many != nullptr) {
        io_uring_prep_multishot_accept_direct(&sqe, o.fd, nullptr, nullptr, 0);
      } else {
        io_uring_prep_accept_direct(&sqe, o.fd, nullptr, nullptr, 0, 0);
        // liburing 2.3 would add one, which asks for an ordinary descriptor
        sqe.file_index = IORING_FILE_INDEX_ALLOC;
      }
    } else if (o.many != nullptr) {
      io_uring_prep_multishot_accept(&sqe, o.fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    } else {
      io_uring_prep_accept(&sqe, o.fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    }
  }

  void close_now(int fd, bool direct) noexcept override {
    if (!direct) {
      ++system_calls_;
      ::close(fd);
      return;
    }
    // Rare, and the ring may be full: by registration instead of an operation.
    int none = -1;
    ++system_calls_;
    (void)io_uring_register_files_update(&ring_.it, static_cast<unsigned>(fd), &none, 1);
  }

  void stop(op& o) noexcept override {
    if (o.where == op::place::backlog) {
      backlog_.remove(o);
      completed(o, -ECANCELED, 0);
    } else if (!o.cancel_sent && !send_cancel(o)) {
      cancels_missed_ = true;
    }
  }

  bool send_cancel(op& o) noexcept {
    io_uring_sqe* const sqe = free_entry();
    if (sqe == nullptr) return false;
    io_uring_prep_cancel64(sqe, slab<op>::tag(o), 0);
    sqe->user_data = ignore_tag;
    o.cancel_sent = true;
    return true;
  }

  // Rare: the ring was full when the cancel was asked for.
  void send_missed_cancels() noexcept {
    cancels_missed_ = false;
    ops_.for_each([&](op& o) {
      if (o.stop_asked && o.where == op::place::kernel && !o.cancel_sent && !send_cancel(o))
        cancels_missed_ = true;
    });
  }

  ring ring_;
  std::array<buffer_ring, buffer_pool::classes> buffer_rings_;
  bool selects_ = true;  // the kernel picks buffers
  bool multishot_ = false;
  bool bell_armed_ = false;
  bool bell_by_poll_ = false;
  bool cancels_missed_ = false;
  std::uint64_t bell_count_ = 0;
  unsigned budget_ = 0;  // entries that may still be queued in this turn
  op_queue backlog_;  // found no submission slot
};

}  // namespace

std::unique_ptr<driver> make_uring_driver(const io_options& options) {
  return std::make_unique<uring_driver>(options);
}

}  // namespace corespun::detail
