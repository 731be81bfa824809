// chat: rooms on all cores, as in examples/chat.cpp. Each talker hears every line of its room once
// and in the order of its sender; who reads too slowly is cut off.

#include <corespun/net/connect.hpp>
#include <corespun/net/serve.hpp>
#include <corespun/runtime/buggify.hpp>
#include <corespun/runtime/event.hpp>
#include <corespun/runtime/when.hpp>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "tests/sim/suite/suite.hpp"

namespace corespun::suite {
namespace {

using namespace std::chrono_literals;

constexpr const char* probes[] = {
    "a line waited for its reader", "a reader was cut off", "a reader saw that it was cut off",
    "a line came in two parts",     "a talker heard all",
};

constexpr std::size_t outbox_bytes = 2048;
constexpr unsigned rooms = 2;
constexpr unsigned lines = 25;
constexpr std::size_t line_bytes = 200;

// --- the server; one thread plays all cores, and no task waits while it holds these, so that they
// need no mutex ---

struct outbox {
  std::string text;
  std::shared_ptr<event> filled = std::make_shared<event>();
  event too_slow;

  void put(const std::string& line) {
    if (text.size() + line.size() > outbox_bytes) {
      too_slow.open();
      return;
    }
    if (!text.empty()) sim::probe("a line waited for its reader");
    text += line;
    filled->open();
  }
  task<std::string> take() {
    while (text.empty()) {
      if (filled->is_open()) filled = std::make_shared<event>();
      const std::shared_ptr<event> more = filled;
      co_await more->wait();
    }
    co_return std::exchange(text, {});
  }
};

using room = std::vector<std::shared_ptr<outbox>>;

struct membership {
  membership(room& r, const std::shared_ptr<outbox>& b) : in(r), box(b) { in.push_back(box); }
  membership(const membership&) = delete;
  membership& operator=(const membership&) = delete;
  ~membership() { std::erase(in, box); }
  room& in;
  std::shared_ptr<outbox> box;
};

task<> write_lines(tcp_stream& stream, outbox& box) {
  while (true) {
    auto waiting = box.take();
    const std::string text = co_await std::move(waiting);
    const result<> sent = co_await stream.write_all(text);
    if (!sent) break;
  }
}

/// Splits what arrives into lines.
class line_reader {
 public:
  explicit line_reader(tcp_stream& s) noexcept : stream_(&s) {}
  /// An error, or an empty line at the end.
  task<result<std::string>> next() {
    std::size_t end = 0;
    while ((end = rest_.find('\n')) == std::string::npos) {
      if (!rest_.empty()) sim::probe("a line came in two parts");
      const result<lease> data = co_await stream_->recv();
      if (!data) co_return std::unexpected(data.error());
      if (data->empty()) co_return std::string();
      rest_ += data->text();
    }
    std::string line = rest_.substr(0, end + 1);
    rest_.erase(0, end + 1);
    co_return line;
  }

