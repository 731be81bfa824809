// epoll driver: edge-triggered readiness, then the system call.
//
// A file is registered when an operation first has to wait, for reading, and for writing when a
// write first has to wait; its flags in_ready and out_ready then follow the edges. A read that
// returns less than asked for has drained a TCP socket, so the next one waits for the edge without
// trying (epoll(7)); other kinds keep messages apart, and after a hang-up there will be no edge, so
// there it always tries.

#include <corespun/io/detail/epoll_driver.hpp>

#include <corespun/io/detail/attempt.hpp>
#include <corespun/io/detail/io_driver.hpp>
#include <corespun/runtime/result.hpp>

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <unordered_map>

namespace corespun::detail {
namespace {

constexpr std::uint32_t always = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET;

std::system_error cannot(const char* call) {
  const std::error_code error = system_error_code(errno);
  return std::system_error(error, explain(error, call));
}

class owned_fd {
 public:
  owned_fd(int fd, const char* call) : fd_(fd) {
    if (fd < 0) throw cannot(call);
  }
  owned_fd(const owned_fd&) = delete;
  owned_fd& operator=(const owned_fd&) = delete;
  ~owned_fd() { ::close(fd_); }
  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_;
};

class epoll_driver final : public io_driver {
 public:
  epoll_driver(const io_options& options, std::string why)
      : io_driver(options),
        why_(std::move(why)),
        epoll_(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1"),
        bell_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd") {
    epoll_event e{};
    e.events = EPOLLIN | EPOLLET;  // each write is an edge, so the counter need not be read
    e.data.ptr = nullptr;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, bell_.get(), &e) != 0) throw cannot("epoll_ctl");
  }

  void attach(core& c) override {
    home_ = &c;
    c.io = static_cast<io_driver*>(this);
  }

  const char* name() const noexcept override { return "epoll"; }
  std::string report() const override {
    return "epoll, edge-triggered" + (why_.empty() ? "" : "\n" + why_);
  }

  void wake() noexcept override {
    const std::uint64_t one = 1;
    (void)!::write(bell_.get(), &one, sizeof one);
  }

  void poll(clock::time_point deadline) override {
    int n = 0;
    do {
      n = wait(deadline);
      for (int i = 0; i < n; ++i) {
        const epoll_event& e = events_[static_cast<std::size_t>(i)];
        if (e.data.ptr != nullptr) happened(*static_cast<file*>(e.data.ptr), e.events);
      }
      deadline = clock::time_point::min();
    } while (n == static_cast<int>(events_.size()) &&
             !home_->has_ready());  // nobody waited for them
  }

 private:
  void adopted(file& f) noexcept override {
    if (f.what == file::kind::stream) make_non_blocking(f);
  }

  int wait(clock::time_point deadline) noexcept {
    ++system_calls_;
    const auto size = static_cast<int>(events_.size());
    if (deadline == clock::time_point::min())
      return ::epoll_wait(epoll_.get(), events_.data(), size, 0);
    if (deadline == clock::time_point::max())
      return ::epoll_wait(epoll_.get(), events_.data(), size, -1);
    const auto left = std::max(deadline - home_->now(), clock::duration::zero());
    if (precise_) {
      const timespec t{left / std::chrono::seconds(1), (left % std::chrono::seconds(1)).count()};
      const int n = ::epoll_pwait2(epoll_.get(), events_.data(), size, &t, nullptr);
      if (n >= 0 || (errno != ENOSYS && errno != EPERM)) return n;
      precise_ = false;  // before Linux 5.11, or filtered
    }
    const auto ms =
        std::min<std::int64_t>(std::chrono::ceil<std::chrono::milliseconds>(left).count(), INT_MAX);
    return ::epoll_wait(epoll_.get(), events_.data(), size, static_cast<int>(ms));
  }

