#include "request.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace http {
namespace {

constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz";

/// What names of methods and fields are made of.
constexpr std::array<bool, 256> in_names = [] {
  std::array<bool, 256> in{};
  for (const char c : letters) in[static_cast<unsigned char>(c)] = true;
  for (const char c : std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~"))
    in[static_cast<unsigned char>(c)] = true;
  return in;
}();

bool is_name(std::string_view text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](char c) { return in_names[static_cast<unsigned char>(c)]; });
}

bool is_control(char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }

bool same(std::string_view text, std::string_view lower_case) {
  return std::ranges::equal(text, lower_case, {}, [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
}

std::string_view trimmed(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

/// The text up to the separator, or all; it is taken away with the separator.
std::string_view take(std::string_view& text, char separator) {
  const std::string_view first = text.substr(0, text.find(separator));
  text.remove_prefix(std::min(first.size() + 1, text.size()));
  return first;
}

verb verb_of(std::string_view name) {
  if (name == "GET") return verb::get;
  if (name == "HEAD") return verb::head;
  constexpr std::array<std::string_view, 7> others{"POST",    "PUT",   "DELETE", "CONNECT",
                                                   "OPTIONS", "TRACE", "PATCH"};
  return std::ranges::find(others, name) != others.end() ? verb::other : verb::unknown;
}

/// Of "/path?query", of "http://host/path", and of what other methods may ask for.
std::string_view path_of(std::string_view target) {
  constexpr std::string_view scheme = "http://";
  if (same(target.substr(0, scheme.size()), scheme)) {
    target.remove_prefix(scheme.size());
    const std::size_t slash = target.find_first_of("/?");
    target.remove_prefix(std::min(slash, target.size()));
    if (!target.starts_with('/')) return "/";
  }
  return target.substr(0, target.find('?'));
}

}  // namespace

bool request_reader::next(std::string_view& bytes) {
  if (request_.status != 0) bytes = {};
  if (part_ == part::request_line) begin(bytes);
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    const std::string_view piece = bytes.substr(0, end == bytes.npos ? bytes.size() : end + 1);
    bytes.remove_prefix(piece.size());
    head_bytes_ += piece.size();
    if (head_bytes_ > most_head_bytes) {
      refuse(431);
    } else if (end == bytes.npos) {
      line_ += piece;
    } else if (line_.empty()) {
      take_line(piece);
    } else {
      line_ += piece;
      take_line(line_);
      line_.clear();
    }
    if (part_ == part::complete) {
      part_ = part::request_line;
      head_bytes_ = 0;
      return true;
    }
  }
  return false;
}

/// Skips what is left of the last request's body.
void request_reader::begin(std::string_view& bytes) {
  request_.method = verb::unknown;
  const std::size_t n = std::min<std::uint64_t>(body_left_bytes_, bytes.size());
  bytes.remove_prefix(n);
  body_left_bytes_ -= n;
}

void request_reader::refuse(int status) {
  request_.status = status;
  request_.keep_alive = false;
  part_ = part::complete;
}

void request_reader::take_line(std::string_view line) {
  if (!line.ends_with("\r\n")) return refuse(400);
  line.remove_suffix(2);
  if (part_ == part::fields) {
    if (line.empty()) {
      end_head();
    } else {
      take_field(line);
    }
  } else if (!line.empty()) {  // there may be empty lines after the body of the last one
    take_request_line(line);
  }
}

void request_reader::take_request_line(std::string_view line) {
  has_host_ = has_length_ = asks_to_keep_ = asks_to_close_ = false;
  request_.keep_alive = true;
  const std::string_view method = take(line, ' ');
  const std::string_view target = take(line, ' ');
  request_.method = verb_of(method);
  if (!is_name(method) || target.empty() || std::ranges::any_of(target, is_control))
    return refuse(400);
  if (line.size() != 8 || !line.starts_with("HTTP/") || line[6] != '.') return refuse(400);
  if (line[5] != '1' || line[7] < '0' || line[7] > '9') return refuse(505);
  request_.http_1_0 = line[7] == '0';
  request_.path = path_of(target);
  part_ = part::fields;
}

void request_reader::take_field(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == line.npos || !is_name(line.substr(0, colon))) return refuse(400);
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (std::ranges::any_of(value, [](char c) { return is_control(c) && c != '\t'; }))
    return refuse(400);
  if (same(name, "host")) {
    if (has_host_) return refuse(400);
    has_host_ = true;
  } else if (same(name, "content-length")) {
    take_content_length(value);
  } else if (same(name, "connection")) {
    take_connection(value);
  } else if (same(name, "transfer-encoding")) {
    refuse(501);
  } else if (same(name, "expect")) {
    refuse(417);
  }
}

void request_reader::take_content_length(std::string_view value) {
  std::uint64_t bytes = 0;
  const char* const end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, bytes);
  if (value.empty() || stop != end || error == std::errc::invalid_argument || has_length_)
    return refuse(400);
  if (error != std::errc{} || bytes > most_body_bytes) return refuse(413);
  has_length_ = true;
  body_left_bytes_ = bytes;
}

void request_reader::take_connection(std::string_view value) {
  while (!value.empty()) {
    const std::string_view option = trimmed(take(value, ','));
    if (same(option, "close")) asks_to_close_ = true;
    if (same(option, "keep-alive")) asks_to_keep_ = true;
  }
}

void request_reader::end_head() {
  if (!has_host_ && !request_.http_1_0) return refuse(400);
  request_.keep_alive = !asks_to_close_ && (!request_.http_1_0 || asks_to_keep_);
  part_ = part::complete;
}

}  // namespace http
