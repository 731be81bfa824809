#include "channels.hpp"

#include "reply.hpp"

#include <utility>

namespace kv {

void outbox::put(std::string_view text) {
  if (closed_) return;
  if (taken_bytes_ + text_.size() + text.size() > limit_bytes) {
    text_ = {};
    overrun.open();
    return close();
  }
  text_ += text;
  wake();
}

void outbox::close() {
  closed_ = true;
  wake();
}

corespun::task<std::string> outbox::take() {
  taken_bytes_ = 0;
  while (text_.empty() && !closed_) {
    filled_.emplace();
    co_await filled_->wait();
  }
  taken_bytes_ = text_.size();
  co_return std::exchange(text_, {});
}

void channels::add(subscriber& who, std::string_view name) {
  if (who.names.emplace(name).second) listeners_[std::string(name)].insert(&who);
}

bool channels::remove(subscriber& who, std::string_view name) {
  const auto found = who.names.find(name);
  if (found == who.names.end()) return false;
  const auto at = listeners_.find(name);
  at->second.erase(&who);
  if (at->second.empty()) listeners_.erase(at);
  who.names.erase(found);
  return true;
}

void channels::remove_all(subscriber& who) {
  while (!who.names.empty()) remove(who, std::string(*who.names.begin()));
}

std::size_t channels::publish(std::string_view name, std::string_view message) const {
  const auto at = listeners_.find(name);
  if (at == listeners_.end()) return 0;
  for (subscriber* const who : at->second) {
    std::string text;
    reply_writer reply(text, who->protocol);
    reply.push(3);
    reply.bulk("message");
    reply.bulk(name);
    reply.bulk(message);
    who->box.put(text);
  }
  return at->second.size();
}

}  // namespace kv
