// Addresses as text and back.

#include <corespun/net/address.hpp>

#include <gtest/gtest.h>

#include <netinet/in.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace corespun::test {
namespace {

using namespace std::string_view_literals;

class good_address : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(address, good_address,
                         testing::Values("127.0.0.1:80", "0.0.0.0:0", "255.255.255.255:65535",
                                         "[::1]:80", "[::]:0", "[2001:db8::1]:443",
                                         "[::ffff:1.2.3.4]:1", "[fe80::1%lo]:80",
                                         "unix:/tmp/socket", "unix:relative", "unix:@abstract",
                                         "unix:@a@b:c"));

TEST_P(good_address, prints_as_it_was_written) {
  const result<address> a = address::parse(GetParam());
  ASSERT_TRUE(a) << GetParam();
  EXPECT_EQ(a->to_string(), GetParam());
  EXPECT_EQ(*address::parse(a->to_string()), *a);
}

TEST_P(good_address, survives_the_way_through_the_kernels_form) {
  const address a = *address::parse(GetParam());
  EXPECT_EQ(address::from_native(a.native(), a.native_size()), a);
}

TEST(address, takes_the_longest_unix_path_that_the_kernel_takes) {
  const std::string path(107, 'p');
  const result<address> longest = address::parse("unix:" + path);
  ASSERT_TRUE(longest);
  EXPECT_EQ(longest->to_string(), "unix:" + path);
  EXPECT_FALSE(address::parse("unix:" + path + "p"));
  const result<address> longest_abstract = address::parse("unix:@" + path.substr(1));
  ASSERT_TRUE(longest_abstract);
  EXPECT_EQ(longest_abstract->to_string(), "unix:@" + path.substr(1));
}

constexpr std::string_view bad_texts[] = {"",
                                          "80",
                                          ":80",
                                          "127.0.0.1",
                                          "127.0.0.1:",
                                          "127.0.0.1:x",
                                          "127.0.0.1:65536",
                                          "127.0.0.1:-1",
                                          "127.0.0.1:+1",
                                          "127.0.0.1: 80",
                                          "127.0.0.1:80 ",
                                          " 127.0.0.1:80",
                                          "127.0.0.1:80x",
                                          "127.1:80",
                                          "256.0.0.1:80",
                                          "localhost:80",
                                          "::1:80",
                                          "[::1]",
                                          "[::1]80",
                                          "[::1:80",
                                          "[]:80",
                                          "[::1%]:80",
                                          "[::1%nosuchzone]:80",
                                          "[127.0.0.1]:80",
                                          "[[::1]]:80",
                                          "unix:",
                                          "unix:@",
                                          "unix",
                                          "127.0.0.1\0x:80"sv,
                                          "[::1\0x]:80"sv,
                                          "[fe80::1%lo\0x]:80"sv,
                                          "127.0.0.1:80\0"sv,
                                          "unix:/a\0b"sv};

class bad_address : public testing::TestWithParam<std::string_view> {};
INSTANTIATE_TEST_SUITE_P(address, bad_address, testing::ValuesIn(bad_texts));

TEST_P(bad_address, is_refused) {
  const result<address> a = address::parse(GetParam());
  ASSERT_FALSE(a) << a->to_string();
  EXPECT_EQ(a.error(), errc::bad_address);
}

TEST(address, knows_its_family_and_port) {
  EXPECT_EQ(address::parse("1.2.3.4:80")->family(), AF_INET);
  EXPECT_EQ(address::parse("[::1]:81")->family(), AF_INET6);
  EXPECT_EQ(address::parse("unix:/x")->family(), AF_UNIX);
  EXPECT_EQ(address::parse("1.2.3.4:80")->port(), 80);
  EXPECT_EQ(address::parse("[::1]:81")->port(), 81);
  EXPECT_EQ(address::parse("unix:/x")->port(), 0);
  EXPECT_TRUE(address::parse("unix:@x")->is_unix());
}

TEST(address, with_port_changes_the_port_alone) {
  EXPECT_EQ(address::parse("1.2.3.4:80")->with_port(81).to_string(), "1.2.3.4:81");
  EXPECT_EQ(address::parse("[fe80::1%lo]:80")->with_port(81).to_string(), "[fe80::1%lo]:81");
  EXPECT_EQ(address::parse("unix:/x")->with_port(81).to_string(), "unix:/x");
}

TEST(address, loopback_and_any_are_what_they_are_called) {
  EXPECT_EQ(address::loopback(1).to_string(), "127.0.0.1:1");
  EXPECT_EQ(address::any(65535).to_string(), "0.0.0.0:65535");
  EXPECT_EQ(address().to_string(), "(no address)");
}

TEST(address, differs_where_host_port_or_kind_differ) {
  const auto at = [](const char* text) { return *address::parse(text); };
  EXPECT_NE(at("127.0.0.1:80"), at("127.0.0.1:81"));
  EXPECT_NE(at("127.0.0.1:80"), at("127.0.0.2:80"));
  EXPECT_NE(at("127.0.0.1:80"), at("[::ffff:127.0.0.1]:80"));
  EXPECT_NE(at("unix:/x"), at("unix:@/x"));
}

TEST(address, of_an_unnamed_unix_socket_prints_without_a_path) {
  sockaddr_un unnamed{};
  unnamed.sun_family = AF_UNIX;
  const auto a = address::from_native(reinterpret_cast<const sockaddr*>(&unnamed),
                                      offsetof(sockaddr_un, sun_path));
  EXPECT_EQ(a.to_string(), "unix:");
}

}  // namespace
}  // namespace corespun::test
