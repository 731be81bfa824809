#include "session.hpp"

#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/event.hpp>
#include <corespun/runtime/this_core.hpp>
#include <corespun/runtime/when.hpp>

#include <chrono>
#include <utility>

namespace kv {

namespace {

/// Replies are sent when they are larger than that, even if more requests have come.
constexpr std::size_t most_reply_bytes = 256 * 1024;
/// An idle connection keeps no more than this for replies.
constexpr std::size_t kept_bytes = 4 * 1024;
/// More than that are not sent together, since each may have a large reply.
constexpr std::size_t most_in_batch = 256;
/// How much of what a peer sends is read after the connection has ended for us.
constexpr std::size_t most_read_after = 16 * 1024 * 1024;

}  // namespace

session::session(corespun::tcp_stream stream, kv::server& all)
    : stream_(std::move(stream)),
      all_(all),
      here_(all.shards.local()),
      cores_(corespun::this_core::count()),
      core_(corespun::this_core::index()),
      id_(all.last_client.fetch_add(1, std::memory_order_relaxed) + 1),
      since_(unix_now()),
      input_(all.settings.requests) {
  here_.sessions.insert(this);
}

session::~session() {
  here_.sessions.erase(this);
  if (listener_) here_.channels.remove_all(*listener_);
}

void session::use_protocol(int version) {
  protocol_ = version;
  if (listener_) listener_->protocol = version;
}

subscriber& session::listener() {
  if (!listener_) {
    listener_ = std::make_unique<subscriber>();
    listener_->protocol = protocol_;
  }
  return *listener_;
}

void session::push_replies() {
  if (listener_) listener_->box.put(std::exchange(out_, {}));
}

corespun::task<> session::run() {
  co_await answer_requests();
  if (listener_) co_await answer_subscriber();
  if (closing_) co_await see_off();
}

/// The last reply arrives only if nothing that the peer has sent stays unread.
corespun::task<> session::see_off() {
  using namespace std::chrono_literals;
  (void)co_await stream_.shutdown_write();
  const auto read = [](corespun::tcp_stream& from) -> corespun::task<> {
    for (std::size_t bytes = 0; bytes < most_read_after;) {
      const corespun::result<corespun::lease> data = co_await from.recv();
      if (!data || data->empty()) break;
      bytes += data->size();
    }
  };
  auto reading = read(stream_);
  (void)co_await corespun::with_timeout(1s, std::move(reading));
}

/// Until the end, or until the connection has got an outbox.
corespun::task<> session::answer_requests() {
  const bool had_outbox = listener_ != nullptr;
  while (!closing_ && had_outbox == (listener_ != nullptr)) {
    corespun::result<corespun::lease> data = co_await stream_.recv();
    if (!data || data->empty()) break;
    input_.feed(data->text());
    for (pause why = pause::batch_first; why != pause::input_used_up;) {
      why = execute_some();
      if (listener_) push_replies();
      if (batch_) co_await finish_batch();
      if (why == pause::batch_first) continue;
      if (why == pause::server_command) {
        auto executing = what_->on_server(*this, words_);
        co_await std::move(executing);
        if (out_.size() <= most_reply_bytes) continue;
      }
      input_.keep();
      *data = {};  // nobody else waits for a buffer because this peer is slow
      if (listener_) {
        push_replies();
      } else if (!out_.empty()) {
        corespun::result<> sent = co_await stream_.write_all(out_);
        if (!sent) co_return;
        out_.clear();
        if (out_.capacity() > kept_bytes) out_.shrink_to_fit();
      }
    }
  }
}

/// The writer ends when the outbox is closed and empty, or when the peer is gone. That ends all, so
/// the reader just waits; and so does an outbox that has run over, though the peer takes nothing.
corespun::task<> session::answer_subscriber() {
  corespun::event& overrun = listener_->box.overrun;
  const auto read = [](session& self, corespun::event& overrun) -> corespun::task<> {
    auto answering = self.answer_requests();
    co_await std::move(answering);
    self.listener_->box.close();
    co_await overrun.wait();
  };
  auto reading = read(*this, overrun);
  auto writing = write_outbox();
  co_await corespun::when_any(std::move(reading), std::move(writing), overrun.wait());
}

corespun::task<> session::write_outbox() {
  while (true) {
    std::string text = co_await listener_->box.take();
    if (text.empty()) break;
    corespun::result<> sent = co_await stream_.write_all(text);
    if (!sent) break;
  }
}

corespun::task<> session::finish_batch() {
  auto executing = batch_->execute(all_.shards);
  co_await std::move(executing);
  batch_->join(out_);
  here_.give_back(std::move(batch_));
}

session::pause session::execute_some() {
  here_.begin();
  const pause why = execute_until_pause();
  here_.end();
  return why;
}

session::pause session::execute_until_pause() {
  while (!closing_) {
    if (out_.size() > most_reply_bytes) return pause::replies_fill_up;
    if (!std::exchange(held_, false)) {
      const auto taken = input_.next(words_);
      if (taken == request_parser::outcome::incomplete) break;
      if (taken != request_parser::outcome::request) {
        if (batch_) return pause::batch_first;  // and then it is the same again
        if (taken == request_parser::outcome::failed) reply().error("ERR " + input_.error());
        closing_ = true;
        break;
      }
    }
    std::string wrong;
    const command* const what = find_allowed(wrong);
    if (what != nullptr && what->on_shard != nullptr) {
      execute_on_shards(*what);
      if (batch_ && batch_->size() == most_in_batch) return pause::batch_first;
      continue;
    }
    if (batch_) {
      held_ = true;
      return pause::batch_first;
    }
    if (what == nullptr) {
      out_ += wrong;
    } else if (what->at_once != nullptr) {
      what->at_once(*this, words_);
    } else {
      what_ = what;
      return pause::server_command;
    }
  }
  return pause::input_used_up;
}

const command* session::find_allowed(std::string& wrong) const {
  reply_writer reply(wrong, protocol_);
  const command* const what = find_command(words_, reply);
  if (what == nullptr) return nullptr;
  if (subscriptions() > 0 && protocol_ == 2 && !what->in_subscriber) {
    reply.error("ERR Can't execute '" + std::string(what->name) +
                "': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in "
                "this context");
    return nullptr;
  }
  if (what->keys == keys::every_other && words_.size() % 2 == 0) {  // a key without a value
    reply_wrong_arity(*what, reply);
    return nullptr;
  }
  return what;
}

void session::execute_on_shards(const command& what) {
  const key first = locate(words_[1], cores_);
  if (!batch_) {
    const bool all_here = cores_ == 1 || (what.keys == keys::first && first.core() == core_);
    if (all_here) return execute(what, here_.data, words_, first, cores_, reply());
    batch_ = here_.take_batch(cores_);
  }
  batch_->add(what, protocol_, words_, first);
}

std::uint16_t session::port() const {
  const corespun::result<corespun::address> at = stream_.local_address();
  return at ? at->port() : 0;
}

std::string session::describe() const {
  const auto text = [](const corespun::result<corespun::address>& at) {
    return at ? at->to_string() : std::string("?");
  };
  return "id=" + std::to_string(id_) + " addr=" + text(stream_.peer_address()) +
         " laddr=" + text(stream_.local_address()) +
         " fd=" + std::to_string(stream_.native_handle()) + " name=" + name_ +
         " age=" + std::to_string((unix_now() - since_) / 1000) +
         " flags=" + (subscriptions() > 0 ? "P" : "N") +
         " db=0 sub=" + std::to_string(subscriptions()) + " resp=" + std::to_string(protocol_) +
         "\n";
}

}  // namespace kv
