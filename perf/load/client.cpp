#include "client.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>

namespace load {
namespace {

constexpr int most_events = 512;
constexpr int look_at_phase_ms = 20;  // at least this often, when nothing arrives

std::uint64_t clock_ns() noexcept {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(now).count());
}

/// Binds to 127.0.0.(1 + n), and leaves the port to connect(), which can give the same one to
/// connections that differ in an address.
bool bind_source(int fd, unsigned n) {
  const int one = 1;
  sockaddr_in from{};
  from.sin_family = AF_INET;
  from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + n);
  return setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one) == 0 &&
         bind(fd, reinterpret_cast<const sockaddr*>(&from), sizeof from) == 0;
}

}  // namespace

client::client(const options& o, unsigned number, const std::atomic<phase>& now,
               client_result& result)
    : options_(o),
      number_(number),
      shared_phase_(now),
      result_(result),
      protocol_(make_protocol(o)) {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0)
    die(std::string("epoll_create1: ") + std::strerror(errno),
        "check the limits of descriptors and of memory");
  const bool one_more = number < o.connections % o.processes;
  connections_.resize(o.connections / o.processes + (one_more ? 1 : 0));
  begins_ns_.resize(connections_.size() * o.pipeline);
  most_waiting_ = std::max(1u, o.connecting / o.processes);
  buffer_.resize(chunk_bytes);
}

void client::run() {
  std::array<epoll_event, most_events> events;
  const auto check_every_ns = static_cast<std::uint64_t>(options_.timeout.count() * 1e9 / 8);
  std::uint64_t checked_ns = clock_ns();
  while (phase_ != phase::drain || under_way_ > 0) {
    const phase before = phase_;
    phase_ = shared_phase_.load(std::memory_order_relaxed);  // publishes nothing else
    if (phase_ == phase::connect) open_more();
    if (before < phase::warm_up && (phase_ == phase::warm_up || phase_ == phase::measure))
      start_sending();
    const int n = epoll_wait(epoll_, events.data(), most_events, look_at_phase_ms);
    for (const epoll_event* e = events.data(); e < events.data() + n; ++e)
      serve(*static_cast<connection*>(e->data.ptr), e->events);
    if (const auto now = clock_ns(); now - checked_ns > check_every_ns) {
      checked_ns = now;
      fail_late_ones();
    }
  }
}

void client::open_more() {
  while (waiting_ < most_waiting_ && opened_ < connections_.size()) open_one();
}

void client::open_one() {
  connection& c = connections_[opened_++];
  const unsigned index = global_index(c);
  c.active = std::uint64_t{index} * options_.active_percent % 100 < options_.active_percent;
  c.bytes.number = index;
  ++waiting_;
  begin_message(c, clock_ns());

  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(options_.port);
  to.sin_addr = options_.destination;
  const int one = 1;
  c.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (c.fd < 0) return fail_by_errno(c, "socket");
  setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (options_.addresses > 1 && !bind_source(c.fd, index % options_.addresses))
    return fail_by_errno(c, "bind");
  if (connect(c.fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0 && errno != EINPROGRESS)
    return fail_by_errno(c, "connect");
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = &c;
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, c.fd, &event) < 0) fail_by_errno(c, "epoll_ctl");
}

void client::start_sending() {
  const auto now = clock_ns();
  for (connection& c : connections_) {
    if (c.fd < 0 || !c.active) continue;
    while (c.started - c.finished < options_.pipeline) begin_message(c, now);
    send(c);
  }
}

void client::serve(connection& c, std::uint32_t events) {
  // An end or an error that came with the last bytes raises no further edge: read on to see it.
  const bool ending = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
  if ((ending || (events & EPOLLIN) != 0) && !receive(c, ending)) return;
  send(c);
}

