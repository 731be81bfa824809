// tcp_listener: where one may listen, and who may share that.

#include <corespun/net/connect.hpp>
#include <corespun/net/stream.hpp>
#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/scope.hpp>

#include <gtest/gtest.h>

#include <netinet/tcp.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "tests/support/io_run.hpp"
#include "tests/support/io_sockets.hpp"

namespace corespun::test {
namespace {

using namespace std::chrono_literals;

class folder {
 public:
  folder() {
    std::string name = (std::filesystem::temp_directory_path() / "corespun-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr)
      throw std::system_error(errno, std::system_category(), "mkdtemp");
    path_ = name;
  }
  folder(const folder&) = delete;
  folder& operator=(const folder&) = delete;
  ~folder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::filesystem::path file() const { return path_ / "socket"; }
  [[nodiscard]] address at() const { return need(address::parse("unix:" + file().string())); }

 private:
  std::filesystem::path path_;
};

/// That a connection goes through: one byte from the client to the accepted side.
task<> expect_works(tcp_listener& listener) {
  const raw client = connected_to(listener.local_address());
  send_now(client, "x");
  tcp_stream accepted = need(co_await listener.accept());
  std::array<std::byte, 1> byte{};
  need(co_await accepted.read_exactly(byte));
  EXPECT_EQ(text_of(byte), "x");
}

class bindable : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(listener, bindable,
                         testing::Values("127.0.0.1:0", "0.0.0.0:0", "[::1]:0",
                                         "unix:@corespun-bindable-"));

TEST_P(bindable, accepts_connections) {
  run_io([]() -> task<> {
    std::string at = GetParam();
    if (at.starts_with("unix:")) at += std::to_string(::getpid());  // lanes run beside each other
    result<tcp_listener> listener = tcp_listener::bind(need(address::parse(at)));
    const bool no_such_family = !listener && GetParam().starts_with('[');  // a machine without IPv6
    if (no_such_family) co_return;
    tcp_listener bound = need(std::move(listener));
    co_await expect_works(bound);
  });
}

TEST(listener, of_port_zero_tells_which_port_it_got) {
  run_io([]() -> task<> {
    tcp_listener listener = need(tcp_listener::bind(address::loopback(0)));
    EXPECT_NE(listener.local_address().port(), 0);
    co_await expect_works(listener);
  });
}

TEST(listener, connections_have_no_delay) {
  run_io([]() -> task<> {
    tcp_listener listener = need(tcp_listener::bind(address::loopback(0)));
    const raw client = connected_to(listener.local_address());
    const tcp_stream accepted = need(co_await listener.accept());
    EXPECT_NE(need(accepted.option(IPPROTO_TCP, TCP_NODELAY)), 0);
    const tcp_stream connecting = need(co_await connect(listener.local_address()));
    EXPECT_NE(need(connecting.option(IPPROTO_TCP, TCP_NODELAY)), 0);
  });
}

TEST(listener, tells_who_connected) {
  run_io([]() -> task<> {
    tcp_listener listener = need(tcp_listener::bind(address::loopback(0)));
    const raw client = connected_to(listener.local_address());
    const tcp_stream accepted = need(co_await listener.accept());
    EXPECT_EQ(need(accepted.peer_address()), bound_address(client));
    EXPECT_EQ(need(accepted.local_address()), listener.local_address());
  });
}

// --- who holds the address ---

TEST(listener, of_a_port_that_this_process_listens_on_is_refused) {
  run_io([]() -> task<> {
    const tcp_listener first = need(tcp_listener::bind(address::loopback(0)));
    const auto second = tcp_listener::bind(first.local_address());
    EXPECT_EQ(error_in(second), system_error_code(EADDRINUSE));
    co_return;
  });
}

TEST(listener, of_a_port_whose_owner_would_share_it_is_refused) {
  run_io([]() -> task<> {
    const raw foreign = raw_socket(address::loopback(0));
    const int one = 1;
    sys(os().set_option(foreign.get(), SOL_SOCKET, SO_REUSEPORT, &one, sizeof one), "SO_REUSEPORT");
    const address any_port = address::loopback(0);
    sys(os().bind(foreign.get(), any_port.native(), any_port.native_size()), "bind");
    sys(os().listen(foreign.get(), 1), "listen");
    const auto second = tcp_listener::bind(bound_address(foreign));
    EXPECT_EQ(error_in(second), system_error_code(EADDRINUSE));
    co_return;
  });
}

TEST(listener, of_a_port_with_old_connections_is_granted) {
  run_io([]() -> task<> {
    address at;
    {
      tcp_listener first = need(tcp_listener::bind(address::loopback(0)));
      at = first.local_address();
      const raw client = connected_to(at);
      tcp_stream accepted = need(co_await first.accept());
      need(co_await accepted.close());  // this side goes to TIME_WAIT
      need(co_await first.close());
    }
    const auto again = tcp_listener::bind(at);
    EXPECT_EQ(error_in(again), std::error_code());
  });
}

TEST(listener, of_an_address_of_another_machine_is_refused) {
  run_io([]() -> task<> {
    const auto r = tcp_listener::bind(need(address::parse("192.0.2.1:0")));
    EXPECT_EQ(error_in(r), system_error_code(EADDRNOTAVAIL));
    co_return;
  });
}

// --- Unix sockets ---

TEST(unix_listener, replaces_the_file_of_a_dead_server) {
  if (on_sim()) GTEST_SKIP() << "the simulated kernel keeps its paths apart from real files";
  run_io([]() -> task<> {
    const folder f;
    {
      const raw dead = raw_listener(f.at());
    }
    EXPECT_TRUE(std::filesystem::is_socket(f.file()));
    tcp_listener listener = need(tcp_listener::bind(f.at()));
    EXPECT_EQ(listener.local_address(), f.at());
    co_await expect_works(listener);
  });
}

TEST(unix_listener, leaves_a_live_server_alone) {
  run_io([]() -> task<> {
    const folder f;
    const raw live = raw_listener(f.at());
    const auto second = tcp_listener::bind(f.at());
    EXPECT_EQ(error_in(second), system_error_code(EADDRINUSE));
    const raw client = connected_to(f.at());
    co_return;
  });
}

TEST(unix_listener, leaves_a_file_that_is_no_socket_alone) {
  if (on_sim()) GTEST_SKIP() << "the simulated kernel keeps its paths apart from real files";
  run_io([]() -> task<> {
    const folder f;
    std::ofstream(f.file()) << "precious";
    const auto r = tcp_listener::bind(f.at());
    EXPECT_EQ(error_in(r), system_error_code(EADDRINUSE));
    EXPECT_TRUE(std::filesystem::is_regular_file(f.file()));
    co_return;
  });
}

// --- adopt, twin ---

TEST(listener, adopts_a_descriptor_that_listens) {
  run_io([]() -> task<> {
    raw inherited = raw_listener(address::loopback(0));
    const address at = bound_address(inherited);
    tcp_listener listener = need(tcp_listener::adopt(inherited.release()));
    EXPECT_EQ(listener.local_address(), at);
    co_await expect_works(listener);
  });
}

TEST(listener, does_not_adopt_what_does_not_listen) {
  run_io([]() -> task<> {
    const raw_pair ends = tcp_pair();
    EXPECT_EQ(error_in(tcp_listener::adopt(ends.one.get())), system_error_code(EINVAL));
    const raw_pair pipe = pipe_pair();
    EXPECT_EQ(error_in(tcp_listener::adopt(pipe.one.get())), system_error_code(ENOTSOCK));
    EXPECT_EQ(error_in(tcp_listener::adopt(-1)), system_error_code(EBADF));
    co_return;
  });
}

TEST(listener, a_twin_gets_its_share_of_the_connections) {
  run_io(io_cores(2), [](scope& s) -> task<> {
    tcp_listener first = need(tcp_listener::bind(address::loopback(0)));
    auto elsewhere = s.spawn_on(1, [twin = need(first.twin())]() mutable -> task<> {
      tcp_listener second = need(twin.listen());
      const tcp_stream accepted = need(co_await second.accept());
    });
    std::vector<raw> clients;
    while (!elsewhere.done()) {  // the kernel spreads by port: each connection has an even chance
      const address at = first.local_address();
      clients.push_back(raw_socket(at));
      // Reset when the other one has just closed.
      (void)os().connect(clients.back().get(), at.native(), at.native_size());
      co_await yield();
    }
  });
}

TEST(unix_listener, a_twin_takes_from_the_same_queue) {
  run_io([]() -> task<> {
    const folder f;
    tcp_listener first = need(tcp_listener::bind(f.at()));
    listener_twin twin = need(first.twin());
    tcp_listener second = need(twin.listen());
    co_await expect_works(second);
    co_await expect_works(first);
  });
}

// --- accept ---

class accepting : public testing::TestWithParam<bool> {
 protected:
  static tcp_listener bound() {
    listen_options options;
    options.multishot = GetParam();
    return need(tcp_listener::bind(address::loopback(0), options));
  }
};
INSTANTIATE_TEST_SUITE_P(listener, accepting, testing::Bool(),
                         [](const auto& p) { return p.param ? "multishot" : "one_shot"; });

TEST_P(accepting, delivers_each_connection_once) {
  run_io([]() -> task<> {
    tcp_listener listener = bound();
    constexpr std::size_t count = 200;  // more than multishot takes ahead
    std::set<std::string> expected;
    std::set<std::string> got;
    std::vector<raw> clients;
    std::vector<tcp_stream> accepted;
    for (std::size_t i = 0; i < count; ++i) {
      clients.push_back(connected_to(listener.local_address()));
      expected.insert(bound_address(clients.back()).to_string());
      if (i % 3 != 0) continue;
      accepted.push_back(need(co_await listener.accept()));
      got.insert(need(accepted.back().peer_address()).to_string());
    }
    while (accepted.size() < count) {
      accepted.push_back(need(co_await listener.accept()));
      got.insert(need(accepted.back().peer_address()).to_string());
    }
    EXPECT_EQ(got, expected);
  });
}

TEST_P(accepting, a_closed_listener_ends_accept_and_closes_who_waited) {
  run_io([](scope& s) -> task<> {
    tcp_listener listener = bound();
    const raw first = connected_to(listener.local_address());
    {
      const tcp_stream taken = need(co_await listener.accept());
    }
    const auto accept = [](tcp_listener& on) -> task<std::error_code> {
      const result<tcp_stream> r = co_await on.accept();
      co_return error_in(r);
    };
    auto waiting = s.spawn(accept, std::ref(listener));
    for (int i = 0; i < 5; ++i) co_await yield();
    need(co_await listener.close());
    const std::error_code error = (co_await waiting.join()).value();
    EXPECT_EQ(error, errc::closed);
  });
}

TEST_P(accepting, what_was_accepted_ahead_is_closed_with_the_listener) {
  run_io([]() -> task<> {
    std::vector<raw> clients;
    {
      tcp_listener listener = bound();
      for (int i = 0; i < 20; ++i) clients.push_back(connected_to(listener.local_address()));
      const tcp_stream one_of_them = need(co_await listener.accept());
      for (int i = 0; i < 10; ++i) co_await yield();
    }
    co_await quiet();
    for (const raw& client : clients) {
      char c = 0;
      EXPECT_LE(read_now(client.get(), &c, 1), 0);  // the end, or a reset
    }
  });
}

TEST_P(accepting, says_when_no_descriptor_is_left_and_goes_on_later) {
  run_io([]() -> task<> {
    tcp_listener listener = bound();
    const raw client = connected_to(listener.local_address());
    result<tcp_stream> refused = std::unexpected(std::error_code());
    {
      const no_more_descriptors limit;
      refused = co_await listener.accept();
    }
    EXPECT_EQ(error_in(refused), system_error_code(EMFILE));
    const tcp_stream accepted = need(co_await listener.accept());
    EXPECT_EQ(need(accepted.peer_address()), bound_address(client));
  });
}

TEST_P(accepting, loses_no_connection_in_a_race_with_deadlines) {
  run_io([](scope& s) -> task<> {
    tcp_listener listener = bound();
    constexpr std::size_t count = 200;
    std::vector<raw> clients;
    const auto connect_all = [](address to, std::vector<raw>& into) -> task<> {
      for (std::size_t i = 0; i < count; ++i) {
        into.push_back(connected_to(to));
        co_await yield();
      }
    };
    (void)s.spawn(connect_all, listener.local_address(), std::ref(clients));
    std::vector<tcp_stream> accepted;
    for (unsigned round = 0; accepted.size() < count; ++round) {
      result<tcp_stream> r =
          co_await with_timeout(std::chrono::microseconds(round % 40), listener.accept());
      if (r) {
        accepted.push_back(std::move(*r));
      } else {
        EXPECT_EQ(r.error(), errc::timed_out);
      }
    }
    while (s.alive() > 1) co_await yield();
  });
}

}  // namespace
}  // namespace corespun::test
