// The chat example as a program: rooms, leaving, and readers that are too slow.

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "tests/support/io_server.hpp"

namespace corespun::test {
namespace {

/// A client that has seen its own arrival.
client member(const server& chat) {
  client c(chat.at());
  EXPECT_EQ(c.line(), c.name() + " joined");
  return c;
}

TEST(chat, a_line_goes_to_everybody_in_the_room_on_whatever_core) {
  server chat("chat", {"--cores", "2"});
  std::vector<client> all;
  for (int i = 0; i < 8; ++i) {
    all.push_back(member(chat));
    for (std::size_t before = 0; before + 1 < all.size(); ++before) {
      EXPECT_EQ(all[before].line(), all.back().name() + " joined");
    }
  }
  all[3].say("good morning\n");
  for (const client& c : all) EXPECT_EQ(c.line(), all[3].name() + ": good morning");
  chat.end();
}

TEST(chat, lines_stay_in_their_room) {
  server chat("chat", {"--cores", "2"});
  const client a = member(chat);
  const client b = member(chat);
  EXPECT_EQ(a.line(), b.name() + " joined");
  b.say("/join kitchen\nis anybody here?\n");
  EXPECT_EQ(b.line(), b.name() + " joined");
  EXPECT_EQ(b.line(), b.name() + ": is anybody here?");
  a.say("alone\n");
  EXPECT_EQ(a.line(), a.name() + ": alone");
  a.say("/join kitchen\n");
  EXPECT_EQ(a.line(), a.name() + " joined");
  EXPECT_EQ(b.line(), a.name() + " joined");
  a.say("hello\n");
  EXPECT_EQ(b.line(), a.name() + ": hello");
  chat.end();
}

TEST(chat, quit_leaves_and_the_others_are_told) {
  server chat("chat", {"--cores", "2"});
  const client a = member(chat);
  const client b = member(chat);
  EXPECT_EQ(a.line(), b.name() + " joined");
  b.say("/quit\n");
  EXPECT_EQ(a.line(), b.name() + " left");
  while (!b.line().empty()) {  // perhaps its own farewell, then the end
  }
  chat.end();
}

TEST(chat, closing_the_connection_leaves_as_well) {
  server chat("chat");
  const client a = member(chat);
  std::string name;
  {
    const client b = member(chat);
    name = b.name();
    EXPECT_EQ(a.line(), name + " joined");
  }
  EXPECT_EQ(a.line(), name + " left");
  chat.end();
}

TEST(chat, lines_may_come_in_pieces_and_several_at_once) {
  server chat("chat");
  const client a = member(chat);
  a.say("on");
  a.say("e\r\ntw");
  a.say("o\nthree\n");
  for (const char* text : {"one", "two", "three"}) EXPECT_EQ(a.line(), a.name() + ": " + text);
  chat.end();
}

TEST(chat, a_line_without_end_ends_the_connection) {
  server chat("chat");
  const client a = member(chat);
  a.say(std::string(5'000, 'x'));
  std::string c;
  char byte = 0;
  ssize_t n = 0;
  while ((n = ::recv(a.socket().get(), &byte, 1, 0)) > 0) c += byte;
  EXPECT_EQ(c.find("xxx"), c.npos);
  chat.end();
}

// One reads nothing, the others talk more than the kernel and its outbox hold.
TEST(chat, a_slow_reader_is_cut_off_and_the_others_go_on) {
  server chat("chat", {"--cores", "2"});
  raw slow = raw_socket(chat.at());
  shrink_buffers(slow);
  const address at = chat.at();
  sys(::connect(slow.get(), at.native(), at.native_size()), "connect");
  const client talker = [&] {
    client c(at);
    std::string first = c.line();
    while (first != c.name() + " joined")
      first = c.line();  // the slow one's arrival may come before
    return c;
  }();
  const std::string name = "guest" + std::to_string(bound_address(slow).port());
  const std::string text(4'000, 't');
  const std::string own = talker.name() + ": " + text;
  bool cut = false;
  for (int i = 0; i < 10'000 && !cut; ++i) {
    talker.say(text + "\n");
    std::string heard = talker.line();
    if (heard == name + " joined") heard = talker.line();  // or after
    if (heard == name + " left") {
      cut = true;
      heard = talker.line();
    }
    ASSERT_EQ(heard, own);
  }
  EXPECT_TRUE(cut);
  EXPECT_EQ(chat.read_error_line(), name + " reads too slowly and was cut off");
  talker.say("still here\n");
  EXPECT_EQ(talker.line(), talker.name() + ": still here");
  chat.end();
}

}  // namespace
}  // namespace corespun::test
