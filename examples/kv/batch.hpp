#pragma once
// batch: requests of one connection, some of them for other cores. Each core gets its share by one
// message, and the replies are put together in the order of the requests.
//
// The requests of a share are executed in order, without another in between. So requests for the
// same key keep their order, and each core's part of a request with many keys is atomic.

#include "server.hpp"
#include "share.hpp"

#include <corespun/runtime/task.hpp>

#include <cstddef>
#include <string>
#include <vector>

namespace kv {

class batch {
 public:
  explicit batch(unsigned cores) : shares_(cores) {}

  /// The words must stay valid until execute() has ended.
  void add(const command& what, int protocol, arguments words, const key& first);
  [[nodiscard]] std::size_t size() const { return requests_.size(); }

  /// Carries out all, on all cores at once.
  corespun::task<> execute(corespun::sharded<shard>& shards);

  /// Appends the replies and forgets the requests.
  void join(std::string& out);

  /// What it has grown to; join() leaves it so for the next requests.
  [[nodiscard]] std::size_t held_bytes() const;

 private:
  struct request {
    const command* what;
    unsigned core;          // unless it has many keys
    std::size_t owners;     // in owners_: where its keys begin
    std::size_t keys = 0;   // how many; 0: it has one
  };

  void add_parts(const command& what, int protocol, arguments words);
  void join_parts(const request& r, std::string& out);

  std::vector<share> shares_;
  std::vector<request> requests_;
  std::vector<unsigned> owners_;        // of the keys of requests that have many
  std::vector<std::string_view> parts_; // replies of each core to one request
};

}  // namespace kv
