#pragma once
// share: the part of a batch that one core executes, and its replies.

#include "command.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace kv {

class share {
 public:
  [[nodiscard]] bool empty() const { return errands_.empty(); }
  void clear();
  /// What it has grown to; clear() leaves it so.
  [[nodiscard]] std::size_t held_bytes() const;

  /// The words must stay valid until execute() has returned.
  void add(const command& what, int protocol, arguments words, const key& first);
  /// Adds words to what was added last.
  void extend(arguments words);

  /// On the core that owns the keys.
  void execute(store& data, unsigned cores);

  /// The replies to what was added, one after the other.
  [[nodiscard]] std::string_view take_reply();

 private:
  struct errand {
    const command* what;
    int protocol;
    key first;
    std::size_t begin;  // in words_
    std::size_t reply_end = 0;
  };
  std::vector<errand> errands_;
  std::vector<std::string_view> words_;
  std::string replies_;
  std::size_t taken_ = 0;  // errands
  std::size_t taken_bytes_ = 0;
};

}  // namespace kv
