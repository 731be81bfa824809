#pragma once
// client: one process of the load generator. It opens its share of the connections, sends when the
// parent's phase says so, and checks what comes back.
//
// Method
//   - epoll, edge-triggered, both directions registered once; one clock reading per receive.
//   - A request has a point in time when it is due. In a closed loop that is when an earlier one
//     has come back; in an open loop the schedule says it, and the picker says which connection
//     the request goes to. Latency counts from there.
//   - What is due on a connection with a full pipeline waits in the queue of that connection. With
//     one queue for all, other connections would take over the requests of one that is stuck, and
//     nobody would see that it was. Users who each have their connection are not helped like that.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "options.hpp"
#include "picker.hpp"
#include "protocol.hpp"
#include "schedule.hpp"
#include "shared.hpp"
#include "time_queue.hpp"

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
    bool active = false;                 // takes part in warm_up and measure
    bool greeting = false;               // its first request is under way, and nothing else
    bool closing = false;                // to be made anew: sends nothing until then
    std::uint32_t under_way = 0;         // the first ones of `due`
    std::uint64_t started = 0;           // requests handed to send(), from the first to the last
    std::uint64_t waiting_since_ns = 0;  // for an answer: since the sending, or the answer before
    time_queue due;  // of requests that have not been answered
    stream bytes;
  };

  void look_at_phase();
  [[nodiscard]] bool drained() const noexcept;
  void open_more();
  void open(connection& c);
  void churn();
  connection* next_to_renew() noexcept;
  void start_sending();
  void take_due();
  connection* target(std::uint64_t due_ns);
  void wait_and_serve();
  void serve(connection& c, std::uint32_t events);
  bool receive(connection& c, bool ending);
  void finish(connection& c, std::uint64_t answers);
  void finish_greeting(connection& c, std::uint64_t now_ns);
  void finish_request(connection& c, std::uint64_t now_ns);
  void push(connection& c, std::uint64_t due_ns);
  void refill(connection& c, std::uint64_t now_ns);
  void start(connection& c, std::uint64_t now_ns);
  bool send(connection& c);
  void fail_late_ones();
  void look_for_starved(std::uint64_t now_ns);
  void fail(connection& c, failure kind, const char* what);
  void fail_by_errno(connection& c, const char* call);
  [[nodiscard]] bool in_window(std::uint64_t due_ns) const noexcept;

  const options& options_;
  const std::atomic<phase>& shared_phase_;
  client_result& result_;
  const std::unique_ptr<protocol> protocol_;

  phase phase_ = phase::connect;
  int epoll_ = -1;
  std::vector<connection> connections_;
  std::vector<connection*> targets_;  // the active ones
  picker picker_;  // of targets_, in an open loop
  schedule requests_;  // in an open loop
  schedule renewals_;  // of connections
  std::size_t last_renewed_ = 0;  // of connections_
  std::deque<connection*> to_open_;  // the first time, or anew, with nothing under way any more
  unsigned greeting_ = 0;  // connections
  unsigned most_greeting_ = 0;  // this client's share of options.connecting
  std::uint64_t unanswered_ = 0;  // requests of all connections, greetings included
  std::uint64_t window_from_ns_ = schedule::never;  // as this client has seen it
  std::uint64_t window_to_ns_ = schedule::never;
  std::vector<char> buffer_;
};

}  // namespace load
