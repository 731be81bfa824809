// sim driver: an operation becomes a request, which is carried out when the simulated kernel says
// that it can be, after a delay that chance decides. Its answer then lies in a queue until the
// core's next turn. A cancel travels in the same way, so it may find the operation waiting (then
// nothing has happened), or carried out (then the answer stands).

#include <corespun/io/detail/sim_driver.hpp>

#include <corespun/io/detail/attempt.hpp>
#include <corespun/io/detail/io_driver.hpp>

#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <memory>
#include <unordered_map>

namespace corespun::detail {
namespace {

class sim_driver final : public io_driver {
 public:
  sim_driver(const io_options& options, sim_host& host, const sim_watch& watch)
      : io_driver(options, &host), host_(host), all_(host.network().all), watch_(watch) {
    for (unsigned cls = 0; cls < buffer_pool::classes; ++cls) {
      pool().lend_to_ring(cls);
      for (unsigned id = 0; id < pool().for_ring(cls); ++id)
        free_[cls].push_back(static_cast<std::uint16_t>(id));
      lent_to_ring(cls, pool().for_ring(cls));
    }
  }

  ~sim_driver() override {
    all_.forget(this);
    if (place_ != nullptr) all_.remove(*place_->who);
    if (ops_.used() != 0) left(std::to_string(ops_.used()) + " operations");
    if (files_.used() != 0) left(std::to_string(files_.used()) + " descriptors");
    for (unsigned cls = 0; cls < buffer_pool::classes; ++cls) {
      const std::size_t lost = pool().for_ring(cls) - free_[cls].size();
      if (lost != 0) left(std::to_string(lost) + " buffers of class " + std::to_string(cls));
    }
  }

  void attach(core& c) override {
    home_ = &c;
    c.io = static_cast<io_driver*>(this);
    place_ = &all_.add(c);
  }
  const char* name() const noexcept override { return "sim"; }
  std::string report() const override { return "simulated, machine " + host_.address(); }
  bool multishot() const noexcept override { return true; }
  void wake() noexcept override { place_->woken = true; }

  void cancel_all() override {
    ops_.for_each([this](const op& o) {
      if (o.code != op_code::close && !o.stop_asked) left("an operation that nobody waits for");
    });
    io_driver::cancel_all();
  }

  void poll(clock::time_point deadline) override {
    place_->sleeps_until = deadline;
    while (!answers_.empty()) {
      const answer a = answers_.front();
      answers_.pop_front();
      place_->woken = true;  // to run what becomes ready
      op* const o = ops_.find(a.tag);
      if (o == nullptr) {
        watch_.wrong("an operation was answered after its record had been given up");
        continue;
      }
      const bool large = o->buffers != 0 && (a.flags & flag_buffer) != 0;
      completed(*o, a.result, a.flags | (large ? flag_large : 0));
    }
  }

 private:
  struct answer {
    std::uint64_t tag;
    int result;
    std::uint32_t flags;
  };

  /// An operation that the kernel has.
  struct request final : sim_wait {
    request(sim_driver& d, op& o, std::shared_ptr<sim_socket> s)
        : driver(d), what(o), tag(slab<op>::tag(o)), on(std::move(s)) {
      if (on != nullptr) on->waiting.push_back(this);
    }
    ~request() {
      if (scheduled) driver.all_.forget(when);
      if (on != nullptr) std::erase(on->waiting, this);
    }
    void changed() noexcept override { driver.consider(*this); }

    sim_driver& driver;
    op& what;  // a record stays in memory when it is given up
    std::uint64_t tag;
    std::shared_ptr<sim_socket> on;  // nullptr: a real file
    bool scheduled = false;
    simulation::events::iterator when{};  // if it is scheduled
  };

  void left(const std::string& what) {
    watch_.left_over("core " + std::to_string(home_->index()) + " of " + host_.address() +
                     " still has " + what);
  }

  [[nodiscard]] clock::duration soon() {
    constexpr std::chrono::microseconds delays[] = {
        std::chrono::microseconds(0), std::chrono::microseconds(1), std::chrono::microseconds(30),
        std::chrono::microseconds(700)};
    return delays[all_.choose(std::size(delays), sim::site::delay)];
  }

  // --- the contract ---

  int start(op& o) noexcept override {
    if (o.code == op_code::close) return host_.close(o.fd) == 0 ? 0 : -errno;
    if (o.on != nullptr && &o.on->driver() != this)
      watch_.wrong("an operation began on a core that does not have the descriptor");
    std::shared_ptr<sim_socket> s = host_.at(o.fd);
    if (s == nullptr && o.fd >= sim_host::first_descriptor) return -EBADF;
    if (s == nullptr && o.on == nullptr) return -EBADF;
    if (s != nullptr && o.code == op_code::shutdown) return host_.shut_down(*s);
    if (o.code == op_code::connect) {
      const int begun = host_.start_connect(
          *s, sim_name(static_cast<const sockaddr*>(o.address), static_cast<socklen_t>(o.length)));
      if (begun != -EAGAIN) return begun;
    }
    o.where = op::place::kernel;
    o.cancel_sent = false;
    auto r = std::make_unique<request>(*this, o, std::move(s));
    request& waits = *r;
    requests_.emplace(waits.tag, std::move(r));
    consider(waits);
    return pending;
  }

  void stop(op& o) noexcept override {
    if (std::exchange(o.cancel_sent, true)) return;
    all_.after(soon(), this, [this, tag = slab<op>::tag(o)] {
      const auto r = requests_.find(tag);
      if (r != requests_.end()) finish(*r->second, -ECANCELED, 0);  // else its answer is on the way
    });
  }