 private:
  tcp_stream* stream_;
  std::string rest_;
};

task<> read_lines(tcp_stream& stream, const room& in) {
  line_reader reader(stream);
  while (true) {
    auto waiting = reader.next();
    const result<std::string> line = co_await std::move(waiting);
    if (!line || line->empty()) co_return;
    for (const auto& member : room(in)) member->put(*line);
  }
}

task<> member(tcp_stream stream, room* all) {
  line_reader reader(stream);
  auto first = reader.next();
  const result<std::string> which = co_await std::move(first);
  if (!which || which->empty()) co_return;
  room& in = all[which->front() - '0'];
  const auto box = std::make_shared<outbox>();
  const membership place(in, box);
  box->put("welcome\n");
  const auto ended =
      co_await when_any(read_lines(stream, in), write_lines(stream, *box), box->too_slow.wait());
  if (ended.index == 2) sim::probe("a reader was cut off");
}

task<> server() {
  room all[rooms];
  auto handler = [&all](tcp_stream stream) { return member(std::move(stream), all); };
  result<tcp_listener> listener = tcp_listener::bind(address::any(7777));
  require(listener.has_value(), "bind");
  auto serving = serve(std::move(*listener), handler);
  (void)co_await std::move(serving);
}

// --- those who talk ---

struct shared {
  event go;  // all have joined
  unsigned joined = 0;
  unsigned finished = 0;
  unsigned slow_left = 0;  // slow readers that were not cut off yet
  unsigned talkers[rooms] = {};
};

/// "NAME NUMBER xxx…\n"
std::string line_of(unsigned name, unsigned number) {
  std::string text = std::to_string(name) + " " + std::to_string(number) + " ";
  text.resize(line_bytes, 'x');
  return text + "\n";
}

/// Checks the line and says whose it was.
unsigned heard(std::map<unsigned, unsigned>& next, const std::string& line) {
  const auto name = static_cast<unsigned>(std::stoul(line));
  const unsigned number = next[name]++;
  require(line == line_of(name, number), "a line is lost, came twice or is torn: " + line);
  return name;
}

task<tcp_stream> join(shared& all, unsigned which) {
  co_await sleep_for(100ms);  // the server listens
  result<tcp_stream> s = co_await connect(*address::parse("10.0.0.1:7777"));
  require(s.has_value(), "connect");
  const std::string name = std::to_string(which) + "\n";
  const result<> sent = co_await s->write_all(name);
  require(sent.has_value(), "join");
  ++all.joined;
  co_return std::move(*s);
}

task<> talker(std::shared_ptr<shared> all, unsigned name, unsigned which) {
  auto joining = join(*all, which);
  tcp_stream stream = co_await std::move(joining);
  line_reader reader(stream);
  std::map<unsigned, unsigned> next;
  unsigned said = 0;
  auto welcome = reader.next();
  const result<std::string> greeted = co_await std::move(welcome);
  require(greeted && *greeted == "welcome\n", "the first line is not the welcome");
  co_await all->go.wait();
  for (unsigned left = lines * all->talkers[which]; left > 0; --left) {
    if (said == next[name] && said < lines) {  // the last one has come back
      const std::string line = line_of(name, said++);
      const result<> sent = co_await stream.write_all(line);
      require(sent.has_value(), "write");
    }
    auto waiting = reader.next();
    const result<std::string> line = co_await std::move(waiting);
    require(line && !line->empty(), "a talker was cut off");
    (void)heard(next, *line);
  }
  sim::probe("a talker heard all");
  ++all->finished;
}

/// Reads nothing until all is over, and then finds the end of its connection.
task<> slow_reader(std::shared_ptr<shared> all, unsigned which, std::shared_ptr<event> over) {
  auto joining = join(*all, which);
  tcp_stream stream = co_await std::move(joining);
  const result<> small = stream.set_option(SOL_SOCKET, SO_RCVBUF, 1024);
  require(small.has_value(), "set_option");
  co_await over->wait();
  std::size_t bytes = 0;
  while (true) {
    const result<lease> data = co_await stream.recv();
    if (!data || data->empty()) break;
    bytes += data->size();
  }
  require(bytes < all->talkers[which] * lines * line_bytes, "a slow reader was not cut off");
  sim::probe("a reader saw that it was cut off");
  --all->slow_left;
}

void play(sim::world& w) {
  const auto all = std::make_shared<shared>();
  const auto over = std::make_shared<event>();
  io_options io;
  io.small_buffers = 1U << w.choose(4);
  io.large_buffers = 1;
  const auto s = w.host("10.0.0.1", server, 1 + w.choose(4), io);
  const unsigned talkers = 3 + w.choose(4);
  std::vector<sim::machine> others;
  const auto person = [&](auto main) {
    others.push_back(w.host("10.0.1." + std::to_string(others.size()), main));
    const auto shortest = 1ms * (1 + w.choose(5));
    w.link(others.back(), s).latency(shortest, shortest + 1ms * w.choose(5));
    if (w.choose(4) == 0) w.link(others.back(), s).loss(0.02);
  };
  for (unsigned name = 0; name < talkers; ++name) {
    const unsigned which = name < 3 ? 0 : w.choose(rooms);  // at least three in the first
    ++all->talkers[which];
    person([all, name, which] { return talker(all, name, which); });
  }
  if (w.choose(2) == 0) {
    ++all->slow_left;
    person([all, over] { return slow_reader(all, 0, over); });
  }
  w.run_until([&] { return all->joined == others.size(); });
  w.run_for(10s);  // the names of the rooms have arrived
  all->go.open();
  if (w.choose(3) == 0) {
    const sim::machine apart = others[w.choose(static_cast<std::uint32_t>(others.size()))];
    w.run_for(1ms * w.choose(100));
    w.partition(s, apart);
    w.run_for(1s * w.choose(5));
    w.heal();
  }
  if (w.choose(3) == 0) {
    w.pause(s);
    w.run_for(2s);
    w.resume(s);
  }
  w.run_until([&] { return all->finished == talkers; });
  over->open();
  w.run_until([&] { return all->slow_left == 0; });
}

}  // namespace

const scenario chat{"chat", "rooms with talkers, and readers that are too slow", play, probes};

}  // namespace corespun::suite
