// The simulated kernel: names, sockets, the network, then one machine's calls in the order of its
// header. Long, since it answers for a kernel; each call is short and stands alone.

#include <corespun/io/detail/sim_kernel.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

namespace corespun::detail {
namespace {

using kind = sim_socket::kind;

int fail(int error) noexcept {
  errno = error;
  return -1;
}

std::uint16_t& port_of(sockaddr_storage& s) noexcept {
  return s.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(s).sin6_port
                                 : reinterpret_cast<sockaddr_in&>(s).sin_port;
}

}  // namespace

// --- names ---

sim_name::sim_name(const sockaddr* at, socklen_t bytes) noexcept
    : size(std::min<socklen_t>(bytes, sizeof storage)) {
  std::memcpy(&storage, at, size);
}

sim_name sim_name::none(int family) noexcept {
  sim_name n;
  n.storage.ss_family = static_cast<sa_family_t>(family);
  n.size = family == AF_UNIX    ? sizeof(sa_family_t)
           : family == AF_INET6 ? sizeof(sockaddr_in6)
                                : sizeof(sockaddr_in);
  return n;
}

sim_name sim_name::of(int family, const std::string& place, std::uint16_t port) noexcept {
  sim_name n = none(family);
  void* const bytes =
      family == AF_INET6 ? static_cast<void*>(&reinterpret_cast<sockaddr_in6&>(n.storage).sin6_addr)
                         : static_cast<void*>(&reinterpret_cast<sockaddr_in&>(n.storage).sin_addr);
  (void)::inet_pton(family, place.c_str(), bytes);
  n.set_port(port);
  return n;
}

std::string sim_name::place() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (family() == AF_INET) {
    ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(storage).sin_addr, text,
                sizeof text);
    return text;
  }
  if (family() == AF_INET6) {
    ::inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6&>(storage).sin6_addr, text,
                sizeof text);
    return text;
  }
  constexpr std::size_t before = offsetof(sockaddr_un, sun_path);
  if (size <= before) return {};
  const char* const path = reinterpret_cast<const sockaddr_un&>(storage).sun_path;
  if (path[0] == '\0') return std::string(path, size - before);  // abstract
  return std::string(path, ::strnlen(path, size - before));
}

std::uint16_t sim_name::port() const noexcept {
  return inet() ? ntohs(port_of(const_cast<sockaddr_storage&>(storage))) : 0;
}
void sim_name::set_port(std::uint16_t port) noexcept {
  if (inet()) port_of(storage) = htons(port);
}
bool sim_name::wildcard() const noexcept {
  const std::string p = place();
  return inet() && (p == "0.0.0.0" || p == "::");
}
bool sim_name::loopback() const noexcept {
  const std::string p = place();
  return inet() && (p.starts_with("127.") || p == "::1");
}
void sim_name::copy_to(sockaddr* at, socklen_t* bytes) const noexcept {
  std::memcpy(at, &storage, std::min(*bytes, size));
  *bytes = size;
}

// --- sockets ---

bool sim_socket::readable() const noexcept {
  return !queue.empty() || available() > 0 || !messages.empty() || ended || error != 0;
}

bool sim_socket::writable() const noexcept {
  if (error != 0 || peer_gone || what == kind::datagram) return true;
  if (peer == nullptr || what == kind::connecting) return false;
  return peer->closed || peer->available() + peer->under_way < peer->capacity;
}

void sim_socket::changed() noexcept {
  const std::vector<sim_wait*> all = waiting;
  for (sim_wait* const w : all) w->changed();
}

// --- the network ---

sim_host* sim_network::host_at(const std::string& address) noexcept {
  const auto at = std::find_if(hosts.rbegin(), hosts.rend(),
                               [&](const sim_host* h) { return h->address() == address; });
  return at != hosts.rend() ? *at : nullptr;
}

sim_link& sim_network::link(const std::string& from, const std::string& to) {
  const auto [at, added] = links_.try_emplace({from, to});
  if (added) {
    at->second.shortest = shortest;
    at->second.longest = longest;
  }
  return at->second;
}

// At once and in the order in which it was held: streams keep theirs.
void sim_network::heal() {
  for (auto& [ends, l] : links_) {
    l.cut = false;
    for (const auto& arrive : std::exchange(l.held, {})) arrive();
  }
}

