#include "client.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>

namespace load {
namespace {

constexpr int most_events = 512;
constexpr std::uint64_t look_at_phase_ns = 20'000'000;  // at least this often
constexpr std::uint64_t late_ns = 1'000'000;            // documented in report.cpp

std::uint64_t clock_ns() noexcept {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(now).count());
}

std::uint64_t in_ns(seconds s) noexcept { return static_cast<std::uint64_t>(s.count() * 1e9); }

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

/// This client's share of the requests: that of the active connections.
schedule request_schedule(const options& o, unsigned number, std::size_t active) {
  const double rate = o.rate.value_or(0) * static_cast<double>(active) / active_connections(o);
  return {o.arrivals_kind, o.rate ? rate : 0, double(number) / o.processes, number};
}

schedule renewal_schedule(const options& o, unsigned number, std::size_t connections) {
  const double rate = static_cast<double>(connections) * o.churn_percent / 100;
  return {arrivals::constant, rate, (number + 0.5) / o.processes, number};
}

}  // namespace

client::client(const options& o, unsigned number, const std::atomic<phase>& now,
               client_result& result)
    : options_(o), shared_phase_(now), result_(result), protocol_(make_protocol(o)) {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_ < 0)
    die(std::string("epoll_create1: ") + std::strerror(errno),
        "check the limits of descriptors and of memory");
  // The timer of a wait may otherwise fire 50 µs late, so that the kernel can join several.
  prctl(PR_SET_TIMERSLACK, 1ul);
  const unsigned each = o.connections / o.processes;
  const unsigned rest = o.connections % o.processes;
  connections_.resize(each + (number < rest ? 1 : 0));
  unsigned index = number * each + std::min(number, rest);
  for (connection& c : connections_) {
    c.active = is_active(o, index);
    c.bytes.number = index++;
    if (c.active) targets_.push_back(&c);
    to_open_.push_back(&c);
  }
  requests_ = request_schedule(o, number, targets_.size());
  picker_ = picker(targets_.size(), o.hot_percent / 100, in_ns(o.hot_moves), number);
  renewals_ = renewal_schedule(o, number, connections_.size());
  most_greeting_ = std::max(1u, o.connecting / o.processes);
  buffer_.resize(chunk_bytes);
}

void client::run() {
  const auto check_every_ns = in_ns(options_.timeout) / 8;
  std::uint64_t checked_ns = clock_ns();
  while (!drained()) {
    take_due();
    look_at_phase();
    churn();
    open_more();
    wait_and_serve();
    if (const auto now = clock_ns(); now - checked_ns > check_every_ns) {
      checked_ns = now;
      fail_late_ones();
    }
  }
}

void client::look_at_phase() {
  const phase before = phase_;
  phase_ = shared_phase_.load(std::memory_order_relaxed);  // publishes nothing else
  if (phase_ == before) return;
  if (phase_ == phase::measure) window_from_ns_ = clock_ns();
  if (before < phase::warm_up && (phase_ == phase::warm_up || phase_ == phase::measure))
    start_sending();
  if (phase_ == phase::drain) {
    window_to_ns_ = clock_ns();
    requests_.stop();
    renewals_.stop();
    look_for_starved(window_to_ns_);
    if (before == phase::connect) to_open_.clear();  // the run has failed
  }
}

/// True if all has been answered, or could have been: the time after the end is limited. It is
/// longer than the timeout, so that fail_late_ones() sees what has been silent.
bool client::drained() const noexcept {
  return phase_ == phase::drain &&
         (unanswered_ == 0 || clock_ns() > window_to_ns_ + in_ns(options_.timeout * 1.3));
}

/// As many at once as options.connecting allows. One to be made anew stays open until its turn.
void client::open_more() {
  for (; greeting_ < most_greeting_ && !to_open_.empty(); to_open_.pop_front()) {
    connection& c = *to_open_.front();
    if (c.closing && c.fd < 0) continue;  // lost meanwhile
    if (std::exchange(c.closing, false)) close(c.fd);  // leaves the epoll instance as well
    open(c);
  }
}

