#pragma once
// line: requests that somebody types, like  set name "two words"

#include <deque>
#include <string>
#include <string_view>

namespace kv {

/// Appends the words of a line. Between "" there may be blanks and escapes like \n and \x41,
/// between '' blanks and \'. False if a quote is not closed, or a word goes on behind one.
bool split_line(std::string_view line, std::deque<std::string>& words);

}  // namespace kv