/// Returns false if the connection failed.
bool client::receive(connection& c, bool ending) {
  for (;;) {
    const ssize_t n = ::recv(c.fd, buffer_.data(), chunk_bytes, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return true;
    if (n < 0) return fail_by_errno(c, "recv"), false;
    if (n == 0) return fail(c, failure::early_end, "the server closed it"), false;
    const auto bytes = static_cast<std::size_t>(n);
    const auto answers = protocol_->incoming(c.bytes, {buffer_.data(), bytes});
    if (!answers) return fail(c, failure::mismatch, answers.error().c_str()), false;
    if (*answers > c.started - c.finished)
      return fail(c, failure::mismatch, "more answers came than requests were sent"), false;
    if (*answers > 0) finish_messages(c, *answers);
    if (bytes < chunk_bytes && !ending) return true;  // the socket is empty
  }
}

void client::finish_messages(connection& c, std::uint64_t answers) {
  const auto now = clock_ns();
  const bool sending = c.active && (phase_ == phase::warm_up || phase_ == phase::measure);
  for (; answers > 0; --answers) {
    const auto took_ns = now - begin_ns(c, c.finished);
    ++c.finished;
    --under_way_;
    count(result_.requests);
    if (c.finished == 1) {
      --waiting_;
      result_.connect.record(took_ns);
      count(result_.connected);
    } else if (phase_ == phase::measure) {
      result_.latency.record(took_ns);
    }
    if (sending) begin_message(c, now);
  }
}

/// Returns false if the connection failed.
bool client::send(connection& c) {
  const std::uint64_t due_bytes = c.started * protocol_->request_bytes();
  std::uint64_t& sent = c.bytes.sent_bytes;
  while (sent < due_bytes) {
    const std::size_t bytes = std::min<std::uint64_t>(due_bytes - sent, chunk_bytes);
    const ssize_t n = ::send(c.fd, protocol_->outgoing(c.bytes, sent, bytes), bytes, MSG_NOSIGNAL);
    if (n >= 0) {
      sent += static_cast<std::uint64_t>(n);
    } else if (errno == EAGAIN) {
      return true;
    } else if (errno != EINTR) {
      return fail_by_errno(c, "send"), false;
    }
  }
  return true;
}

void client::begin_message(connection& c, std::uint64_t now_ns) {
  begin_ns(c, c.started) = now_ns;
  ++c.started;
  ++under_way_;
}

void client::fail_late_ones() {
  const auto now = clock_ns();
  const auto timeout_ns = static_cast<std::uint64_t>(options_.timeout.count() * 1e9);
  for (connection& c : connections_) {
    if (c.fd >= 0 && c.finished < c.started && now - begin_ns(c, c.finished) > timeout_ns)
      fail(c, failure::timeout, "no echo in time");
  }
}

void client::fail(connection& c, failure kind, const char* what) {
  if (result_.first_failure[0] == 0) {
    std::snprintf(result_.first_failure.data(), result_.first_failure.size(),
                  "connection %u, after %llu echoes: %s", global_index(c),
                  static_cast<unsigned long long>(c.finished), what);
  }
  ++result_.failures[static_cast<std::size_t>(kind)];
  count(result_.failed);
  under_way_ -= c.started - c.finished;
  if (c.finished == 0) --waiting_;
  if (c.fd >= 0) close(c.fd);
  c.fd = -1;
}

void client::fail_by_errno(connection& c, const char* call) {
  const int error = errno;
  const failure kind = error == ECONNREFUSED                   ? failure::refused
                       : error == ECONNRESET || error == EPIPE ? failure::reset
                       : error == ETIMEDOUT                    ? failure::timeout
                                                               : failure::other;
  const std::string what =
      std::string(call) + ": " + strerrorname_np(error) + " (" + std::strerror(error) + ")";
  fail(c, kind, what.c_str());
}

std::uint64_t& client::begin_ns(const connection& c, std::uint64_t n) noexcept {
  const auto index = static_cast<std::size_t>(&c - connections_.data());
  return begins_ns_[index * options_.pipeline + n % options_.pipeline];
}

unsigned client::global_index(const connection& c) const noexcept {
  return static_cast<unsigned>(&c - connections_.data()) * options_.processes + number_;
}

}  // namespace load
