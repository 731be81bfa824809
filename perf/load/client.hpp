#pragma once
// client: one process of the load generator. It opens its share of the connections, sends when the
// parent's phase says so, and checks what comes back.
//
// Method: epoll, edge-triggered, both directions registered once; one clock reading per receive.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "options.hpp"
#include "protocol.hpp"
#include "shared.hpp"

namespace load {

class client {
 public:
  /// The `number`-th of options.processes clients.
  client(const options& o, unsigned number, const std::atomic<phase>& now, client_result& result);

  /// Returns after phase::drain. Failed connections are counted in the result, not made again.
  void run();

 private:
  struct connection {
    int fd = -1;
    bool active = false;        // takes part in warm_up and measure
    std::uint64_t started = 0;  // messages
    std::uint64_t finished = 0;
    stream bytes;
  };

  void open_more();
  void open_one();
  void start_sending();
  void serve(connection& c, std::uint32_t events);
  bool receive(connection& c, bool ending);
  void finish_messages(connection& c, std::uint64_t answers);
  bool send(connection& c);
  void begin_message(connection& c, std::uint64_t now_ns);
  void fail_late_ones();
  void fail(connection& c, failure kind, const char* what);
  void fail_by_errno(connection& c, const char* call);

  /// When message `n` of the connection was begun; valid while it is under way.
  [[nodiscard]] std::uint64_t& begin_ns(const connection& c, std::uint64_t n) noexcept;
  [[nodiscard]] unsigned global_index(const connection& c) const noexcept;

  const options& options_;
  const unsigned number_;
  const std::atomic<phase>& shared_phase_;
  client_result& result_;
  const std::unique_ptr<protocol> protocol_;

  phase phase_ = phase::connect;
  int epoll_ = -1;
  unsigned opened_ = 0;          // of connections_
  unsigned waiting_ = 0;         // opened, without their first echo
  unsigned most_waiting_ = 0;    // this client's share of options.connecting
  std::uint64_t under_way_ = 0;  // messages of all connections
  std::vector<connection> connections_;
  std::vector<std::uint64_t> begins_ns_;  // options.pipeline for each connection
  std::vector<char> buffer_;
};

}  // namespace load
