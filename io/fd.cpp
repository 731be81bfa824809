#include <corespun/io/fd.hpp>

#include <corespun/io/detail/multishot.hpp>
#include <corespun/runtime/detail/machine.hpp>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <iterator>
#include <new>

namespace corespun {
namespace detail {

const wait_kind& op_awaiter::kind_of(op_code code) noexcept {
  static constexpr auto named = [](const char* name) {
    return wait_kind{name,
                     [](root&, void* self) noexcept { static_cast<op_awaiter*>(self)->cancel(); }};
  };
  static constexpr wait_kind kinds[] = {named("read"),     named("write"),   named("recv"),
                                        named("recv"),     named("send"),    named("send"),
                                        named("accept"),   named("connect"), named("a descriptor"),
                                        named("shutdown"), named("close")};
  static_assert(std::size(kinds) == static_cast<std::size_t>(op_code::close) + 1);
  return kinds[static_cast<std::size_t>(code)];
}

void op_awaiter::cancel() noexcept { driver_->cancel_for_task(*op_); }

void op_awaiter::bound_elsewhere() {
  caller_bug(
      "a bound task uses a descriptor that is on another core, and that cannot come: it is in "
      "use there, or in a table of that core",
      "keep both directions in tasks of one core, or let them move (resume_anywhere)");
}

bool op_awaiter::take_from(file& f, std::coroutine_handle<> leaf, root& task, void* awaiter,
                           io_driver*& from) {
  return f.many->wait(leaf, task, awaiter, from);
}

bool op_awaiter::is_settled(const file& f, const io_driver& here) noexcept {
  return f.many->is_settled_at(here);
}
void op_awaiter::settle(file& f, io_driver& here) noexcept { f.many->settle(here); }

op& transfer_awaiter::fill(io_driver& d) const {
  op& o = d.make_op(code_, *file_);
  o.address = address_;
  o.length = length_;
  o.whole = whole_;
  return o;
}

op& ready_awaiter::fill(io_driver& d) const {
  op& o = d.make_op(op_code::poll);
  o.fd = fd_;
  o.events = writable_ ? POLLOUT : POLLIN;
  return o;
}

// Closing cannot be cancelled, and does not take long.
const wait_kind close_awaiter::kind{"close", nullptr};

void close_awaiter::begin() noexcept {
  if (file_ == nullptr) {
    task_->op_result = 0;
    task_->complete();
    return;
  }
  file& f = *std::exchange(file_, nullptr);
  f.closer = task_;
  f.close_there();
}

close_awaiter::~close_awaiter() {
  if (file_ != nullptr) fd dropped(*file_);  // never awaited
}

}  // namespace detail

fd::~fd() {
  if (file_ != nullptr) file_->close_there();
}

int fd::native_handle() const noexcept {
  if (file_ == nullptr || file_->direct) return -1;
  if (file_->stays && detail::core::current() != &file_->driver().home()) return -1;
  return file_->fd;
}

void detail::file::close_there() noexcept {
  core* const here = core::current();
  if (here != nullptr && here->io != nullptr) {
    io_driver& d = io_driver::of(*here);
    if (here->is_beside(origin->home()) && hold(d) == where::here) {
      d.close_file(*this, closer);
      return;
    }
  }
  // Nobody else has the file any more, so its mail is free. Until it comes there the file may have
  // moved on with an operation that still was to end.
  driver().home().post(mail.to<&file::close_on_arrival>(*this));
}

void detail::file::close_on_arrival() noexcept {
  origin->home().all().ended ? driver().close_late(*this) : close_there();
}

namespace {

bool is_tcp(int socket) noexcept {
  int protocol = 0;
  socklen_t size = sizeof protocol;
  return detail::sys().option(socket, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 &&
         protocol == IPPROTO_TCP;
}

}  // namespace

result<fd> fd::adopt(int native) {
  mode_t mode = 0;
  if (detail::sys().mode(native, mode) != 0) return std::unexpected(system_error_code(errno));
  detail::core* const here = detail::core::current();
  if (here == nullptr)
    detail::caller_bug("fd::adopt on a thread that is no core", "adopt inside a task");
  auto& driver = detail::io_driver::of(*here);
  const auto what = S_ISSOCK(mode)                   ? detail::file::kind::socket
                    : S_ISREG(mode) || S_ISBLK(mode) ? detail::file::kind::regular
                                                     : detail::file::kind::stream;
  try {
    detail::file& f = driver.open_file(native, what);
    driver.adopted(f);
    f.short_is_empty = what == detail::file::kind::socket && is_tcp(native);
    return fd(f);
  } catch (const std::bad_alloc&) {
    return std::unexpected(system_error_code(ENOMEM));
  }
}

}  // namespace corespun
