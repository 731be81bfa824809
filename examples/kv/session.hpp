#pragma once
// session: one connection. Its task reads what has come, executes all complete requests and writes
// their replies at once; it stays on the core that accepted the connection.
//
// Requests for keys of this core are executed as they are read. Those for other cores are collected
// in a batch, which goes there when the input is used up. All else is executed between batches, so
// that it sees what came before.
// Who subscribes to a channel gets an outbox, which a second task writes to the peer: from then on
// replies go through it, too.

#include "batch.hpp"
#include "command.hpp"
#include "request.hpp"
#include "server.hpp"

#include <corespun/net/stream.hpp>
#include <corespun/runtime/task.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace kv {

class session {
 public:
  session(corespun::tcp_stream stream, kv::server& all);
  session(const session&) = delete;
  session& operator=(const session&) = delete;
  ~session();

  /// Until the peer has ended, has said QUIT, cannot be understood, or reads too slowly.
  corespun::task<> run();

  // --- for commands ---

  [[nodiscard]] kv::server& server() { return all_; }
  [[nodiscard]] shard& here() { return here_; }
  [[nodiscard]] reply_writer reply() { return {out_, protocol_}; }

  [[nodiscard]] std::uint64_t id() const { return id_; }
  [[nodiscard]] int protocol() const { return protocol_; }
  void use_protocol(int version);
  [[nodiscard]] const std::string& name() const { return name_; }
  void set_name(std::string_view name) { name_ = name; }
  /// Of the server; 0: a Unix socket.
  [[nodiscard]] std::uint16_t port() const;
  /// After the replies to what came before.
  void close() { closing_ = true; }

  /// There is an outbox from the first call on.
  [[nodiscard]] subscriber& listener();
  [[nodiscard]] std::size_t subscriptions() const {
    return listener_ ? listener_->names.size() : 0;
  }
  /// With an outbox: replies so far go before the messages that are put into it later.
  void push_replies();
  /// A line for people, as in CLIENT LIST.
  [[nodiscard]] std::string describe() const;

 private:
  /// Why execute_some() has come to an end.
  enum class pause { input_used_up, replies_fill_up, batch_first, server_command };

  corespun::task<> answer_requests();
  corespun::task<> answer_subscriber();
  corespun::task<> write_outbox();
  corespun::task<> see_off();
  corespun::task<> finish_batch();
  pause execute_some();
  pause execute_until_pause();
  /// Of the request at hand; nullptr: there is none, or not for this connection, which is said.
  const command* find_allowed(std::string& wrong) const;
  void execute_on_shards(const command& what);

  corespun::tcp_stream stream_;
  kv::server& all_;
  shard& here_;
  const unsigned cores_;
  const unsigned core_;
  const std::uint64_t id_;
  const unix_ms since_;
  int protocol_ = 2;
  bool closing_ = false;
  std::string name_;

  request_parser input_;
  std::vector<std::string_view> words_;  // of the request at hand
  bool held_ = false;  // it waits until the batch has been executed
  const command* what_ = nullptr;  // it is this command of the whole server
  std::string out_;  // replies that have not been sent
  std::unique_ptr<batch> batch_;  // if requests wait for other cores
  std::unique_ptr<subscriber> listener_;
};

}  // namespace kv
