// Each I/O scenario, cancelled at each step: nothing is left behind, and no byte, no connection and
// no buffer is lost.

#include <corespun/net/connect.hpp>
#include <corespun/net/stream.hpp>
#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/scope.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/everywhere.hpp"
#include "tests/support/io_sockets.hpp"

namespace corespun::test {
namespace {

using namespace std::chrono_literals;

constexpr clock::duration lost = 20s;  // what has not come by then never will

listen_options multishot_if(bool wanted) {
  listen_options options;
  options.multishot = wanted;
  return options;
}

// Whoever is not yet stopped sees what the end of the other one means: an error or an early end.
// It then just returns.
class echo_over_tcp final : public scenario {
 public:
  echo_over_tcp(int& alive, bool multishot) : scenario(alive), multishot_(multishot) {}

  task<> run(scope& s) override {
    auto server = s.spawn(&echo_over_tcp::serve_one, this);
    const counted here = in_frame();
    result<tcp_stream> stream = co_await connect(listener_.local_address());
    if (!stream) co_return;
    auto talk_to = talk(*stream);
    co_await std::move(talk_to);
    (void)co_await server.join();
  }

 private:
  task<> serve_one() {
    const counted here = in_frame();
    result<tcp_stream> stream = co_await listener_.accept();
    if (!stream) co_return;
    if (multishot_) stream->use_multishot();
    while (true) {
      const result<lease> data = co_await stream->recv();
      if (!data || data->empty()) break;
      const result<> sent = co_await stream->write_all(data->text());
      if (!sent) break;
    }
    (void)co_await stream->close();
  }

  task<> talk(tcp_stream& to) {
    const counted here = in_frame();
    for (int i = 0; i < 3; ++i) {
      const std::string request(600, static_cast<char>('a' + i));
      std::array<iovec, 2> parts{iovec{const_cast<char*>(request.data()), 200},
                                 iovec{const_cast<char*>(request.data()) + 200, 400}};
      const result<> sent = i == 1 ? co_await to.write_all(std::span(parts))
                                   : co_await to.write_all(std::string_view(request));
      std::string answer(request.size(), ' ');
      if (!sent) co_return;
      const result<> received = co_await to.read_exactly(std::as_writable_bytes(std::span(answer)));
      if (!received) co_return;
      EXPECT_EQ(answer, request);
    }
    (void)co_await to.shutdown_write();
    const result<lease> end = co_await to.recv();
    done = end && end->empty();
    (void)co_await to.close();
  }

  bool multishot_;
  tcp_listener listener_ = need(tcp_listener::bind(address::loopback(0), multishot_if(multishot_)));
};

TEST(cancel_everywhere, an_echo_over_tcp_leaves_nothing_behind) {
  cancel_everywhere<echo_over_tcp>(io_cores(1, few_buffers()), 0, false);
}
TEST(cancel_everywhere, a_multishot_echo_leaves_nothing_behind) {
  cancel_everywhere<echo_over_tcp>(io_cores(1, few_buffers()), 0, true);
}

// So many connections must not keep their ports for a minute (TIME_WAIT): whoever closes last
// resets.
raw_pair forgotten_pair() {
  raw_pair ends = tcp_pair();
  reset_on_close(ends.one);
  return ends;
}
raw forgotten_client(const address& to) {
  raw client = connected_to(to);
  reset_on_close(client);
  return client;
}

enum class receive { lease, multishot, read_some };

// The peer is a plain socket, and the stream outlives the cancel: what a cancelled receive did not
// deliver must still be there.
class reader final : public scenario {
 public:
  reader(int& alive, receive how) : scenario(alive), how_(how) {
    if (how_ == receive::multishot) stream_.use_multishot();
  }

  task<> run(scope& s) override {
    auto reading = s.spawn(&reader::read_on, this);
    for (std::size_t i = 0; i < parts; ++i) {
      send_now(ends_.two, std::string_view(sent_).substr(i * part, part));
      told_ += part;
      for (int turns = 0; turns < 2; ++turns) co_await yield();
    }
    ends_.two.reset();
    (void)co_await reading.join();
    done = true;
  }

