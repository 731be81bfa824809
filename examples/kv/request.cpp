#include "request.hpp"

#include "line.hpp"
#include "text.hpp"

#include <algorithm>
#include <utility>

namespace kv {

namespace {

/// Room made for an announced bulk string at once; a liar costs no more than this.
constexpr std::size_t trusted_bytes = 16 * 1024 * 1024;
/// Room for words that stays when there is nothing left to parse.
constexpr std::size_t kept_words = 1024;

}  // namespace

void request_parser::feed(std::string_view bytes) {
  if (rest_.empty()) {
    text_ = bytes;
  } else {
    rest_ += bytes;
    text_ = rest_;
  }
}

void request_parser::keep() {
  if (taken_ == text_.size()) {
    rest_.clear();
    rest_.shrink_to_fit();
  } else if (rest_.empty()) {
    rest_ = text_.substr(taken_);
  } else {
    rest_.erase(0, taken_);
  }
  if (bulk_) rest_.reserve(std::min(at_ - taken_ + *bulk_ + 2, rest_.size() + trusted_bytes));
  text_ = rest_;
  at_ -= taken_;
  for (place& p : places_) p.begin -= taken_;
  taken_ = 0;
  typed_.clear();
}

request_parser::outcome request_parser::next(std::vector<std::string_view>& words) {
  words.clear();
  while (error_.empty() && at_ < text_.size()) {
    const bool array = bulks_left_ > 0 || text_[at_] == '*';
    const std::size_t typed_before = typed_.size();
    const outcome o = array ? next_array() : next_inline();
    if (o == outcome::incomplete && held_bytes() > limits_.bytes) return outcome::too_large;
    if (o != outcome::request) return o;
    taken_ = at_;
    for (const place& p : places_) words.push_back(text_.substr(p.begin, p.size));
    places_.clear();
    for (std::size_t i = typed_before; i < typed_.size(); ++i) words.emplace_back(typed_[i]);
    if (!words.empty()) return outcome::request;  // an empty line or array asks for nothing
  }
  if (!error_.empty()) return outcome::failed;
  if (words.capacity() > kept_words) words.shrink_to_fit();
  if (places_.capacity() > kept_words) places_.shrink_to_fit();
  return outcome::incomplete;
}

request_parser::outcome request_parser::next_array() {
  if (bulks_left_ == 0) {
    const auto line = take_line("too big mbulk count string");
    if (!line) return error_.empty() ? outcome::incomplete : outcome::failed;
    const auto n = to_integer(line->substr(1));
    if (!n || *n > static_cast<std::int64_t>(max_bulks)) return fail("invalid multibulk length");
    bulks_left_ = *n > 0 ? static_cast<std::size_t>(*n) : 0;
  }
  for (; bulks_left_ > 0; --bulks_left_) {
    if (!bulk_) {
      const auto line = take_line("too big bulk count string");
      if (!line) return error_.empty() ? outcome::incomplete : outcome::failed;
      const char kind = line->data()[0];  // the '\r' if the line is empty
      if (kind != '$') return fail(std::string("expected '$', got '") + kind + "'");
      const auto n = to_integer(line->substr(1));
      if (!n || *n < 0 || *n > static_cast<std::int64_t>(limits_.word_bytes)) {
        return fail("invalid bulk length");
      }
      bulk_ = static_cast<std::size_t>(*n);
    }
    const std::size_t end = at_ + *bulk_ + 2;
    if (end > text_.size()) return outcome::incomplete;
    places_.push_back({at_, *bulk_});
    at_ = end;
    bulk_.reset();
  }
  return outcome::request;
}

std::optional<std::string_view> request_parser::take_line(const char* too_big) {
  const std::size_t begin = at_;
  const std::size_t end = text_.find('\r', begin);
  if (end == text_.npos) {
    if (text_.size() - begin > max_inline_bytes) fail(too_big);
    return {};
  }
  if (end + 2 > text_.size()) return {};
  at_ = end + 2;
  return text_.substr(begin, end - begin);
}

request_parser::outcome request_parser::next_inline() {
  const std::size_t end = text_.find('\n', at_);
  if (end == text_.npos) {
    if (text_.size() - at_ > max_inline_bytes) return fail("too big inline request");
    return outcome::incomplete;
  }
  if (!split_line(text_.substr(at_, end - at_), typed_)) {
    return fail("unbalanced quotes in request");
  }
  at_ = end + 1;
  return outcome::request;
}

request_parser::outcome request_parser::fail(std::string why) {
  error_ = "Protocol error: " + std::move(why);
  return outcome::failed;
}

}  // namespace kv
