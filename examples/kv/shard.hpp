#pragma once
// shard: what one core has of the server. Its keys, its channels and its connections; nobody else
// touches them.

#include "channels.hpp"
#include "store.hpp"

#include <corespun/runtime/event.hpp>
#include <corespun/runtime/task.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <set>
#include <vector>

namespace kv {

class batch;
class session;

class shard {
 public:
  explicit shard(const limits& l);
  ~shard();

  /// Around requests: time goes on before them, and the sweeper learns of new deadlines after them.
  void begin() { data.tick(unix_now()); }
  void end() {
    if (data.next_deadline() < sleeps_until_) wake_sweeper();
  }

  /// Gives back the memory of keys that are due; ends by being cancelled.
  corespun::task<> sweep();

  /// All keys are gone as soon as this runs; their memory comes back by and by.
  corespun::task<> clear();
  /// Before its end.
  corespun::task<> stop() { return clear(); }

  store data;
  kv::channels channels;
  std::set<const session*> sessions;

  // Batches that are not in use: a connection has one only while it waits for other cores. Few are
  // kept, since many connections may have had one at once, and none that large requests or replies
  // have made large: --maxmemory does not count them.
  static constexpr std::size_t most_spares = 64;
  static constexpr std::size_t most_spare_bytes = 128 * 1024;  // each; 256 small requests need half
  std::unique_ptr<batch> take_batch(unsigned cores);
  void give_back(std::unique_ptr<batch> b);

 private:
  void wake_sweeper();

  unix_ms sleeps_until_ = never;
  std::optional<corespun::event> woken_;  // of the sweeper that sleeps
  std::vector<std::unique_ptr<batch>> spare_batches_;
};

}  // namespace kv
