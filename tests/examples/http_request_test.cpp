// The reader of HTTP requests: what it finds must not depend on how the bytes were cut into pieces.

#include "examples/http/request.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace http {
namespace {

using pieces = std::vector<std::string>;

/// All requests of the pieces, in words.
std::vector<std::string> found_in(const pieces& all) {
  request_reader reader;
  std::vector<std::string> found;
  for (const std::string& piece : all) {
    const std::string copy = piece;  // gone when the next one comes
    std::string_view bytes = copy;
    while (reader.next(bytes)) {
      const request& r = reader.found();
      constexpr const char* verbs[] = {"GET", "HEAD", "other", "unknown"};
      found.push_back(r.status != 0 ? std::to_string(r.status)
                                    : verbs[static_cast<int>(r.method)] + (" " + r.path) +
                                          (r.keep_alive ? "" : ", last"));
      EXPECT_TRUE(r.status == 0 || !r.keep_alive) << "goes on after status " << r.status;
    }
    EXPECT_TRUE(bytes.empty());
  }
  return found;
}

std::vector<std::string> found_in(const std::string& text) { return found_in(pieces{text}); }

std::string get(const std::string& fields) {
  return "GET / HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n";
}

const std::string conversation =
    "GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n"
    "POST / HTTP/1.1\r\nHost:x\r\nContent-Length:  7 \r\n\r\nGET / H"
    "\r\nHEAD http://x/b HTTP/1.1\r\nhOST: x\r\ncontent-length: 0\r\n\r\n"
    "BREW / HTTP/1.1\r\nHost: x\r\nAccept: \r\n\r\n"
    "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"
    "GET / HTTP/1.1\r\nHost: x\r\nConnection: te, CLOSE\r\n\r\n";
const std::vector<std::string> its_requests{"GET /a",    "other /", "HEAD /b",
                                            "unknown /", "GET /",   "GET /, last"};

TEST(http_request, is_found_in_one_piece) { EXPECT_EQ(found_in(conversation), its_requests); }

TEST(http_request, is_found_in_two_pieces_cut_at_any_byte) {
  for (std::size_t at = 0; at <= conversation.size(); ++at) {
    EXPECT_EQ(found_in({conversation.substr(0, at), conversation.substr(at)}), its_requests) << at;
  }
}

TEST(http_request, is_found_in_pieces_of_any_length) {
  for (std::size_t length = 1; length < 20; ++length) {
    pieces all;
    for (std::size_t at = 0; at < conversation.size(); at += length)
      all.push_back(conversation.substr(at, length));
    EXPECT_EQ(found_in(all), its_requests) << length;
  }
}

TEST(http_request, keeps_the_connection_as_its_version_and_fields_say) {
  EXPECT_EQ(found_in("GET / HTTP/1.0\r\n\r\n"), pieces{"GET /, last"});
  EXPECT_EQ(found_in(get("Connection: keep-alive, close\r\n")), pieces{"GET /, last"});
  EXPECT_EQ(found_in(get("Connection: closed\r\n")), pieces{"GET /"});
  EXPECT_EQ(found_in("GET / HTTP/1.7\r\nHost: x\r\n\r\n"), pieces{"GET /"});
}

TEST(http_request, that_could_be_understood_in_two_ways_is_bad) {
  for (const std::string& bad : {std::string("GET / HTTP/1.1\nHost: x\n\n"),
                                 std::string("GET  / HTTP/1.1\r\n"),
                                 std::string("GET / HTTP/1.1 \r\n"),
                                 std::string("GET /\r\n"),
                                 std::string("GET\r\n"),
                                 std::string(" / HTTP/1.1\r\n"),
                                 std::string("G(T / HTTP/1.1\r\n"),
                                 std::string("GET /\x01 HTTP/1.1\r\n"),
                                 std::string("GET / http/1.1\r\n"),
                                 std::string("GET / HTTP/1.\r\n"),
                                 std::string("\x16\x03\x01 hello\r\n"),
                                 std::string("GET / HTTP/1.1\r\n\r\n"),
                                 get("Host: y\r\n"),
                                 get("Name : x\r\n"),
                                 get("Name\r\n"),
                                 get("Name: x\n"),
                                 get(": x\r\n"),
                                 get(" folded\r\n"),
                                 get("Name: a\rb\r\n"),
                                 get(std::string("Name: a\0b\r\n", 11)),
                                 get("Content-Length: -1\r\n"),
                                 get("Content-Length: +1\r\n"),
                                 get("Content-Length: 1, 1\r\n"),
                                 get("Content-Length:\r\n"),
                                 get("Content-Length: 0x1\r\n"),
                                 get("Content-Length: 1\r\nContent-Length: 1\r\n")}) {
    EXPECT_EQ(found_in(bad), pieces{"400"}) << bad;
  }
}

TEST(http_request, that_is_beyond_this_server_has_a_status_that_says_so) {
  EXPECT_EQ(found_in(get("Transfer-Encoding: chunked\r\n")), pieces{"501"});
  EXPECT_EQ(found_in(get("Content-Length: 3\r\nTransfer-Encoding: x\r\n")), pieces{"501"});
  EXPECT_EQ(found_in(get("Expect: 100-continue\r\n")), pieces{"417"});
  EXPECT_EQ(found_in(get("Content-Length: 1048577\r\n")), pieces{"413"});
  EXPECT_EQ(found_in(get("Content-Length: 99999999999999999999\r\n")), pieces{"413"});
  EXPECT_EQ(found_in("GET / HTTP/2.0\r\n"), pieces{"505"});
}

TEST(http_request, ends_the_stream_when_it_is_bad) {
  EXPECT_EQ(found_in("x\r\n" + conversation), pieces{"400"});
  EXPECT_EQ(found_in({"x\r\n", conversation}), pieces{"400"});
}

TEST(http_request, has_a_head_of_so_many_bytes_at_most) {
  const auto with_head_of = [](std::size_t bytes) {
    const std::size_t rest = get("A: \r\n").size();
    return get("A: " + std::string(bytes - rest, 'a') + "\r\n");
  };
  const std::string largest = with_head_of(request_reader::most_head_bytes);
  EXPECT_EQ(found_in(largest + largest), (pieces{"GET /", "GET /"}));
  EXPECT_EQ(found_in(with_head_of(request_reader::most_head_bytes + 1)), pieces{"431"});
  EXPECT_EQ(found_in(std::string(request_reader::most_head_bytes + 1, 'a')), pieces{"431"});
  std::string empty_lines;
  while (empty_lines.size() <= request_reader::most_head_bytes) empty_lines += "\r\n";
  EXPECT_EQ(found_in(empty_lines), pieces{"431"});
}

TEST(http_request, may_have_a_body_of_the_largest_size) {
  const std::size_t most = request_reader::most_body_bytes;
  const std::string post = get("Content-Length: " + std::to_string(most) + "\r\n");
  EXPECT_EQ(found_in(post + std::string(most, '\n') + get("")), (pieces{"GET /", "GET /"}));
}

}  // namespace
}  // namespace http
