// The parser of requests: what it takes must not depend on how the bytes were cut into pieces.

#include "examples/kv/request.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace kv {
namespace {

using outcome = request_parser::outcome;

/// All requests of the pieces, their words joined by '|'; the last one is the error, if there is
/// one.
std::vector<std::string> parse(const std::vector<std::string>& pieces,
                               const request_limits& limits = {}) {
  request_parser parser(limits);
  std::vector<std::string> all;
  std::vector<std::string_view> words;
  for (std::string piece : pieces) {  // a copy, so that the parser cannot keep what it was fed
    parser.feed(piece);
    outcome o = parser.next(words);
    for (; o == outcome::request; o = parser.next(words)) {
      std::string& request = all.emplace_back();
      for (const std::string_view word : words) request += std::string(word) + '|';
    }
    if (o != outcome::incomplete) {
      all.push_back(o == outcome::too_large ? "too large" : parser.error());
      return all;
    }
    parser.keep();
    piece.assign(piece.size(), '!');
  }
  return all;
}

using requests = std::vector<std::string>;

const std::string stream =
    "*2\r\n$3\r\nGET\r\n$1\r\na\r\n"
    "PING\r\n"
    "*0\r\n"
    "\r\n"
    "*3\r\n$3\r\nSET\r\n$0\r\n\r\n$6\r\nx\r\n$*y\r\n"
    "set \"two words\" 'it\\'s' \\x41 \"\\x41\\n\"\n"
    "*-1\r\n"
    "*1\r\n$4\r\nQUIT\r\n";
const requests wanted = {"GET|a|", "PING|", "SET||x\r\n$*y|", "set|two words|it's|\\x41|A\n|",
                         "QUIT|"};

TEST(kv_request, is_taken_whole) { EXPECT_EQ(parse({stream}), wanted); }

TEST(kv_request, may_come_byte_by_byte) {
  std::vector<std::string> bytes;
  for (const char c : stream) bytes.emplace_back(1, c);
  EXPECT_EQ(parse(bytes), wanted);
}

TEST(kv_request, may_be_cut_at_any_two_places) {
  for (std::size_t i = 0; i <= stream.size(); ++i) {
    for (std::size_t k = i; k <= stream.size(); ++k) {
      ASSERT_EQ(parse({stream.substr(0, i), stream.substr(i, k - i), stream.substr(k)}), wanted)
          << i << ' ' << k;
    }
  }
}

TEST(kv_request, words_stay_valid_while_more_are_taken) {
  const std::string two = "*1\r\n$1\r\na\r\nb c\r\n";
  request_parser parser;
  parser.feed(two);
  std::vector<std::string_view> first, second;
  ASSERT_EQ(parser.next(first), outcome::request);
  ASSERT_EQ(parser.next(second), outcome::request);
  EXPECT_EQ(first[0], "a");
  EXPECT_EQ(second[1], "c");
  EXPECT_EQ(parser.next(first), outcome::incomplete);
}

TEST(kv_request, that_cannot_be_understood_ends_the_stream_after_those_before) {
  const struct {
    std::string text, why;
  } cases[] = {
      {"*x\r\n", "invalid multibulk length"},
      {"*2147483648\r\n", "invalid multibulk length"},
      {"*1\r\n:1\r\n", "expected '$', got ':'"},
      {"*1\r\n$-1\r\n", "invalid bulk length"},
      {"*1\r\n$536870913\r\n", "invalid bulk length"},
      {"*1\r\n$+1\r\n", "invalid bulk length"},
      {"get \"a\r\n", "unbalanced quotes in request"},
      {"get \"a\"b\r\n", "unbalanced quotes in request"},
      {std::string(64 * 1024 + 1, 'a'), "too big inline request"},
      {'*' + std::string(64 * 1024, '1'), "too big mbulk count string"},
      {"*1\r\n$" + std::string(64 * 1024, '1'), "too big bulk count string"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(parse({"PING\r\n" + c.text, "*1\r\n$1\r\na\r\n"}),
              (requests{"PING|", "Protocol error: " + c.why}))
        << c.text.substr(0, 40);
  }
}

TEST(kv_request, an_inline_request_may_have_64_kib) {
  const std::string longest(64 * 1024, 'a');
  EXPECT_EQ(parse({longest, "\n"}), (requests{longest + '|'}));
}

TEST(kv_request, a_bulk_string_may_have_megabytes) {
  const std::string value(5'000'000, 'v');
  std::vector<std::string> pieces = {"*2\r\n$4\r\nECHO\r\n$5000000\r\n"};
  for (std::size_t i = 0; i < value.size(); i += 10'000) pieces.push_back(value.substr(i, 10'000));
  pieces.push_back("\r\nPING\r\n");
  EXPECT_EQ(parse(pieces), (requests{"ECHO|" + value + '|', "PING|"}));
}

TEST(kv_request, that_was_long_leaves_no_room_behind) {
  std::string long_one = "*100000\r\n";
  for (int i = 0; i < 100'000; ++i) long_one += "$1\r\na\r\n";
  request_parser parser;
  std::vector<std::string_view> words;
  parser.feed(long_one);
  EXPECT_EQ(parser.next(words), outcome::request);
  EXPECT_EQ(words.size(), 100'000u);
  EXPECT_EQ(parser.next(words), outcome::incomplete);
  EXPECT_LT(words.capacity(), 10'000u);
}

TEST(kv_request, words_are_no_longer_than_their_limit) {
  const request_limits limits{.word_bytes = 5};
  EXPECT_EQ(parse({"*1\r\n$5\r\nhello\r\n*1\r\n$6\r\nhello!\r\n"}, limits),
            (requests{"hello|", "Protocol error: invalid bulk length"}));
}

constexpr request_limits thousand{.bytes = 1000};

TEST(kv_request, that_grows_beyond_its_limit_ends_the_stream) {
  const std::vector<std::string> pieces(20, std::string(100, 'v'));
  std::vector<std::string> bulk = {"PING\r\n*2\r\n$4\r\nECHO\r\n$2000\r\n"};
  bulk.insert(bulk.end(), pieces.begin(), pieces.end());
  EXPECT_EQ(parse(bulk, thousand), (requests{"PING|", "too large"}));
  EXPECT_EQ(parse(pieces, thousand), (requests{"too large"}));
}

TEST(kv_request, that_has_many_empty_words_grows_beyond_its_limit) {
  std::vector<std::string> pieces = {"*1000000\r\n"};
  pieces.insert(pieces.end(), 100, "$0\r\n\r\n");
  EXPECT_EQ(parse(pieces, thousand), (requests{"too large"}));
}

TEST(kv_request, many_small_ones_may_have_more_bytes_than_one_may) {
  std::string many;
  for (int i = 0; i < 1000; ++i) many += "PING\r\n";
  EXPECT_EQ(parse({many + "PI", "NG\r\n" + many}, thousand).size(), 2001u);
}

}  // namespace
}  // namespace kv
