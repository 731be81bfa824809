#include "share.hpp"

namespace kv {

void share::clear() {
  errands_.clear();
  words_.clear();
  replies_.clear();
  taken_ = taken_bytes_ = 0;
}

std::size_t share::held_bytes() const {
  return errands_.capacity() * sizeof(errand) + words_.capacity() * sizeof(std::string_view) +
         replies_.capacity();
}

void share::add(const command& what, int protocol, arguments words, const key& first) {
  errands_.push_back({&what, protocol, first, words_.size()});
  extend(words);
}

void share::extend(arguments words) { words_.insert(words_.end(), words.begin(), words.end()); }

void share::execute(store& data, unsigned cores) {
  for (std::size_t i = 0; i < errands_.size(); ++i) {
    errand& e = errands_[i];
    const std::size_t end = i + 1 < errands_.size() ? errands_[i + 1].begin : words_.size();
    const arguments words = arguments(words_).subspan(e.begin, end - e.begin);
    kv::execute(*e.what, data, words, e.first, cores, reply_writer(replies_, e.protocol));
    e.reply_end = replies_.size();
  }
}

std::string_view share::take_reply() {
  const std::size_t begin = std::exchange(taken_bytes_, errands_[taken_].reply_end);
  ++taken_;
  return std::string_view(replies_).substr(begin, taken_bytes_ - begin);
}

}  // namespace kv