  task<> after() override {
    ends_.two.reset();
    auto rest = with_timeout(lost, read_on());
    const result<> ended = co_await std::move(rest);
    EXPECT_TRUE(ended.has_value()) << "the end of the stream was lost";
    EXPECT_EQ(received_.size(), told_);
    EXPECT_EQ(received_, sent_.substr(0, told_));
  }

 private:
  static constexpr std::size_t parts = 6;
  static constexpr std::size_t part = 1500;

  task<> read_on() {
    const counted here = in_frame();
    std::array<std::byte, 1000> room;
    while (!ended_) {
      if (how_ == receive::read_some) {
        const result<std::size_t> n = co_await stream_.read_some(room);
        ended_ = need(n) == 0;
        received_ += text_of(std::span(room).first(*n));
      } else {
        result<lease> data = co_await stream_.recv();
        ended_ = !data || data->empty();
        if (!data) throw std::system_error(data.error());
        received_ += data->text();
        co_await yield();  // with the lease
      }
    }
  }

  receive how_;
  raw_pair ends_ = forgotten_pair();
  tcp_stream stream_ = stream_on(std::move(ends_.one));
  std::string sent_ = text_of(pattern(parts * part));
  std::string received_;
  std::size_t told_ = 0;
  bool ended_ = false;
};

TEST(cancel_everywhere, a_cancelled_recv_loses_no_byte) {
  cancel_everywhere<reader>(io_cores(1, few_buffers()), 0, receive::lease);
}
TEST(cancel_everywhere, a_cancelled_multishot_recv_loses_no_byte) {
  cancel_everywhere<reader>(io_cores(1, few_buffers()), 0, receive::multishot);
}
TEST(cancel_everywhere, a_cancelled_read_some_loses_no_byte) {
  cancel_everywhere<reader>(io_cores(1, few_buffers()), 0, receive::read_some);
}

// Several streams want the one buffer that there is, and each holds it for a while.
class one_buffer final : public scenario {
 public:
  explicit one_buffer(int& alive) : scenario(alive) {
    for (auto& e : ends_) {
      send_now(e.two, "one");
      streams_.push_back(stream_on(std::move(e.one)));
    }
  }

  task<> run(scope& s) override {
    for (std::size_t i = 0; i < patient; ++i) (void)s.spawn(&one_buffer::take, this, i);
    while (taken_ < streams_.size()) co_await yield();
    done = true;
  }

  task<> beside() override {
    auto last = with_timeout(lost, take(patient));
    const result<> took = co_await std::move(last);
    EXPECT_TRUE(took.has_value()) << "the queue stands still";
  }

  task<> after() override {
    for (std::size_t i = 0; i < streams_.size(); ++i) {
      if (text_[i].empty()) {
        auto again = with_timeout(lost, take(i));
        const result<> took = co_await std::move(again);
        EXPECT_TRUE(took.has_value()) << "no buffer for stream " << i;
      }
      EXPECT_EQ(text_[i], "one");
    }
  }

 private:
  task<> take(std::size_t i) {
    const counted here = in_frame();
    result<lease> data = co_await streams_[i].recv();
    const lease held = need(std::move(data));
    text_[i] = held.text();
    ++taken_;
    for (int turns = 0; turns < 3; ++turns) co_await yield();
  }

  static constexpr std::size_t patient = 3;  // the one that nobody cancels

  std::array<raw_pair, 4> ends_{forgotten_pair(), forgotten_pair(), forgotten_pair(),
                                forgotten_pair()};
  std::vector<tcp_stream> streams_;
  std::array<std::string, 4> text_;
  std::size_t taken_ = 0;
};

TEST(cancel_everywhere, the_only_buffer_always_goes_to_the_next_in_the_queue) {
  io_options io = few_buffers();
  io.small_buffers = io.large_buffers = 1;
  cancel_everywhere<one_buffer>(io_cores(1, io), 0);
}

class writer final : public scenario {
 public:
  explicit writer(int& alive) : scenario(alive) {}

