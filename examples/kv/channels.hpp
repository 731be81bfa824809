#pragma once
// channels: who listens to what on one core, and the messages that wait to be sent to them.
//
// A publisher visits the channels of each core; a subscriber is known on its own core only. So
// nothing here needs a lock.
// Threads: one.

#include <corespun/runtime/event.hpp>
#include <corespun/runtime/task.hpp>

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace kv {

/// Text on its way to a subscriber: replies and messages, in the order of put().
class outbox {
 public:
  /// Who reads so slowly that more than this waits, or is being written, is cut off.
  static constexpr std::size_t limit_bytes = 32 * 1024 * 1024;

  void put(std::string_view text);
  /// No more comes; what waits is still taken.
  void close();
  /// Waits for text and takes all; empty if no more comes. What was taken before has been written.
  corespun::task<std::string> take();

  corespun::event overrun;  // opens when more waits than the limit; then the outbox is closed

 private:
  void wake() {
    if (filled_) filled_->open();
  }

  std::string text_;
  std::size_t taken_bytes_ = 0;  // by the last take()
  bool closed_ = false;
  std::optional<corespun::event> filled_;  // of the last take() that waited
};

struct subscriber {
  int protocol = 2;
  std::set<std::string, std::less<>> names;  // of channels
  outbox box;
};

class channels {
 public:
  void add(subscriber& who, std::string_view name);
  /// False: it was not subscribed to.
  bool remove(subscriber& who, std::string_view name);
  void remove_all(subscriber& who);
  /// Returns how many get it.
  std::size_t publish(std::string_view name, std::string_view message) const;

 private:
  std::map<std::string, std::set<subscriber*>, std::less<>> listeners_;
};

}  // namespace kv
