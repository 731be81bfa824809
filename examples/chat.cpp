// chat: rooms on all cores. Lines go to everybody in the room; a reader that is too slow is cut
// off.
//
// Try it: nc 127.0.0.1 PORT, then /join ROOM, then talk. /quit leaves.
//
// A room is shared between cores, so it is guarded by a mutex that is held for a few instructions.
// Each member has a bounded outbox: the reader task of one connection puts lines into the outboxes
// of all, the writer task of each empties its own.

#include "server.hpp"

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

using namespace corespun;

/// Lines on their way to one member. put() from any core, take() by the member's writer.
class outbox {
 public:
  static constexpr std::size_t limit_bytes = 64 * 1024;

  void put(const std::string& line) {
    const std::lock_guard lock(mutex_);
    if (text_.size() + line.size() > limit_bytes) {
      too_slow_.open();
    } else {
      text_ += line;
      filled_->open();
    }
  }

  /// All that waits.
  task<std::string> take() {
    while (true) {
      std::shared_ptr<event> filled;
      {
        const std::lock_guard lock(mutex_);
        if (!text_.empty()) co_return std::exchange(text_, {});
        if (filled_->is_open()) filled_ = std::make_shared<event>();
        filled = filled_;
      }
      co_await filled->wait();
    }
  }

  /// Opens when a line found no room.
  [[nodiscard]] event& too_slow() { return too_slow_; }

 private:
  std::mutex mutex_;
  std::string text_;
  std::shared_ptr<event> filled_ = std::make_shared<event>();
  event too_slow_;
};

class rooms {
 public:
  void join(const std::string& room, const std::shared_ptr<outbox>& who) {
    const std::lock_guard lock(mutex_);
    members_[room].insert(who);
  }
  void leave(const std::string& room, const std::shared_ptr<outbox>& who) {
    const std::lock_guard lock(mutex_);
    const auto at = members_.find(room);
    if (at == members_.end()) return;
    at->second.erase(who);
    if (at->second.empty()) members_.erase(at);
  }
  void say(const std::string& room, const std::string& line) {
    const std::lock_guard lock(mutex_);
    for (const auto& member : members_[room]) member->put(line);
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::set<std::shared_ptr<outbox>>> members_;
};

/// A connection's place in a room, given up however its task ends.
class membership {
 public:
  membership(rooms& all, std::shared_ptr<outbox> box) : all_(all), box_(std::move(box)) {}
  membership(const membership&) = delete;
  membership& operator=(const membership&) = delete;
  ~membership() { move_to(""); }

  void move_to(const std::string& room) {
    if (!room_.empty()) all_.leave(room_, box_);
    room_ = room;
    if (!room_.empty()) all_.join(room_, box_);
  }
  void say(const std::string& line) { all_.say(room_, line); }

 private:
  rooms& all_;
  std::shared_ptr<outbox> box_;
  std::string room_;
};

task<> write_lines(tcp_stream& stream, outbox& box) {
  while (true) {
    std::string text = co_await box.take();
    result<> sent = co_await stream.write_all(text);
    if (!sent) break;
  }
}

task<> read_lines(tcp_stream& stream, membership& place, std::string name) {
  std::string rest;
  while (true) {
    result<lease> data = co_await stream.recv();
    if (!data || data->empty()) co_return;
    rest += data->text();
    for (std::size_t end; (end = rest.find('\n')) != std::string::npos; rest.erase(0, end + 1)) {
      std::string line = rest.substr(0, end);
      if (line.ends_with('\r')) line.pop_back();
      if (line == "/quit") co_return;
      if (line.starts_with("/join ")) {
        place.move_to(line.substr(6));
        place.say(name + " joined\n");
      } else {
        place.say(name + ": " + line + "\n");
      }
    }
    if (rest.size() > 4096) co_return;  // a line without end
  }
}

task<> member(tcp_stream stream, rooms& all) {
  result<address> peer = stream.peer_address();
  if (!peer) co_return;
  const std::string name = "guest" + std::to_string(peer->port());
  const auto box = std::make_shared<outbox>();
  membership place(all, box);
  place.move_to("lobby");
  place.say(name + " joined\n");
  // The first to end ends the others: the peer leaves, cannot be written to, or reads too slowly.
  auto ended = co_await when_any(read_lines(stream, place, name), write_lines(stream, *box),
                                 box->too_slow().wait());
  if (ended.index == 2) std::fprintf(stderr, "%s reads too slowly and was cut off\n", name.c_str());
  place.say(name + " left\n");
}

int main(int argc, char** argv) {
  const example::server_options settings = example::parse(argc, argv, "a chat with rooms");
  options o;
  o.cores = settings.cores;
  rooms all;
  auto start = [&]() -> task<int> {
    auto handler = [&all](tcp_stream stream) { return member(std::move(stream), all); };
    co_return co_await example::listen_and_serve(address::loopback(settings.port), handler);
  };
  return run(start, o);
}