  task<> run(scope& s) override {
    auto writing = s.spawn(&writer::write_on, this);
    while (!writing.done()) {
      take_what_is_there();
      co_await yield();
    }
    done = true;
  }

  task<> after() override {
    const result<> closed = co_await stream_.close();
    EXPECT_TRUE(closed.has_value());
    arrived_ += read_to_the_end();
    EXPECT_EQ(arrived_.size(), told_);
    EXPECT_EQ(arrived_, text_of(bytes_).substr(0, told_));
  }

 private:
  task<> write_on() {
    const counted here = in_frame();
    while (told_ < bytes_.size()) {
      const result<std::size_t> n = co_await stream_.write_some(std::span(bytes_).subspan(told_));
      told_ += need(n);
    }
  }

  void take_what_is_there() {
    char block[8192];
    const ssize_t n = ::recv(peer_.get(), block, sizeof block, MSG_DONTWAIT);
    if (n > 0) arrived_.append(block, static_cast<std::size_t>(n));
  }
  std::string read_to_the_end() { return receive_now(peer_, bytes_.size() + 1); }

  static raw_pair narrow() {
    raw_pair ends = socket_pair();
    shrink_buffers(ends.one);
    return ends;
  }

  raw_pair ends_ = narrow();
  raw peer_ = std::move(ends_.two);
  tcp_stream stream_ = stream_on(std::move(ends_.one));
  std::vector<std::byte> bytes_ = pattern(40'000);
  std::string arrived_;
  std::size_t told_ = 0;
};

TEST(cancel_everywhere, a_cancelled_write_some_tells_of_each_byte_that_arrives) {
  if (on_sim()) GTEST_SKIP() << "the peer makes system calls of its own";
  cancel_everywhere<writer>(io_cores(1, few_buffers()), 0);
}

class accepting final : public scenario {
 public:
  accepting(int& alive, bool multishot) : scenario(alive), multishot_(multishot) {}

  task<> run(scope& s) override {
    auto all = s.spawn(&accepting::accept_all, this);
    for (std::size_t i = 0; i < count; ++i) {
      clients_.push_back(forgotten_client(listener_.local_address()));
      co_await yield();
    }
    (void)co_await all.join();
    done = true;
  }

  task<> after() override {
    while (clients_.size() < count) clients_.push_back(forgotten_client(listener_.local_address()));
    auto rest = with_timeout(lost, accept_all());
    const result<> ended = co_await std::move(rest);
    EXPECT_TRUE(ended.has_value()) << "only " << streams_.size() << " connections came";
  }

 private:
  static constexpr std::size_t count = 4;

  task<> accept_all() {
    const counted here = in_frame();
    while (streams_.size() < count) {
      result<tcp_stream> stream = co_await listener_.accept();
      streams_.push_back(need(std::move(stream)));
    }
  }

  bool multishot_;
  tcp_listener listener_ = need(tcp_listener::bind(address::loopback(0), multishot_if(multishot_)));
  std::vector<raw> clients_;
  std::vector<tcp_stream> streams_;
};

TEST(cancel_everywhere, a_cancelled_accept_loses_no_connection) {
  cancel_everywhere<accepting>(io_cores(1, few_buffers()), 0, false);
}
TEST(cancel_everywhere, a_cancelled_multishot_accept_loses_no_connection) {
  cancel_everywhere<accepting>(io_cores(1, few_buffers()), 0, true);
}
// There are as many slots as connections: one that is lost would be missed.
TEST(cancel_everywhere, a_cancelled_accept_loses_no_direct_slot) {
  if (!on_uring()) GTEST_SKIP() << "direct descriptors are slots of a ring";
  io_options io = few_buffers();
  io.direct_descriptors = 4;
  cancel_everywhere<accepting>(io_cores(1, io), 0, false);
  cancel_everywhere<accepting>(io_cores(1, io), 0, true);
}

}  // namespace
}  // namespace corespun::test