void sim_network::deliver(const sim_host& from, const sim_host& to, clock::time_point& last,
                          bool may_be_lost, std::function<void()> fn) {
  if (&from == &to) {
    fn();
    return;
  }
  constexpr std::uint32_t steps = 16;
  constexpr auto repeated_after = std::chrono::milliseconds(200);
  constexpr int most_attempts = 6;
  sim_link& l = link(from.address(), to.address());
  auto takes = l.shortest + (l.longest - l.shortest) / steps * all.choose(steps, sim::site::delay);
  for (int attempts = 0; attempts < most_attempts && l.lost != 0; ++attempts) {
    if (all.choose(1000, sim::site::fault) >= l.lost) break;
    if (may_be_lost) return;
    takes += repeated_after;
  }
  clock::time_point when = all.now() + takes;
  if (!may_be_lost) when = last = std::max(when, last + clock::duration(1));
  all.at(when, this, [&l, fn = std::move(fn)] {
    if (l.cut) {
      l.held.push_back(fn);
    } else {
      fn();
    }
  });
}

namespace {

void break_off(sim_socket& end) noexcept {
  if (end.closed) return;
  if (!end.ended) end.error = ECONNRESET;
  end.ended = end.peer_gone = true;
  end.changed();
}

}  // namespace

void sim_network::reset(sim_socket& s) noexcept {
  const std::shared_ptr<sim_socket> peer = s.peer;
  break_off(s);
  s.bytes.clear();
  s.taken = 0;
  s.error = 0;  // the call that finds out tells it
  if (peer == nullptr) return;
  deliver(*s.host, *peer->host, peer->last_arrival, false, [peer] { break_off(*peer); });
}

// --- a machine ---

sim_host::sim_host(sim_network& n, std::string address)
    : network_(n), address_(std::move(address)) {
  network_.hosts.push_back(this);
}

sim_host::~sim_host() {
  die();
  std::erase(network_.hosts, this);
}

void sim_host::die() noexcept {
  alive_ = false;
  while (!open_.empty()) {
    const std::shared_ptr<sim_socket> s = open_.begin()->second;
    close(open_.begin()->first);
    s->error = ENETDOWN;  // whoever waits for it is told
    s->changed();
  }
  bound_.clear();
  paths_.clear();
}

std::shared_ptr<sim_socket> sim_host::at(int fd) const noexcept {
  const auto found = open_.find(fd);
  return found != open_.end() ? found->second : nullptr;
}

int sim_host::open(std::shared_ptr<sim_socket> s) noexcept {
  if (!alive_) return fail(ENETDOWN);
  if (open_.size() >= descriptor_limit) return fail(EMFILE);
  int fd = first_descriptor;
  for (const auto& [used, socket] : open_) {
    if (used != fd) break;
    ++fd;
  }
  ++s->references;
  open_.emplace(fd, std::move(s));
  return fd;
}

int sim_host::socket(int family, int type) noexcept {
  if (family != AF_INET && family != AF_INET6 && family != AF_UNIX) return fail(EAFNOSUPPORT);
  return open(std::make_shared<sim_socket>(*this, family, type));
}

bool sim_host::taken(const sim_socket& s, const sim_name& at) const noexcept {
  return std::ranges::any_of(bound_, [&](const auto& other) {
    if (other.get() == &s || other->family != s.family || other->type != s.type) return false;
    if (!at.inet()) return other->local.place() == at.place();
    if (other->local.port() != at.port()) return false;
    if (!other->local.wildcard() && !at.wildcard() && other->local.place() != at.place())
      return false;
    return !(other->shares_port && s.shares_port);
  });
}

std::uint16_t sim_host::free_port() noexcept {
  constexpr std::uint16_t first = 32768;
  while (true) {
    const std::uint16_t port = next_port_;
    next_port_ = port == UINT16_MAX ? first : static_cast<std::uint16_t>(port + 1);
    const auto has_it = [&](const auto& b) { return b->local.inet() && b->local.port() == port; };
    if (std::ranges::none_of(bound_, has_it)) return port;
  }
}