  // The file may have gone to another core since; then the event means nothing. If it has been
  // closed and opened again as another one, that one tries once in vain.
  void happened(file& f, std::uint32_t events) noexcept {
    if (!f.glance(*this)) return;
    if ((events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
      f.in_ready = true;
      // a read stops at urgent data, with more behind
      if ((events & EPOLLPRI) != 0) f.short_is_empty = false;
      f.ended = f.ended || (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    }
    if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) f.out_ready = true;
    op* const reading = f.in_ready ? f.reading : nullptr;
    op* const writing = f.out_ready ? f.writing : nullptr;
    f.end_glance();
    // One may end the file, if that waits for it to close; it waits for both.
    if (reading != nullptr && reading->where == op::place::kernel) again(*reading);
    if (writing != nullptr && writing->where == op::place::kernel) again(*writing);
  }

  void again(op& o) noexcept {
    attempt_flags_ = 0;
    const int result = start(o);
    if (result != pending) completed(o, result, attempt_flags_);
  }

  int start(op& o) noexcept override {
    if (o.code == op_code::close || o.code == op_code::shutdown) return attempt(o);
    if (o.code == op_code::poll) return start_poll(o);
    file& f = *o.on;
    if (f.what == file::kind::regular) return start_on_helper(o);

    const bool reads = o.reads();
    bool& ready = reads ? f.in_ready : f.out_ready;
    if (ready) {
      const int result = attempt(o);
      if (result != -EAGAIN) {
        if (result > 0 && drained(o, result)) ready = false;
        return result;
      }
      ready = false;
    }
    const int error = watch(f, reads);
    if (error == EPERM) {
      f.what = file::kind::regular;  // a device that is always ready, like /dev/null
      return start_on_helper(o);
    }
    if (error != 0) return -error;
    o.where = op::place::kernel;
    return pending;
  }

  [[nodiscard]] bool drained(const op& o, int result) noexcept {
    if (o.on->ended || !o.on->short_is_empty) return false;
    const auto bytes = static_cast<std::size_t>(result);
    if (o.code == op_code::recv) return bytes < o.length - (o.whole ? o.moved : 0);
    if (o.code == op_code::recv_lease) return bytes < pool().bytes(o.buffers);
    return false;
  }

  int watch(file& f, bool reads) noexcept {
    const bool wants_out = f.watches_out || !reads;
    if (f.registered && f.watches_out == wants_out) return 0;
    epoll_event e{};
    e.events = always | (wants_out ? std::uint32_t{EPOLLOUT} : 0U);
    e.data.ptr = &f;
    ++system_calls_;
    if (::epoll_ctl(epoll_.get(), f.registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, f.fd, &e) != 0)
      return errno;
    f.registered = true;
    f.watches_out = wants_out;
    return 0;
  }

  // Descriptors of other libraries: registered only while somebody waits, one record per
  // descriptor.
  int start_poll(op& o) noexcept {
    const int now = attempt(o);
    if (now != -EAGAIN) return now;
    try {
      auto [at, added] = foreign_.try_emplace(o.fd, nullptr);
      if (added) {
        at->second = try_open_foreign(o.fd);
        if (at->second == nullptr) {
          foreign_.erase(at);
          return -ENOMEM;
        }
      }
      file& f = *at->second;
      op*& slot = (o.events & EPOLLIN) != 0 ? f.reading : f.writing;
      if (slot != nullptr && slot != &o) return -EBUSY;
      slot = &o;
      if (const int error = watch(f, (o.events & EPOLLIN) != 0); error != 0) {
        slot = nullptr;
        forget_foreign(o.fd);
        return -error;
      }
    } catch (const std::bad_alloc&) {
      return -ENOMEM;
    }
    o.where = op::place::kernel;
    return pending;
  }

  file* try_open_foreign(int fd) noexcept {
    try {
      return &open_file(fd, file::kind::stream);
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
  }

  void forget_foreign(int fd) noexcept {
    const auto at = foreign_.find(fd);
    if (at == foreign_.end() || at->second->reading != nullptr || at->second->writing != nullptr)
      return;
    if (at->second->registered) ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
    give_back_file(*at->second);
    foreign_.erase(at);
  }

  void ending(op& o) noexcept override {
    if (o.code != op_code::poll) return;
    if (const auto at = foreign_.find(o.fd); at != foreign_.end()) {
      file& f = *at->second;
      if (f.reading == &o) f.reading = nullptr;
      if (f.writing == &o) f.writing = nullptr;
      forget_foreign(o.fd);
    }
  }

  void close_now(int fd, bool) noexcept override {
    ++system_calls_;
    ::close(fd);
  }

  void stop(op& o) noexcept override { completed(o, -ECANCELED, 0); }

  // Closing removes a descriptor from the set only if no copy of it is left, and a forked child may
  // hold one.
  void forget_file(file& f) noexcept override {
    if (!f.registered) return;
    ++system_calls_;
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, f.fd, nullptr);
  }

  void file_came(file& f, io_driver& before) noexcept override {
    if (f.registered) {
      ++system_calls_;
      ::epoll_ctl(static_cast<epoll_driver&>(before).epoll_.get(), EPOLL_CTL_DEL, f.fd, nullptr);
    }
    f.registered = f.watches_out = false;
    f.in_ready = f.out_ready = true;  // it tries before it waits
  }

  std::string why_;
  owned_fd epoll_;
  owned_fd bell_;
  bool precise_ = true;
  // So few that what a turn has read is still in the cache when its tasks write.
  std::array<epoll_event, 16> events_{};
  std::unordered_map<int, file*> foreign_;
};

}  // namespace

std::unique_ptr<driver> make_epoll_driver(const io_options& options, std::string why) {
  return std::make_unique<epoll_driver>(options, std::move(why));
}

}  // namespace corespun::detail
