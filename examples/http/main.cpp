// http: answers GET and HEAD of / with a short text over HTTP/1.1, on all cores.
//
// Try it: curl -v http://127.0.0.1:PORT/
//
// All requests of one read are answered by one write. A connection that completes no request within
// the limit is closed, be it idle, be its requests or its reading slow. That takes one timer for
// each connection, which looks at the clock no more often than the limit says.

#include "../server.hpp"
#include "../stats.hpp"
#include "request.hpp"

#include <array>
#include <chrono>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

using namespace corespun;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view text = "hello\n";

/// An idle connection keeps no more than this for its answers.
constexpr std::size_t kept_bytes = 4 * 1024;
/// How much is read, and for how long, of what a peer sends after its last answer.
constexpr std::size_t most_read_after = 2 * http::request_reader::most_body_bytes;
constexpr auto longest_read_after = 1s;

std::string_view status_line(int status) {
  switch (status) {
    case 200: return "HTTP/1.1 200 OK\r\n";
    case 404: return "HTTP/1.1 404 Not Found\r\n";
    case 405: return "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\n";
    case 413: return "HTTP/1.1 413 Content Too Large\r\n";
    case 417: return "HTTP/1.1 417 Expectation Failed\r\n";
    case 431: return "HTTP/1.1 431 Request Header Fields Too Large\r\n";
    case 501: return "HTTP/1.1 501 Not Implemented\r\n";
    case 505: return "HTTP/1.1 505 HTTP Version Not Supported\r\n";
    default: return "HTTP/1.1 400 Bad Request\r\n";
  }
}

int status_of(const http::request& r) {
  if (r.status != 0) return r.status;
  if (r.method == http::verb::unknown) return 501;
  if (r.path != "/") return 404;
  return r.method == http::verb::other ? 405 : 200;
}

/// Writes answers. Each core has one, since all its answers of one second have the same date.
class author {
 public:
  void write(std::string& out, const http::request& r) {
    const int status = status_of(r);
    if (status == 200 && r.method == http::verb::get && r.keep_alive && !r.http_1_0) {
      out += hello_;
      return;
    }
    const std::string_view body = status == 200 ? text : "";
    out += status_line(status);
    if (!r.keep_alive) out += "Connection: close\r\n";
    if (r.keep_alive && r.http_1_0) out += "Connection: keep-alive\r\n";
    write_rest(out, body);
    if (r.method != http::verb::head) out += body;
  }

  void look_at_clock(clock::time_point now) {
    if (now < next_second_) return;
    const auto wall = std::chrono::system_clock::now();
    const auto second = std::chrono::floor<std::chrono::seconds>(wall);
    next_second_ = now + (second + 1s - wall);
    const std::time_t time = std::chrono::system_clock::to_time_t(second);
    std::tm parts{};
    gmtime_r(&time, &parts);
    std::array<char, 64> date{};
    date_.assign(date.data(), std::strftime(date.data(), date.size(),
                                            "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts));
    hello_ = status_line(200);
    write_rest(hello_, text);
    hello_ += text;
  }

 private:
  void write_rest(std::string& out, std::string_view body) const {
    out += date_;
    out += "Content-Type: text/plain\r\nContent-Length: ";
    out += std::to_string(body.size());
    out += "\r\n\r\n";
  }

  clock::time_point next_second_ = clock::time_point::min();
  std::string date_;
  std::string hello_;  // the answer that is wanted most
};

struct site {
  site(unsigned cores, clock::duration limit, bool multishot)
      : counts(std::make_shared<std::vector<example::counters>>(cores)),
        authors(cores),
        limit(limit),
        multishot(multishot) {}
  example::all_counters counts;
  std::vector<author> authors;
  clock::duration limit;
  bool multishot;
};

/// The last answer arrives only if nothing that the peer has sent stays unread.
task<> see_off(tcp_stream& stream) {
  (void)co_await stream.shutdown_write();
  const auto read = [](tcp_stream& from) -> task<> {
    for (std::size_t bytes = 0; bytes < most_read_after;) {
      result<lease> data = co_await from.recv();
      if (!data || data->empty()) break;
      bytes += data->size();
    }
  };
  auto reading = read(stream);
  (void)co_await with_timeout(longest_read_after, std::move(reading));
}

task<> answer(tcp_stream& stream, site& all, clock::time_point& due) {
  example::counters& count = (*all.counts)[this_core::index()];  // a connection stays on its core
  author& writer = all.authors[this_core::index()];
  example::count(count.connections);
  http::request_reader reader;
  std::string answers;
  while (true) {
    result<lease> data = co_await stream.recv();
    if (!data || data->empty()) co_return;
    const clock::time_point now = clock::now();
    writer.look_at_clock(now);
    std::uint64_t requests = 0;
    std::string_view bytes = data->text();
    while (reader.found().keep_alive && reader.next(bytes)) {
      writer.write(answers, reader.found());
      ++requests;
    }
    *data = {};  // nobody else waits for a buffer because this peer is slow
    if (requests == 0) continue;
    due = now + all.limit;
    result<> sent = co_await stream.write_all(answers);
    if (!sent) co_return;
    example::count(count.requests, requests);
    answers.clear();
    if (answers.capacity() > kept_bytes) answers.shrink_to_fit();
    if (!reader.found().keep_alive) break;
  }
  auto seeing_off = see_off(stream);
  co_await std::move(seeing_off);
}

task<> wait_until(const clock::time_point& due) {
  while (clock::now() < due) co_await sleep_until(due);
}

task<> converse(tcp_stream stream, site& all) {
  if (all.multishot) stream.use_multishot();
  clock::time_point due = clock::now() + all.limit;
  auto answering = answer(stream, all, due);
  auto waiting = wait_until(due);
  (void)co_await when_any(std::move(answering), std::move(waiting));
}

}  // namespace

int main(int argc, char** argv) {
  bool stats = false;
  bool multishot = false;
  unsigned limit_ms = 30'000;
  const example::server_options settings = example::parse(
      argc, argv, "answers GET / over HTTP/1.1",
      {{"--stats", "print counters as JSON at the end, and at SIGUSR1", &stats},
       {"--multishot", "keep one receive armed for many messages (io_uring)", &multishot},
       {"--limit-ms", "close a connection without a complete request for that long; 30000", nullptr,
        &limit_ms}});
  options o;
  o.cores = settings.cores;
  auto start = [&](scope& s) -> task<int> {
    const auto all = std::make_shared<site>(this_core::count(), limit_ms * 1ms, multishot);
    auto handler = [all](tcp_stream stream) { return converse(std::move(stream), *all); };
    auto serving = example::listen_and_serve(address::loopback(settings.port), handler);
    if (stats) serving = example::with_stats(s, all->counts, std::move(serving));
    co_return co_await std::move(serving);
  };
  if (stats) example::hold_signals();
  return run(start, o);
}
