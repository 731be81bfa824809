// Long, since it is all that the drivers have in common, in the order of the header: operations,
// files, buffers, files on helper threads.

#include <corespun/io/detail/io_driver.hpp>

#include <corespun/io/detail/attempt.hpp>
#include <corespun/io/detail/error.hpp>
#include <corespun/io/detail/multishot.hpp>
#include <corespun/io/detail/recv.hpp>
#include <corespun/io/lease.hpp>
#include <corespun/runtime/detail/fatal.hpp>
#include <corespun/runtime/detail/machine.hpp>

#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <new>
#include <system_error>

namespace corespun {

void lease::give_back() noexcept { owner_->give_back_buffer(buffer_); }

namespace detail {

io_driver& io_driver::of(core& c) {
  if (c.io == nullptr) {
    caller_bug("an I/O operation in a runtime whose driver is " + std::string(c.backend().name()),
               "start it with corespun::run, or set runtime_options::driver to io_drivers()");
  }
  return *static_cast<io_driver*>(c.io);
}

// --- operations ---

namespace {

/// It shall begin anew on another core (recv.hpp).
bool asked_to_leave(const op& o) noexcept {
  return o.code == op_code::recv_lease && o.on->leaves_for != nullptr;
}

/// Neither its task nor its descriptor has given it up.
bool wanted(const op& o) noexcept {
  return !o.cancel_asked && (o.on == nullptr || !o.on->closing) && !asked_to_leave(o);
}

bool moves_bytes(op_code code) noexcept {
  return code == op_code::read || code == op_code::write || code == op_code::recv ||
         code == op_code::send || code == op_code::send_parts;
}

}  // namespace

file::where file::hold(io_driver& d, std::uint32_t wanted) noexcept {
  const auto is_wanted = [this, wanted] { return wanted == 0 || generation == wanted; };
  const auto here = reinterpret_cast<std::uintptr_t>(&d);
  std::uintptr_t at = at_.load(std::memory_order_acquire);
  while (true) {
    if (at == 0) return where::closed;
    if ((at & holders) != 0) {
      if ((at & ~(holders | glanced)) != here) return where::elsewhere;
      if (!is_wanted()) return where::closed;
      at_.store(at + 1, std::memory_order_relaxed);
      return where::here;
    }
    if ((at & glanced) != 0) {  // by another core, and not for long
      at = at_.load(std::memory_order_acquire);
    } else if (at_.compare_exchange_weak(at, at | glanced, std::memory_order_acquire)) {  // F1
      if (!is_wanted()) {
        std::uintptr_t seen = at | glanced;  // if not, there is another one again
        (void)at_.compare_exchange_strong(seen, at, std::memory_order_release);
        return where::closed;
      }
      at_.store(here + 1, std::memory_order_release);  // F1: it may be new
      if (at != here) d.file_came(*this, *reinterpret_cast<io_driver*>(at));
      return where::here;
    }
  }
}

bool file::glance(const io_driver& d) noexcept {
  const auto here = reinterpret_cast<std::uintptr_t>(&d);
  std::uintptr_t at = at_.load(std::memory_order_acquire);
  while ((at & ~(holders | glanced)) == here) {
    if ((at & glanced) != 0) {  // by another core, which may leave it here
      at = at_.load(std::memory_order_acquire);
    } else if (at_.compare_exchange_weak(at, at | glanced, std::memory_order_acquire)) {  // F1
      return true;
    }
  }
  return false;
}

op& io_driver::make_op(op_code code, file& f) {
  op& o = make_op(code);
  op*& slot = f.slot(o.reads());
  if (slot != nullptr) {
    caller_bug(std::string("two tasks ") + (o.reads() ? "read from" : "write to") +
                   " the same descriptor at once",
               "let one task own each direction of a stream");
  }
  slot = &o;
  o.on = &f;
  o.fd = f.fd;
  return o;
}

bool io_driver::submit(op& o) noexcept {
  attempt_flags_ = 0;
  int result = 0;
  if (!wanted(o)) {
    result = -ECANCELED;
  } else if (o.length > 0 || !moves_bytes(o.code)) {  // nothing to move needs nobody to wait for
    result = start(o);
  }
  if (result == pending) return false;
  std::uint32_t flags = attempt_flags_;
  if (o.many != nullptr) {
    completed_many(o, result, flags);
    return true;
  }
  if (!settle(o, result, flags)) return false;
  end(o, result, flags, true);
  return true;
}

void io_driver::completed(op& o, int result, std::uint32_t flags) noexcept {
  if (o.many != nullptr || o.abandoned) {
    completed_many(o, result, flags);
    return;
  }
  o.where = op::place::nowhere;
  if (settle(o, result, flags)) end(o, result, flags, false);
}

bool io_driver::settle(op& o, int& result, std::uint32_t& flags) noexcept {
  while (goes_on(o, result)) {
    attempt_flags_ = 0;
    result = start(o);
    if (result == pending) return false;
    flags = attempt_flags_;
  }
  if (result == -ENOBUFS && o.code == op_code::recv_lease) {
    if (wanted(o)) {
      starve(o);
      return false;
    }
    result = -ECANCELED;
  }
  return true;
}

/// Whether the operation has to be started again for what is left of it; `result` becomes that of
/// the whole.
bool io_driver::goes_on(op& o, int& result) noexcept {
  if (result == -EINTR) {
    if (!wanted(o)) result = -ECANCELED;
    return wanted(o);
  }
  if (result == -ENOBUFS && o.code == op_code::recv_lease && o.buffers != 0) {
    if (!refilled(o, 1)) o.buffers = 0;  // no large buffer is free: a small one will do
    return wanted(o);
  }
  if (!o.whole || result < 0) return false;
  if (result == 0 && o.length > o.moved) {
    result = -own_error(errc::end_of_stream);
    return false;
  }
  o.moved += static_cast<std::size_t>(result);
  if (o.moved >= o.length) {
    result = 0;
    return false;
  }
  if (o.code == op_code::send_parts) {
    use_up(*static_cast<msghdr*>(o.address), static_cast<std::size_t>(result));
  } else {
    o.address = static_cast<std::byte*>(o.address) + result;
  }
  if (!wanted(o)) result = -ECANCELED;
  return wanted(o);
}

void io_driver::end(op& o, int result, std::uint32_t flags, bool inline_end) noexcept {
  file* const f = o.on;
  root* const task = o.task;
  const bool leaves = f != nullptr && asked_to_leave(o);
  const bool stopped = result == -ECANCELED && (o.cancel_asked || (leaves && task->cancelled()));
  if (f != nullptr) {
    op*& slot = f->slot(o.reads());
    if (slot == &o) slot = nullptr;
    if (result == -ECANCELED && f->closing) result = -own_error(errc::closed);
    if (o.code == op_code::recv || o.code == op_code::recv_lease)
      f->more_to_read = (flags & flag_nonempty) != 0;
    if (o.code == op_code::recv_lease) learn_size(o, result, flags);
  }
  const op_code code = o.code;
  core* const there = leaves ? std::exchange(f->leaves_for, nullptr) : nullptr;
  ending(o);
  ops_.give_back(o);
  if (code == op_code::recv_lease && (flags & flag_buffer) == 0) feed_starved();

  if (code == op_code::close) {
    closed(*f, result);
    return;
  }
  const bool closing = f != nullptr && f->closing;
  if (task != nullptr) {
    task->op_result = result;
    task->op_flags = flags;
  }
  if (leaves && !stopped) {
    static_cast<recv_awaiter*>(task->what())->leave(*task, *there);
  } else {
    if (f != nullptr) f->let_go();
    if (task != nullptr && stopped) {
      task->stop();
    } else if (task != nullptr && !inline_end) {
      task->complete();
    }
  }
  if (closing) close_if_idle(*f);
}

void io_driver::completed_many(op& o, int result, std::uint32_t flags) noexcept {
  const bool final = (flags & flag_more) == 0;
  o.where = op::place::nowhere;
  if (o.code == op_code::recv_lease) learn_size(o, result, flags);
  if (final && result == -ENOBUFS && o.stop_asked) result = -ECANCELED;
  if (final && result == -ENOBUFS && !o.abandoned && wanted(o)) {
    if (o.buffers != 0) {
      if (!refilled(o, 1)) o.buffers = 0;  // no large buffer is free: a small one will do
      attempt_flags_ = 0;
      result = start(o);
      if (result != pending) completed_many(o, result, attempt_flags_);
    } else {
      starve(o);  // armed again when a buffer comes back
    }
    return;
  }
  if (!final) o.where = op::place::kernel;
  sink* const listener = o.many;
  file& f = *o.on;
  const op_code code = o.code;
  if (final) {
    op*& slot = f.slot(o.reads());
    if (slot == &o) slot = nullptr;
    if (result == -ECANCELED && f.closing) result = -own_error(errc::closed);
    ops_.give_back(o);
  }
  const bool closing = f.closing;  // the listener may let go of the file
  if (listener != nullptr) {
    listener->completed(result, flags, final);
  } else {
    drop(code, result, flags);
  }
  if (final && code == op_code::recv_lease && (flags & flag_buffer) == 0) feed_starved();
  if (final && closing) close_if_idle(f);
}

bool io_driver::wants_other_buffers(const op& o) noexcept {
  const unsigned cls = o.on->buffers;
  return o.code == op_code::recv_lease && cls != o.buffers && (cls == 0 || refilled(o, cls));
}

void io_driver::abandon(op& o) noexcept {
  o.many = nullptr;
  o.abandoned = true;
  request_stop(o);
}

void io_driver::drop(op_code code, int result, std::uint32_t flags) noexcept {
  if (code == op_code::accept && result >= 0) {
    close_stray(result, accepts_direct());
  } else if ((flags & flag_buffer) != 0) {
    give_back_buffer(flags);
  }
}

void io_driver::cancel_for_task(op& o) noexcept {
  if (o.cancel_asked) return;
  o.cancel_asked = true;
  request_stop(o);
}

void io_driver::request_stop(op& o) noexcept {
  o.stop_asked = true;
  switch (o.where) {
    case op::place::starved:
      starved_.remove(o);
      completed(o, -ECANCELED, 0);
      break;
    case op::place::helper:
      break;  // a read of a file on a helper thread cannot be interrupted, and ends by itself
    default: stop(o);
  }
}

void io_driver::cancel_all() {
  ops_.for_each([this](op& o) {
    if (o.many != nullptr) {
      end_early(o);
    } else if (o.code != op_code::close) {
      cancel_for_task(o);
    }
  });
}

// Wakes go by number from table to table: the bells of all cores must be in each.
void io_driver::all_attached() {
  if (options_.file_table_per_core && ::unshare(CLONE_FILES) != 0) {
    throw std::system_error(errno, std::generic_category(),
                            "unshare of the file tables, which a container's filter may refuse; "
                            "io_options::direct_descriptors needs none");
  }
}

// --- files ---

file& io_driver::open_file(int fd, file::kind what, bool direct) {
  file* const f = [this] {
    const std::lock_guard hold(files_lock_);
    return &files_.take();
  }();
  f->origin = this;
  f->fd = fd;
  f->what = what;
  f->direct = direct;
  f->stays = direct || options_.file_table_per_core;
  f->place(*this);
  if (f->stays) (void)f->hold(*this);  // for good
  if (direct) direct_in_use_.fetch_add(1, std::memory_order_relaxed);
  return *f;
}

file* io_driver::try_open_file(int fd, file::kind what, bool direct) noexcept {
  try {
    return &open_file(fd, what, direct);
  } catch (const std::bad_alloc&) {
    close_stray(fd, direct);
    return nullptr;
  }
}

// Elsewhere the number would be that of another descriptor; it is lost until the core ends.
void io_driver::close_stray(int fd, bool direct) noexcept {
  if (!connections_stay() || core::current() == home_) close_now(fd, direct);
}

void io_driver::make_non_blocking(file& f) noexcept {
  const int flags = ::fcntl(f.fd, F_GETFL);
  if ((flags & O_NONBLOCK) != 0) return;
  f.restore_blocking = ::fcntl(f.fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

void io_driver::make_blocking_again(const file& f) noexcept {
  if (f.restore_blocking) ::fcntl(f.fd, F_SETFL, ::fcntl(f.fd, F_GETFL) & ~O_NONBLOCK);
}

void io_driver::use_multishot(file& f, op_code code, std::size_t ahead) {
  if (f.many != nullptr || !multishot()) return;
  if (f.hold(*this) != file::where::here) {
    caller_bug("use_multishot on a stream that another core uses at present",
               "call it in the task that receives, before it does");
  }
  try {
    f.many = new multishot_queue(f, *this, code, ahead);
  } catch (...) {
    f.let_go();
    throw;
  }
}

void io_driver::close_file(file& f, root* waiter) noexcept {
  f.closing = true;
  f.closer = waiter;
  f.held = true;  // what ends now must not close it under our feet
  delete std::exchange(f.many, nullptr);
  if (f.reading != nullptr) request_stop(*f.reading);
  if (f.writing != nullptr) request_stop(*f.writing);
  f.held = false;
  close_if_idle(f);
}

void io_driver::close_if_idle(file& f) noexcept {
  if (f.reading != nullptr || f.writing != nullptr || f.held) return;
  f.held = true;
  forget_file(f);
  make_blocking_again(f);
  try {
    op& o = make_op(op_code::close);
    o.on = &f;
    o.fd = f.fd;
    const int result = start(o);
    if (result != pending) end(o, result, 0, false);
  } catch (const std::bad_alloc&) {
    close_now(f.fd, f.direct);
    closed(f, 0);
  }
}

void io_driver::close_late(file& f) noexcept {
  delete std::exchange(f.many, nullptr);
  if (!f.stays) {
    make_blocking_again(f);
    close_now(f.fd, false);
  }
  closed(f, 0);
}

void io_driver::give_back_file(file& f) noexcept {
  io_driver& origin = *f.origin;
  f.nowhere();
  const std::lock_guard hold(origin.files_lock_);
  origin.files_.give_back(f);
}

void io_driver::closed(file& f, int result) noexcept {
  root* const closer = f.closer;
  if (f.direct) direct_in_use_.fetch_sub(1, std::memory_order_relaxed);
  give_back_file(f);
  if (closer == nullptr) return;
  closer->op_result = result;
  closer->complete_from_any_thread();
}

// --- buffers ---

void io_driver::starve(op& o) noexcept {
  o.where = op::place::starved;
  // The last lease may have come back between the kernel's answer and now: then nobody else would
  // feed this one.
  const bool fed = refilled(o, 0);
  starved_.push(o);
  if (fed) feed_starved();
}

void io_driver::give_back_buffer(std::uint32_t buffer) noexcept {
  if (core::current() == home_) {
    return_buffer(buffer);
  } else {
    return_buffer_from_elsewhere(buffer);
  }
}

void io_driver::return_buffer(std::uint32_t buffer) noexcept {
  const unsigned cls = class_of(buffer);
  const auto id = static_cast<std::uint16_t>(buffer >> buffer_shift);
  --buffers_away_;
  provide(cls, id);
  if (pool_.in_ring(cls, id)) ++ring_free_[cls];
  if (cls == 0) feed_starved();
}

// The oldest gets the buffer; one that ends without taking it, or waits without needing it, passes
// it on.
void io_driver::feed_starved() noexcept {
  feed_again_ = true;
  if (feeding_) return;
  feeding_ = true;
  while (feed_again_ && !starved_.empty()) {
    feed_again_ = false;
    op& o = starved_.pop();
    o.where = op::place::nowhere;
    attempt_flags_ = 0;
    const bool kernel_takes = multishot() && !o.by_readiness;
    const int result = start(o);
    if (result != pending) {
      completed(o, result, attempt_flags_);
    } else if (!kernel_takes) {
      feed_again_ = true;
    }
  }
  feeding_ = false;
}

// B1: a thread that is not the core pushes the buffer on a stack and posts one mail; the core takes
// the stack whole.

void io_driver::return_buffer_from_elsewhere(std::uint32_t buffer) noexcept {
  const unsigned cls = class_of(buffer);
  std::byte* const memory = pool_.at(cls, buffer >> buffer_shift);
  returned* top = returned_.load(std::memory_order_relaxed);
  auto* const r = ::new (memory) returned{top, buffer};
  while (!returned_.compare_exchange_weak(top, r, std::memory_order_acq_rel,
                                          std::memory_order_relaxed))
    r->next = top;
  // From here on the buffer is the core's. Whoever found the stack empty posts; the core empties it
  // before that can happen again.
  if (top == nullptr) home_->post(returned_mail_.to<&io_driver::take_returned>(*this));
}

void io_driver::take_returned() noexcept {
  returned* r = returned_.exchange(nullptr, std::memory_order_acq_rel);
  while (r != nullptr) {
    const std::uint32_t buffer = r->buffer;
    r = r->next;
    return_buffer(buffer);
  }
}

// A stream whose message filled its buffer gets large ones; after eight short messages it gives
// them up. What is armed is armed anew for that (multishot.cpp).
void io_driver::learn_size(op& o, int result, std::uint32_t flags) noexcept {
  file& f = *o.on;
  if ((flags & flag_buffer) != 0) took_buffer(flags);
  if (result <= 0) return;
  const auto bytes = static_cast<std::size_t>(result);
  if (bytes == pool_.bytes(o.buffers)) {
    f.buffers = 1;
    f.small_in_row = 0;
  } else if (f.buffers != 0 && bytes <= pool_.bytes(0)) {
    if (++f.small_in_row >= 8) f.buffers = f.small_in_row = 0;
  } else {
    f.small_in_row = 0;
  }
}

// --- regular files by helper threads ---

namespace {

struct file_job : job {
  io_driver* driver;
  op* what;
  int result;
  member_mail<file_job> done;
  void (*deliver)(io_driver&, op&, int) noexcept;

  void tell() noexcept {
    deliver(*driver, *what, result);
    delete this;
  }
};

}  // namespace

int io_driver::start_on_helper(op& o) noexcept {
  if (options_.file_table_per_core) return -EOPNOTSUPP;  // a helper does not know the number
  auto* const j = new (std::nothrow) file_job;
  if (j == nullptr) return -ENOMEM;
  j->driver = this;
  j->what = &o;
  j->deliver = [](io_driver& d, op& ended, int result) noexcept { d.completed(ended, result, 0); };
  j->run = [](job& base) noexcept {
    auto& self = static_cast<file_job&>(base);
    const op& todo = *self.what;
    const ssize_t n = todo.reads() ? ::read(todo.fd, todo.address, todo.length - todo.moved)
                                   : ::write(todo.fd, todo.address, todo.length - todo.moved);
    self.result = n < 0 ? -errno : static_cast<int>(n);
    self.driver->home().post(self.done.to<&file_job::tell>(self));
  };
  o.where = op::place::helper;
  try {
    home_->all().pool.submit(*j);
  } catch (const std::exception&) {
    delete j;
    return -ENOMEM;
  }
  return pending;
}

}  // namespace detail
}  // namespace corespun