  void close_now(int fd, bool) noexcept override { host_.close(fd); }

  void provide(unsigned cls, std::uint16_t id) noexcept override {
    if (pool().in_ring(cls, id)) {
      free_[cls].push_back(id);
    } else {
      pool().put(cls, id);
    }
  }

  // --- requests ---

  /// Has it carried out in a while, if that can be done at all.
  void consider(request& r) noexcept {
    if (r.scheduled || !possible(r)) return;
    r.scheduled = true;
    r.when = all_.after(soon(), &r, [&r] { r.driver.carry_out(r); });
  }

  [[nodiscard]] static bool possible(const request& r) noexcept {
    if (r.on == nullptr) return true;  // a real file
    const sim_socket& s = *r.on;
    switch (r.what.code) {
      case op_code::connect: return s.what != sim_socket::kind::connecting;
      case op_code::poll: return (r.what.events & POLLIN) != 0 ? s.readable() : s.writable();
      default:
        return r.what.reads() ? s.readable() || s.what == sim_socket::kind::fresh ||
                                    s.what == sim_socket::kind::bound
                              : s.writable() || s.peer == nullptr;
    }
  }

  void carry_out(request& r) noexcept {
    r.scheduled = false;
    if (ops_.find(r.tag) == nullptr) {
      watch_.wrong("the record of an operation was given up before its final completion");
      requests_.erase(std::uint64_t{r.tag});
      return;
    }
    attempt_flags_ = 0;
    const int result = attempt_on(r);
    if (result == -EAGAIN) {
      consider(r);
    } else if (result >= 0 && r.what.many != nullptr && !(result == 0 && attempt_flags_ == 0)) {
      post(r.tag, result, attempt_flags_ | flag_more);
      consider(r);
    } else {
      finish(r, result, attempt_flags_);
    }
  }

  [[nodiscard]] int attempt_on(request& r) noexcept {
    op& o = r.what;
    const std::size_t left = o.length - (o.whole ? o.moved : 0);
    if (r.on == nullptr) return attempt_file(o, left);
    sim_socket& s = *r.on;
    switch (o.code) {
      case op_code::read:
      case op_code::recv: return host_.receive(s, o.address, left);
      case op_code::recv_lease: return receive_leased(o, s);
      case op_code::write:
      case op_code::send: return host_.send(s, o.address, left);
      case op_code::send_parts: return send_parts(o, s);
      case op_code::accept: return host_.accept(s);
      case op_code::connect:
        if (s.error != 0) return -std::exchange(s.error, 0);
        return s.what == sim_socket::kind::stream ? 0 : -EAGAIN;
      case op_code::poll:
        if ((o.events & POLLIN) != 0) return s.readable() ? POLLIN : -EAGAIN;
        return s.writable() ? POLLOUT : -EAGAIN;
      case op_code::shutdown:
      case op_code::close: break;
    }
    return -EINVAL;
  }

  /// Files are real: what a program keeps on its disk is not part of the world.
  [[nodiscard]] int attempt_file(op& o, std::size_t left) noexcept {
    if (!host_.alive()) return -ENETDOWN;
    if (o.on->what != file::kind::regular) return -ENOTSOCK;
    if (left > 1 && all_.one_in(host_.network().short_one_in, sim::site::size))
      left = 1 + all_.choose(static_cast<std::uint32_t>(std::min<std::size_t>(left, 1U << 20)),
                             sim::site::size);
    const ssize_t n = o.reads() ? ::read(o.fd, o.address, left) : ::write(o.fd, o.address, left);
    return n < 0 ? -errno : static_cast<int>(n);
  }

  [[nodiscard]] int receive_leased(op& o, sim_socket& s) noexcept {
    if (!s.readable()) return -EAGAIN;
    if (s.available() == 0 && s.messages.empty()) return host_.receive(s, nullptr, 0);
    std::deque<std::uint16_t>& free = free_[o.buffers];
    if (free.empty()) return -ENOBUFS;
    const std::uint16_t id = free.front();
    const int n = host_.receive(s, pool().at(o.buffers, id), pool().bytes(o.buffers));
    if (n <= 0) return n;
    free.pop_front();
    ++buffers_away_;
    attempt_flags_ =
        flag_buffer | (s.available() > 0 ? flag_nonempty : 0) | std::uint32_t{id} << buffer_shift;
    return n;
  }

  [[nodiscard]] int send_parts(op& o, sim_socket& s) noexcept {
    const auto& m = *static_cast<const msghdr*>(o.address);
    std::string all;
    for (std::size_t i = 0; i < m.msg_iovlen; ++i)
      all.append(static_cast<const char*>(m.msg_iov[i].iov_base), m.msg_iov[i].iov_len);
    return host_.send(s, all.data(), all.size());
  }

  void post(std::uint64_t tag, int result, std::uint32_t flags) {
    all_.note(static_cast<std::uint64_t>(result));
    answers_.push_back({tag, result, flags});
    place_->woken = true;
  }
  void finish(const request& r, int result, std::uint32_t flags) noexcept {
    post(r.tag, result, flags);
    requests_.erase(std::uint64_t{r.tag});
  }

  sim_host& host_;
  simulation& all_;
  const sim_watch& watch_;
  simulation::place* place_ = nullptr;
  std::unordered_map<std::uint64_t, std::unique_ptr<request>> requests_;  // by tag
  std::deque<answer> answers_;
  std::deque<std::uint16_t> free_[buffer_pool::classes];
};

}  // namespace

std::unique_ptr<driver> make_sim_driver(const io_options& options, sim_host& host,
                                        const sim_watch& watch) {
  return std::make_unique<sim_driver>(options, host, watch);
}

}  // namespace corespun::detail
