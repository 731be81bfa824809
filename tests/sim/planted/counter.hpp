#pragma once
// A counter on a server, and clients that add to it. docs/simulation.md works with it.
//
// A request is the line "CLIENT NUMBER AMOUNT", the answer is the new total. A client that gets no
// answer asks again on a new connection. The planted bug: the server may have carried out the first
// request, and adds a second time. The fix: it knows a request again by its number.

#include <corespun/net/connect.hpp>
#include <corespun/net/serve.hpp>
#include <corespun/runtime/buggify.hpp>

#include <chrono>
#include <map>
#include <sstream>
#include <string>

namespace corespun::planted {

enum class repeated { is_added_again, is_known_again };

class counter {
 public:
  explicit counter(repeated what) : repeated_(what) {}

  long carry_out(const std::string& request) {
    std::istringstream in(request);
    unsigned client = 0;
    unsigned number = 0;
    long amount = 0;
    in >> client >> number >> amount;
    const bool again = latest_[client] == number;
    if (again) sim::probe("a request came twice");
    if (again && repeated_ == repeated::is_known_again) return total_;
    latest_[client] = number;
    return total_ += amount;
  }
  [[nodiscard]] long total() const { return total_; }

 private:
  repeated repeated_;
  std::map<unsigned, unsigned> latest_;  // request by client; they count from 1
  long total_ = 0;
};

/// A line without its end.
inline task<result<std::string>> read_line(tcp_stream& s) {
  std::string line;
  while (!line.ends_with('\n')) {
    const result<lease> data = co_await s.recv();
    if (!data) co_return std::unexpected(data.error());
    if (data->empty()) co_return std::unexpected(make_error_code(errc::end_of_stream));
    line += data->text();
  }
  line.pop_back();
  co_return line;
}

inline task<> answer(tcp_stream stream, counter& all) {
  auto reading = read_line(stream);
  const result<std::string> request = co_await std::move(reading);
  if (!request) co_return;
  const std::string total = std::to_string(all.carry_out(*request)) + "\n";
  (void)co_await stream.write_all(total);
}

/// On one core: the counter has no lock.
inline task<> counter_server(counter& all) {
  result<tcp_listener> listener = tcp_listener::bind(address::any(7000));
  auto handler = [&all](tcp_stream s) { return answer(std::move(s), all); };
  auto serving = serve(std::move(*listener), handler);
  (void)co_await std::move(serving);
}

inline task<result<std::string>> ask(address server, std::string request) {
  result<tcp_stream> s = co_await connect(server);
  if (!s) co_return std::unexpected(s.error());
  const result<> sent = co_await s->write_all(request);
  if (!sent) co_return std::unexpected(sent.error());
  auto reading = read_line(*s);
  co_return co_await std::move(reading);
}

inline task<> add(address server, unsigned client, unsigned number, long amount) {
  using namespace std::chrono_literals;
  const std::string request =
      std::to_string(client) + " " + std::to_string(number) + " " + std::to_string(amount) + "\n";
  while (true) {
    auto asking = ask(server, request);
    const result<std::string> total = co_await with_timeout(2s, std::move(asking));
    if (total) co_return;
    sim::probe("a client asks again");
    co_await sleep_for(100ms);
  }
}

}  // namespace corespun::planted