void client::open(connection& c) {
  c.greeting = true;
  ++greeting_;
  c.waiting_since_ns = clock_ns();
  c.bytes.greeting = c.started++;
  ++unanswered_;

  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(options_.port);
  to.sin_addr = options_.destination;
  const int one = 1;
  c.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (c.fd < 0) return fail_by_errno(c, "socket");
  setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (options_.addresses > 1 && !bind_source(c.fd, c.bytes.number % options_.addresses))
    return fail_by_errno(c, "bind");
  if (connect(c.fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0 && errno != EINPROGRESS)
    return fail_by_errno(c, "connect");
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = &c;
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, c.fd, &event) < 0) return fail_by_errno(c, "epoll_ctl");
  send(c);  // on loopback the connection is there already
}

/// Connections that are due for it are made anew between two messages.
void client::churn() {
  if (renewals_.next_ns() == schedule::never) return;
  const auto now = clock_ns();
  for (; renewals_.next_ns() <= now; renewals_.advance()) {
    if (in_window(renewals_.next_ns())) ++result_.renewals_due;
    connection* c = next_to_renew();
    if (c == nullptr) continue;  // all are lost, or on their way already
    c->closing = true;
    if (c->under_way == 0) to_open_.push_back(c);
  }
}

client::connection* client::next_to_renew() noexcept {
  for (std::size_t tries = connections_.size(); tries > 0; --tries) {
    last_renewed_ = (last_renewed_ + 1) % connections_.size();
    connection& c = connections_[last_renewed_];
    if (c.fd >= 0 && !c.greeting && !c.closing) return &c;
  }
  return nullptr;
}

void client::start_sending() {
  const auto now = clock_ns();
  renewals_.start(now);
  if (options_.rate) return requests_.start(now);
  for (connection* c : targets_) {
    if (c->fd < 0) continue;
    refill(*c, now);
    send(*c);
  }
}

/// Open loop: hands what has become due to the connections.
void client::take_due() {
  if (requests_.next_ns() == schedule::never) return;
  const auto until_ns = clock_ns();  // not longer, however slow the sending is: answers wait, too
  for (; requests_.next_ns() <= until_ns; requests_.advance()) {
    const auto due_ns = requests_.next_ns();
    const auto now = clock_ns();
    if (in_window(due_ns)) {
      ++result_.due;
      if (now - due_ns > late_ns) ++result_.late;
    }
    connection* c = target(due_ns);
    if (c == nullptr) continue;  // all are lost: nobody answers it
    push(*c, due_ns);
    start(*c, now);
    send(*c);
  }
}

/// One after it takes the place of a lost one; nullptr if all are lost.
client::connection* client::target(std::uint64_t due_ns) {
  std::size_t at = picker_.next(due_ns);
  for (std::size_t tries = targets_.size(); tries > 0; --tries) {
    if (targets_[at]->fd >= 0) return targets_[at];
    at = (at + 1) % targets_.size();
  }
  return nullptr;
}

void client::wait_and_serve() {
  std::uint64_t wait_ns = look_at_phase_ns;
  const auto next = std::min(requests_.next_ns(), renewals_.next_ns());
  if (next != schedule::never) {
    const auto now = clock_ns();
    wait_ns = std::min(wait_ns, next > now ? next - now : 0);
  }
  const timespec timeout{.tv_sec = 0, .tv_nsec = static_cast<long>(wait_ns)};
  std::array<epoll_event, most_events> events;
  const int n = epoll_pwait2(epoll_, events.data(), most_events, &timeout, nullptr);
  if (n < 0 && errno != EINTR)
    die(std::string("epoll_pwait2: ") + std::strerror(errno), "use Linux 5.11 or newer");
  for (const epoll_event* e = events.data(); e < events.data() + n; ++e) {
    serve(*static_cast<connection*>(e->data.ptr), e->events);
    take_due();  // many events take long
  }
}

void client::serve(connection& c, std::uint32_t events) {
  if (c.fd < 0) return;  // lost by what else was done in this turn
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
    if (*answers > c.under_way + (c.greeting ? 1 : 0))
      return fail(c, failure::mismatch, "more answers came than requests were sent"), false;
    if (*answers > 0) finish(c, *answers);
    if (bytes < chunk_bytes && !ending) return true;  // the socket is empty
  }
}

