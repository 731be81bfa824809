// actor: a coroutine with a mailbox. Only its messages reach it, one at a time, so its state, the
// locals of the coroutine, needs no lock. Who tells it something goes on at once: so two actors may
// tell each other, while two coroutines that send to each other would have to run twice at once.
// The one to use is in corespun/runtime/actor.hpp: a task, on any core, with a bounded mailbox.

#include <corespun/runtime/coroutine.hpp>

#include <cstdio>
#include <queue>
#include <string>

using namespace corespun;

class actor {
 public:
  explicit actor(coroutine<void, int> body) : body_(std::move(body)) { body_.next(); }

  void tell(int message) { mailbox_.push(message); }

  /// Handles one message; false: there was none.
  bool work() {
    if (mailbox_.empty()) return false;
    const int message = mailbox_.front();
    mailbox_.pop();
    body_.send(message);
    return true;
  }

 private:
  std::queue<int> mailbox_;
  coroutine<void, int> body_;
};

/// Plays the ball back until it has lost its speed.
coroutine<void, int> player(std::string name, actor*& other) {
  for (int hits = 1;; ++hits) {
    const int speed = co_yield {};
    std::printf("%s: speed %d, my hit number %d\n", name.c_str(), speed, hits);
    if (speed > 1) other->tell(speed - 1);
  }
}

int main() {
  actor* left = nullptr;
  actor* right = nullptr;
  actor ping(player("ping", right));
  actor pong(player("pong", left));
  left = &ping;
  right = &pong;
  ping.tell(5);
  while (ping.work() || pong.work()) continue;
}