int sim_host::bind(int fd, const sockaddr* to, socklen_t size) noexcept {
  const auto s = at(fd);
  if (s == nullptr) return fail(EBADF);
  sim_name name(to, size);
  if (s->what != kind::fresh || name.family() != s->family) return fail(EINVAL);
  if (name.inet()) {
    if (!name.wildcard() && !name.loopback() && name.place() != address_)
      return fail(EADDRNOTAVAIL);
    if (name.port() == 0) name.set_port(free_port());
    if (taken(*s, name)) return fail(EADDRINUSE);
  } else if (const std::string path = name.place(); !path.empty() && path[0] != '\0') {
    if (!paths_.insert(path).second) return fail(EADDRINUSE);
  } else if (taken(*s, name)) {
    return fail(EADDRINUSE);
  }
  s->local = name;
  s->what = s->type == SOCK_DGRAM ? kind::datagram : kind::bound;
  bound_.push_back(s);
  return 0;
}

int sim_host::listen(int fd, int backlog) noexcept {
  const auto s = at(fd);
  if (s == nullptr) return fail(EBADF);
  if (s->what != kind::bound && s->what != kind::listener) return fail(EINVAL);
  s->what = kind::listener;
  s->backlog = static_cast<std::size_t>(std::max(backlog, 0)) + 1;
  return 0;
}

std::shared_ptr<sim_socket> sim_host::listener_for(const sim_name& to) noexcept {
  std::vector<std::shared_ptr<sim_socket>> fit;
  for (const auto& s : bound_) {
    if (s->what != kind::listener || s->family != to.family()) continue;
    const bool here = to.inet() ? s->local.port() == to.port() &&
                                      (s->local.wildcard() || s->local.place() == to.place())
                                : s->local.place() == to.place();
    if (here) fit.push_back(s);
  }
  if (fit.empty()) return nullptr;
  return fit[network_.all.choose(static_cast<std::uint32_t>(fit.size()), sim::site::order)];
}

void sim_host::join(sim_socket& a, sim_socket& b) noexcept {
  a.what = b.what = a.type == SOCK_DGRAM ? kind::datagram : kind::stream;
  a.peer = b.shared_from_this();
  b.peer = a.shared_from_this();
}

/// nullptr: nowhere in this world.
sim_host* sim_host::machine_of(const sim_name& to) noexcept {
  return !to.inet() || to.loopback() || to.wildcard() ? this : network_.host_at(to.place());
}

// The request travels to the listener, the answer back. A datagram socket only notes whom it means.
int sim_host::start_connect(sim_socket& s, const sim_name& to) noexcept {
  if (to.size == 0 || to.family() != s.family) return -EINVAL;
  if (s.type == SOCK_DGRAM) {
    s.what = kind::datagram;
    s.remote = to;
    return 0;
  }
  if (s.what != kind::fresh && s.what != kind::bound) return -EISCONN;
  sim_host* const there = machine_of(to);
  if (there == nullptr) return -ENETUNREACH;
  if (!to.inet() && there->listener_for(to) == nullptr) {
    const std::string path = to.place();
    return path.empty() || path[0] == '\0' || paths_.contains(path) ? -ECONNREFUSED : -ENOENT;
  }
  s.what = kind::connecting;
  const std::string myself = s.family == AF_INET6 ? "::1" : "127.0.0.1";
  s.remote = to.wildcard() ? sim_name::of(s.family, myself, to.port()) : to;
  if (s.local.size == 0) {
    s.local = to.inet() ? sim_name::of(s.family, there == this ? myself : address_, free_port())
                        : sim_name::none(AF_UNIX);
  }
  network_.deliver(*this, *there, s.last_arrival, false,
                   [self = s.shared_from_this(), there] { there->knock(self); });
  return -EAGAIN;
}