void client::finish(connection& c, std::uint64_t answers) {
  const auto now = clock_ns();
  for (; answers > 0; --answers) {
    --unanswered_;
    count(result_.requests);
    if (c.greeting) {
      finish_greeting(c, now);
    } else {
      finish_request(c, now);
    }
  }
  c.waiting_since_ns = now;
  if (!options_.rate) refill(c, now);
  start(c, now);
}

void client::finish_greeting(connection& c, std::uint64_t now_ns) {
  c.greeting = false;
  --greeting_;
  if (c.bytes.greeting > 0) {
    ++result_.reconnects;
    if (in_window(now_ns)) ++result_.renewals_made;
    return result_.reconnect.record(now_ns - c.waiting_since_ns);
  }
  result_.connect.record(now_ns - c.waiting_since_ns);
  count(result_.connected);
}

void client::finish_request(connection& c, std::uint64_t now_ns) {
  const auto message = c.started - c.under_way--;
  if (c.closing && c.under_way == 0) to_open_.push_back(&c);
  const auto due_ns = c.due.pop();
  if (!in_window(due_ns)) return;
  ++result_.answered;
  result_.latency.record(now_ns - due_ns);
  if (!options_.stall) return;
  const bool stalled = options_.stall->us_of(c.bytes, message) > 0;
  (stalled ? result_.stall_latency : result_.plain_latency).record(now_ns - due_ns);
}

void client::push(connection& c, std::uint64_t due_ns) {
  c.due.push(due_ns);
  ++unanswered_;
}

/// Closed loop: what has been answered makes room for what is due next.
void client::refill(connection& c, std::uint64_t now_ns) {
  const bool sending = phase_ == phase::warm_up || phase_ == phase::measure;
  if (!sending || !c.active || c.greeting || c.closing) return;
  while (c.due.size() < options_.pipeline) {
    push(c, now_ns);
    if (in_window(now_ns)) ++result_.due;
  }
  start(c, now_ns);
}

/// As many as the pipeline takes are under way from here on.
void client::start(connection& c, std::uint64_t now_ns) {
  if (c.greeting || c.closing) return;
  const auto room = std::min<std::size_t>(options_.pipeline, c.due.size()) - c.under_way;
  if (c.under_way == 0) c.waiting_since_ns = now_ns;
  c.under_way += static_cast<std::uint32_t>(room);
  c.started += room;
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

void client::fail_late_ones() {
  const auto now = clock_ns();
  for (connection& c : connections_) {
    const bool waits = c.fd >= 0 && (c.greeting || c.under_way > 0);
    if (waits && now - c.waiting_since_ns > in_ns(options_.timeout))
      fail(c, failure::timeout, "no answer in time");
  }
}

/// At the end of the window: what waits since when, and who since before its beginning.
void client::look_for_starved(std::uint64_t now_ns) {
  for (const connection& c : connections_) {
    if (c.fd < 0) continue;
    auto since_ns = c.greeting ? c.waiting_since_ns : now_ns;
    if (c.due.size() > 0) since_ns = std::min(since_ns, c.due.first());
    result_.oldest_ns = std::max(result_.oldest_ns, now_ns - since_ns);
    if (c.active && since_ns < window_from_ns_) ++result_.starved;
  }
}

void client::fail(connection& c, failure kind, const char* what) {
  const auto answered = c.started - c.under_way - (c.greeting ? 1 : 0);
  if (result_.first_failure[0] == 0) {
    std::snprintf(result_.first_failure.data(), result_.first_failure.size(),
                  "connection %u, after %llu answers: %s", c.bytes.number,
                  static_cast<unsigned long long>(answered), what);
  }
  ++result_.failures[static_cast<std::size_t>(kind)];
  count(result_.failed);
  unanswered_ -= c.due.size() + (c.greeting ? 1 : 0);
  if (c.greeting) --greeting_;
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

bool client::in_window(std::uint64_t due_ns) const noexcept {
  return window_from_ns_ <= due_ns && due_ns < window_to_ns_;
}

}  // namespace load
