#pragma once
// sim_kernel: the kernels of all machines of a simulated world, and the network between them.
//
//   sim_network   the machines, the links, and what is under way on them
//   sim_host      a process on a machine: its descriptors, names and ports; it answers os_calls
//   sim_socket    an end of a connection, a listener, a pipe or a datagram socket
//
// An operation that has to wait is a sim_wait: the driver that submitted it is told when it may be
// carried out, a while later (chance decides how long), and then takes the bytes. Until that moment
// a cancel finds them all still there; after it they are the operation's.
//
// Streams keep their order whatever the latency; a loss delays what follows. Datagrams are lost and
// overtake each other. Within one machine bytes arrive at once.
//
// Threads: the one that plays the simulation.

#include <corespun/io/detail/os.hpp>
#include <corespun/runtime/clock.hpp>
#include <corespun/runtime/detail/simulation.hpp>

#include <sys/un.h>

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace corespun::detail {

class sim_host;
class sim_network;
struct sim_socket;

/// Something that waits for a socket to change. Owned by a driver; linked into the sockets by
/// pointer, and gone from them before it ends.
class sim_wait {
 public:
  /// What it waits for may be there now.
  virtual void changed() noexcept = 0;

 protected:
  ~sim_wait() = default;
};

/// A socket address; compares as bytes.
struct sim_name {
  sockaddr_storage storage{};
  socklen_t size = 0;

  sim_name() = default;
  sim_name(const sockaddr* at, socklen_t bytes) noexcept;
  /// What a socket is called that has no name.
  [[nodiscard]] static sim_name none(int family) noexcept;
  /// `place` as place() tells it.
  [[nodiscard]] static sim_name of(int family, const std::string& place,
                                   std::uint16_t port) noexcept;
  [[nodiscard]] sa_family_t family() const noexcept { return storage.ss_family; }
  [[nodiscard]] bool inet() const noexcept { return family() == AF_INET || family() == AF_INET6; }
  /// the address without its port; the path of a Unix socket
  [[nodiscard]] std::string place() const;
  [[nodiscard]] std::uint16_t port() const noexcept;
  void set_port(std::uint16_t port) noexcept;
  [[nodiscard]] bool wildcard() const noexcept;
  [[nodiscard]] bool loopback() const noexcept;
  void copy_to(sockaddr* at, socklen_t* bytes) const noexcept;
};

struct sim_socket : std::enable_shared_from_this<sim_socket> {
  enum class kind : std::uint8_t { fresh, bound, listener, connecting, stream, datagram, pipe };

  sim_socket(sim_host& h, int family_, int type_) noexcept
      : host(&h), family(family_), type(type_) {}

  sim_host* host;
  int family;
  int type;
  kind what = kind::fresh;
  int references = 0;  // descriptors
  sim_name local;
  sim_name remote;
  std::map<std::pair<int, int>, int> options;
  bool shares_port = false;  // SO_REUSEPORT
  bool reset_on_close = false;  // SO_LINGER of no time

  // what has arrived
  std::string bytes;
  std::size_t taken = 0;  // of bytes
  std::deque<std::string> messages;  // datagrams; what exceeds the capacity is lost
  bool ended = false;  // the peer writes no more
  int error = 0;  // reported once what has arrived was read

  // what is under way to here
  std::size_t under_way = 0;
  clock::time_point last_arrival{};  // a stream keeps its order
  std::size_t capacity = 256 * 1024;

  // the other direction
  std::shared_ptr<sim_socket> peer;
  bool shut = false;  // we write no more
  bool peer_gone = false;  // we know that nobody reads what we write
  bool closed = false;  // no descriptor is left

  // listeners
  std::deque<std::shared_ptr<sim_socket>> queue;
  std::size_t backlog = 0;

  std::vector<sim_wait*> waiting;

  [[nodiscard]] std::size_t available() const noexcept { return bytes.size() - taken; }
  [[nodiscard]] bool readable() const noexcept;
  [[nodiscard]] bool writable() const noexcept;
  /// Tells all that wait here.
  void changed() noexcept;
};

/// One direction of the path between two machines.
struct sim_link {
  clock::duration shortest{};
  clock::duration longest{};
  std::uint32_t lost = 0;  // of a thousand
  bool cut = false;
  std::vector<std::function<void()>> held;  // while it is cut
};

class sim_host final : public os_calls {
 public:
  static constexpr int first_descriptor = 1 << 20;  // smaller ones are the real kernel's

  sim_host(sim_network& n, std::string address);
  ~sim_host() override;

  [[nodiscard]] sim_network& network() const noexcept { return network_; }
  [[nodiscard]] const std::string& address() const noexcept { return address_; }
  [[nodiscard]] std::size_t descriptors() const noexcept { return open_.size(); }
  /// nullptr: there is none.
  [[nodiscard]] std::shared_ptr<sim_socket> at(int fd) const noexcept;
  /// As when its process dies: the kernel closes all that was open, and opens nothing more.
  void die() noexcept;
  [[nodiscard]] bool alive() const noexcept { return alive_; }
  std::size_t descriptor_limit = 20'000;

  // --- what os_calls asks ---
  [[nodiscard]] int socket(int family, int type) noexcept override;
  [[nodiscard]] int bind(int fd, const sockaddr* at, socklen_t size) noexcept override;
  [[nodiscard]] int listen(int fd, int backlog) noexcept override;
  [[nodiscard]] int connect(int fd, const sockaddr* to, socklen_t size) noexcept override;
  int set_option(int fd, int level, int name, const void* value, socklen_t size) noexcept override;
  [[nodiscard]] int option(int fd, int level, int name, void* value,
                           socklen_t* size) noexcept override;
  [[nodiscard]] int local_name(int fd, sockaddr* at, socklen_t* size) noexcept override;
  [[nodiscard]] int peer_name(int fd, sockaddr* at, socklen_t* size) noexcept override;
  [[nodiscard]] int duplicate(int fd) noexcept override;
  int make_non_blocking(int fd) noexcept override;
  int close(int fd) noexcept override;
  [[nodiscard]] int mode(int fd, mode_t& mode) noexcept override;
  [[nodiscard]] int mode(const char* path, mode_t& mode) noexcept override;
  int unlink(const char* path) noexcept override;

  // --- the calls behind operations: bytes, a descriptor or -errno; -EAGAIN: it has to wait ---
  [[nodiscard]] int accept(sim_socket& listener) noexcept;
  /// Begins; the socket becomes a stream, or has an error, later.
  [[nodiscard]] int start_connect(sim_socket& s, const sim_name& to) noexcept;
  [[nodiscard]] int receive(sim_socket& s, void* to, std::size_t most) noexcept;
  [[nodiscard]] int send(sim_socket& s, const void* from, std::size_t bytes) noexcept;
  [[nodiscard]] int shut_down(sim_socket& s) noexcept;

  // --- for the other ends of tests ---
  [[nodiscard]] int pair(int family, int type, int (&ends)[2]) noexcept;
  [[nodiscard]] int pipe(int (&ends)[2]) noexcept;
  [[nodiscard]] int open(std::shared_ptr<sim_socket> s) noexcept;

  [[nodiscard]] std::shared_ptr<sim_socket> listener_for(const sim_name& to) noexcept;

 private:
  [[nodiscard]] bool taken(const sim_socket& s, const sim_name& at) const noexcept;
  [[nodiscard]] std::uint16_t free_port() noexcept;
  [[nodiscard]] sim_host* machine_of(const sim_name& to) noexcept;
  /// A request to connect has arrived here.
  void knock(const std::shared_ptr<sim_socket>& from) noexcept;
  [[nodiscard]] int send_datagram(sim_socket& s, const void* from, std::size_t bytes) noexcept;
  void end(sim_socket& s, bool abort) noexcept;
  static void join(sim_socket& a, sim_socket& b) noexcept;

  sim_network& network_;
  std::string address_;
  std::map<int, std::shared_ptr<sim_socket>> open_;
  std::vector<std::shared_ptr<sim_socket>> bound_;  // have a name
  std::set<std::string> paths_;  // of Unix sockets
  std::uint16_t next_port_ = 32768;
  bool alive_ = true;
};

class sim_network {
 public:
  explicit sim_network(simulation& s) noexcept : all(s) {}

  simulation& all;
  clock::duration shortest = std::chrono::microseconds(50);
  clock::duration longest = std::chrono::microseconds(500);
  std::uint32_t short_one_in = 4;  // transfers that move less than they could
  std::uint32_t reset_one_in = 0;  // transfers at which the connection breaks

  /// The newest process there; nullptr: there never was one.
  [[nodiscard]] sim_host* host_at(const std::string& address) noexcept;
  [[nodiscard]] sim_link& link(const std::string& from, const std::string& to);
  void heal();
  /// Calls fn when what leaves now has arrived. `last`: when the one before arrives; what may not
  /// be lost comes after it.
  void deliver(const sim_host& from, const sim_host& to, clock::time_point& last, bool may_be_lost,
               std::function<void()> fn);
  /// A connection breaks: this end learns it now, the other one later.
  void reset(sim_socket& s) noexcept;

  std::vector<sim_host*> hosts;

 private:
  std::map<std::pair<std::string, std::string>, sim_link> links_;  // by address
};

}  // namespace corespun::detail