void sim_host::knock(const std::shared_ptr<sim_socket>& from) noexcept {
  if (from->what != kind::connecting || from->closed) return;
  const auto listener = alive_ ? listener_for(from->remote) : nullptr;
  if (listener != nullptr && listener->queue.size() >= listener->backlog) {
    // The kernel drops the request, and the client's repeats it, to whoever is there then.
    const auto again =
        from->remote.inet() ? std::chrono::milliseconds(1000) : std::chrono::milliseconds(1);
    network_.all.after(again, &network_, [from] {
      sim_host& client = *from->host;
      sim_host& there = *client.machine_of(from->remote);
      client.network().deliver(client, there, from->last_arrival, false,
                               [from, &there] { there.knock(from); });
    });
    return;
  }
  if (listener != nullptr) {
    auto end = std::make_shared<sim_socket>(*this, from->family, from->type);
    end->local = from->remote;
    end->remote = from->local;
    end->options = listener->options;
    end->capacity = listener->capacity;
    join(*end, *from);
    from->what = kind::connecting;  // until the answer is there
    listener->queue.push_back(std::move(end));
    listener->changed();
  }
  network_.deliver(*this, *from->host, from->last_arrival, false,
                   [from, refused = listener == nullptr] {
                     if (from->what != kind::connecting || from->closed) return;
                     from->what = refused ? kind::fresh : kind::stream;
                     if (refused) from->error = ECONNREFUSED;
                     from->changed();
                   });
}

int sim_host::connect(int fd, const sockaddr* to, socklen_t size) noexcept {
  const auto s = at(fd);
  if (s == nullptr) return fail(EBADF);
  const int n = start_connect(*s, sim_name(to, size));
  if (n != -EAGAIN) return n == 0 ? 0 : fail(-n);
  if (s->what == kind::stream) return 0;  // within one machine it takes no time
  return fail(s->error != 0 ? std::exchange(s->error, 0) : EINPROGRESS);
}

int sim_host::accept(sim_socket& listener) noexcept {
  if (!alive_) return -ENETDOWN;
  if (listener.what != kind::listener) return -EINVAL;
  if (listener.queue.empty()) return -EAGAIN;
  const int fd = open(listener.queue.front());
  if (fd < 0) return -errno;
  listener.queue.pop_front();
  return fd;
}

int sim_host::receive(sim_socket& s, void* to, std::size_t most) noexcept {
  if (!alive_) return -ENETDOWN;
  sim_network& net = network_;
  if (!s.messages.empty()) {
    const std::size_t n = std::min(most, s.messages.front().size());
    std::memcpy(to, s.messages.front().data(), n);
    s.under_way -= s.messages.front().size();
    s.messages.pop_front();
    return static_cast<int>(n);
  }
  std::size_t n = std::min(most, s.available());
  if (n > 0) {
    if (net.reset_one_in != 0 && s.what == kind::stream &&
        net.all.one_in(net.reset_one_in, sim::site::fault)) {
      net.reset(s);
      return -ECONNRESET;
    }
    if (n > 1 && net.all.one_in(net.short_one_in, sim::site::size))
      n = 1 + net.all.choose(static_cast<std::uint32_t>(n), sim::site::size);
    std::memcpy(to, s.bytes.data() + s.taken, n);
    s.taken += n;
    if (2 * s.taken >= s.bytes.size()) {
      s.bytes.erase(0, s.taken);
      s.taken = 0;
    }
    if (s.peer != nullptr) s.peer->changed();  // there is room again
    return static_cast<int>(n);
  }
  if (s.error != 0) return -std::exchange(s.error, 0);
  if (s.ended) return 0;
  if (s.what != kind::stream && s.what != kind::datagram && s.what != kind::pipe) return -ENOTCONN;
  return -EAGAIN;
}

int sim_host::send_datagram(sim_socket& s, const void* from, std::size_t bytes) noexcept {
  std::shared_ptr<sim_socket> to = s.peer;
  if (to == nullptr) {
    if (s.remote.size == 0) return -EDESTADDRREQ;
    sim_host* const there = machine_of(s.remote);
    if (there == nullptr) return -ENETUNREACH;
    const auto at = std::ranges::find_if(there->bound_, [&](const auto& b) {
      return b->type == SOCK_DGRAM && b->local.port() == s.remote.port() &&
             (b->local.wildcard() || b->local.place() == s.remote.place());
    });
    if (at == there->bound_.end()) return static_cast<int>(bytes);  // nobody hears it
    to = *at;
  }
  clock::time_point any_order{};
  network_.deliver(*this, *to->host, any_order, true,
                   [to, text = std::string(static_cast<const char*>(from), bytes)] {
                     if (to->closed || to->under_way + text.size() > to->capacity) return;
                     to->under_way += text.size();
                     to->messages.push_back(text);
                     to->changed();
                   });
  return static_cast<int>(bytes);
}

int sim_host::send(sim_socket& s, const void* from, std::size_t bytes) noexcept {
  if (!alive_) return -ENETDOWN;
  if (s.what == kind::datagram) return send_datagram(s, from, bytes);
  sim_network& net = network_;
  if (s.error != 0 && s.peer_gone) return -std::exchange(s.error, 0);
  if (s.shut || s.peer_gone) return -EPIPE;
  if (s.peer == nullptr) return -ENOTCONN;
  if (net.reset_one_in != 0 && s.what == kind::stream &&
      net.all.one_in(net.reset_one_in, sim::site::fault)) {
    net.reset(s);
    return -ECONNRESET;
  }
  const std::shared_ptr<sim_socket> peer = s.peer;
  if (peer->closed && (s.family == AF_UNIX || s.what == kind::pipe)) return -EPIPE;
  const std::size_t used = peer->closed ? 0 : peer->available() + peer->under_way;
  if (used >= peer->capacity) return -EAGAIN;
  std::size_t n = std::min(bytes, peer->capacity - used);
  if (n > 1 && net.all.one_in(net.short_one_in, sim::site::size))
    n = 1 + net.all.choose(static_cast<std::uint32_t>(n), sim::site::size);
  peer->under_way += n;
  net.deliver(
      *this, *peer->host, peer->last_arrival, false,
      [self = s.shared_from_this(), peer, text = std::string(static_cast<const char*>(from), n)] {
        peer->under_way -= text.size();
        if (peer->closed) {  // nobody is there any more: the answer is a reset
          sim_host& there = *peer->host;
          there.network().deliver(there, *self->host, self->last_arrival, false,
                                  [self] { break_off(*self); });
        } else if (!peer->ended) {  // else it was broken off meanwhile

          peer->bytes += text;
        }
        peer->changed();
      });
  return static_cast<int>(n);
}

int sim_host::shut_down(sim_socket& s) noexcept {
  if (s.peer == nullptr || s.what != kind::stream) return -ENOTCONN;
  if (std::exchange(s.shut, true)) return 0;
  const std::shared_ptr<sim_socket> peer = s.peer;
  network_.deliver(*this, *peer->host, peer->last_arrival, false, [peer] {
    peer->ended = true;
    peer->changed();
  });
  return 0;
}

// The last descriptor is gone. As in tcp(7) and unix(7), unread data make the peer's end a reset.
void sim_host::end(sim_socket& s, bool abort) noexcept {
  s.closed = true;
  std::erase_if(bound_, [&](const auto& b) { return b.get() == &s; });
  for (const auto& waiting : std::exchange(s.queue, {})) end(*waiting, true);
  const std::shared_ptr<sim_socket> peer = s.peer;
  if (peer == nullptr) return;
  abort = s.what == kind::stream && (abort || s.available() > 0 || s.reset_on_close);
  const bool known = s.family == AF_UNIX || s.what == kind::pipe;
  network_.deliver(*this, *peer->host, peer->last_arrival, false, [peer, abort, known] {
    if (abort) break_off(*peer);
    peer->ended = true;
    peer->peer_gone = peer->peer_gone || known;
    peer->changed();
  });
  if (peer->closed) s.peer = peer->peer = nullptr;  // they held each other
}

int sim_host::close(int fd) noexcept {
  const auto found = open_.find(fd);
  if (found == open_.end()) return fd < first_descriptor ? os_calls::close(fd) : fail(EBADF);
  const std::shared_ptr<sim_socket> s = std::move(found->second);
  open_.erase(found);
  if (--s->references == 0) end(*s, false);
  return 0;
}

int sim_host::duplicate(int fd) noexcept {
  auto s = at(fd);
  if (s == nullptr) return fail(EBADF);
  return open(std::move(s));
}

int sim_host::make_non_blocking(int fd) noexcept {
  return at(fd) != nullptr ? 0 : os_calls::make_non_blocking(fd);
}

int sim_host::set_option(int fd, int level, int name, const void* value, socklen_t size) noexcept {
  const auto s = at(fd);
  if (s == nullptr) return fail(EBADF);
  if (s->what == kind::pipe) return fail(ENOTSOCK);
  if (name < 0) return fail(ENOPROTOOPT);
  int number = 0;
  std::memcpy(&number, value, std::min<std::size_t>(size, sizeof number));
  if (level == SOL_SOCKET && name == SO_REUSEPORT) s->shares_port = number != 0;
  if (level == SOL_SOCKET && name == SO_LINGER)
    s->reset_on_close = number != 0 && static_cast<const linger*>(value)->l_linger == 0;
  if (level == SOL_SOCKET && (name == SO_RCVBUF || name == SO_SNDBUF)) {
    const auto bytes = static_cast<std::size_t>(std::max(2 * number, 4608));
    s->capacity = std::min(s->capacity, bytes);
    if (s->peer != nullptr) s->peer->capacity = std::min(s->peer->capacity, bytes);
  }
  s->options[{level, name}] = number;
  return 0;
}

int sim_host::option(int fd, int level, int name, void* value, socklen_t* size) noexcept {
  const auto s = at(fd);
  if (s == nullptr) return fail(EBADF);
  if (s->what == kind::pipe) return fail(ENOTSOCK);
  if (name < 0) return fail(ENOPROTOOPT);
  int number = 0;
  if (level == SOL_SOCKET && name == SO_ACCEPTCONN) {
    number = s->what == kind::listener ? 1 : 0;
  } else if (level == SOL_SOCKET && name == SO_PROTOCOL) {
    number = s->family != AF_UNIX && s->type == SOCK_STREAM ? IPPROTO_TCP : 0;
  } else if (level == SOL_SOCKET && name == SO_ERROR) {
    number = std::exchange(s->error, 0);
  } else if (const auto set = s->options.find({level, name}); set != s->options.end()) {
    number = set->second;
  }
  std::memcpy(value, &number, std::min<std::size_t>(*size, sizeof number));
  *size = sizeof number;
  return 0;
}

int sim_host::local_name(int fd, sockaddr* to, socklen_t* size) noexcept {
  const auto s = at(fd);
  if (s == nullptr) return fail(EBADF);
  (s->local.size != 0 ? s->local : sim_name::none(s->family)).copy_to(to, size);
  return 0;
}

int sim_host::peer_name(int fd, sockaddr* to, socklen_t* size) noexcept {
  const auto s = at(fd);
  if (s == nullptr) return fail(EBADF);
  if (s->what != kind::stream) return fail(ENOTCONN);
  (s->remote.size != 0 ? s->remote : sim_name::none(s->family)).copy_to(to, size);
  return 0;
}

int sim_host::mode(int fd, mode_t& mode) noexcept {
  const auto s = at(fd);
  if (s == nullptr) return fd < first_descriptor ? os_calls::mode(fd, mode) : fail(EBADF);
  mode = s->what == kind::pipe ? S_IFIFO : S_IFSOCK;
  return 0;
}

int sim_host::mode(const char* path, mode_t& mode) noexcept {
  if (!paths_.contains(path)) return fail(ENOENT);
  mode = S_IFSOCK;
  return 0;
}

int sim_host::unlink(const char* path) noexcept {
  return paths_.erase(path) > 0 ? 0 : fail(ENOENT);
}

int sim_host::pair(int family, int type, int (&ends)[2]) noexcept {
  const auto a = std::make_shared<sim_socket>(*this, family, type);
  const auto b = std::make_shared<sim_socket>(*this, family, type);
  join(*a, *b);
  if ((ends[0] = open(a)) < 0) return -1;
  if ((ends[1] = open(b)) >= 0) return 0;
  const int error = errno;
  close(ends[0]);
  return fail(error);
}

int sim_host::pipe(int (&ends)[2]) noexcept {
  if (pair(AF_UNIX, SOCK_STREAM, ends) != 0) return -1;
  at(ends[0])->what = at(ends[1])->what = kind::pipe;
  at(ends[0])->shut = true;
  return 0;
}

}  // namespace corespun::detail
