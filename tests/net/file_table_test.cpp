// A file table per core: more connections than one process may open descriptors, and descriptors
// that stay with their core.

#include <corespun/net/connect.hpp>
#include <corespun/net/serve.hpp>
#include <corespun/runtime/affinity.hpp>
#include <corespun/runtime/event.hpp>

#include <gtest/gtest.h>

#include <netinet/tcp.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <string>
#include <vector>

#include "tests/support/io_run.hpp"
#include "tests/support/io_sockets.hpp"

namespace corespun::test {
namespace {

runtime_options with_tables(unsigned cores) {
  io_options io = lane_io();
  io.file_table_per_core = true;
  return io_cores(cores, io);
}

/// So many descriptors may each table have while this lives.
class descriptor_limit {
 public:
  explicit descriptor_limit(rlim_t most) {
    EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &before_), 0);
    rlimit now = before_;
    now.rlim_cur = most;
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &now), 0);
  }
  descriptor_limit(const descriptor_limit&) = delete;
  descriptor_limit& operator=(const descriptor_limit&) = delete;
  ~descriptor_limit() { EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before_), 0); }

 private:
  rlimit before_{};
};

task<> echo(tcp_stream stream) {
  while (true) {
    const result<lease> data = co_await stream.recv();
    if (!data || data->empty() || !co_await stream.write_all(data->bytes())) co_return;
  }
}

task<> use(address at, std::atomic<unsigned>& echoed, event& all_there, unsigned all) {
  tcp_stream stream = need(co_await connect(at));
  need(co_await stream.write_all("here"));
  std::string answer(4, ' ');
  need(co_await stream.read_exactly(std::as_writable_bytes(std::span(answer))));
  EXPECT_EQ(answer, "here");
  if (echoed.fetch_add(1) + 1 == all) all_there.open();
  co_await all_there.wait();
}

TEST(file_table, each_core_has_as_many_descriptors_as_the_process_may_have) {
  if (on_sim()) GTEST_SKIP() << "simulated descriptors have no limit";
  static constexpr unsigned cores = 4;
  static constexpr unsigned each =
      20;  // both ends are here, and one core may have accepted them all
  static constexpr unsigned most = 128;  // of a table; what the process has open is in all of them
  const descriptor_limit low(most);
  run_io(with_tables(cores), [](scope& all) -> task<> {
    tcp_listener listener = need(tcp_listener::bind(address::loopback(0)));
    const address at = listener.local_address();
    auto serving =
        all.spawn([&listener]() -> task<> { need(co_await serve(std::move(listener), echo)); });
    std::atomic<unsigned> echoed{0};
    event all_there;
    auto clients = [&](scope& s) -> task<> {
      for (unsigned i = 0; i < cores * each; ++i) {
        (void)s.spawn_on(i % cores, use, at, std::ref(echoed), std::ref(all_there), cores * each);
      }
      co_return;
    };
    co_await with_scope(clients);
    EXPECT_GT(2 * echoed.load(), most);
    serving.cancel();
  });
}

TEST(file_table, a_free_task_goes_to_its_stream) {
  run_io(with_tables(2), []() -> task<> {
    tcp_listener listener = need(tcp_listener::bind(address::loopback(0)));
    const raw client = connected_to(listener.local_address());
    tcp_stream accepted = need(co_await listener.accept());
    const unsigned home = this_core::index();
    send_now(client, "hello");
    co_await resume_on(1 - home);
    co_await resume_anywhere();
    const lease data = need(co_await accepted.recv());
    EXPECT_EQ(data.text(), "hello");
    co_await resume_on(home);  // where the client's descriptor is to be closed
  });
}

void receive_elsewhere() {
  run_io(with_tables(2), []() -> task<> {
    tcp_listener listener = need(tcp_listener::bind(address::loopback(0)));
    const raw client = connected_to(listener.local_address());
    tcp_stream accepted = need(co_await listener.accept());
    accepted.use_multishot();
    co_await resume_on(1 - this_core::index());
    (void)co_await accepted.recv();
  });
}

TEST(file_table_death, a_bound_task_that_left_its_stream_behind_aborts_and_says_why) {
  EXPECT_DEATH(receive_elsewhere(), "in a table of that core");
}

TEST(file_table, options_are_set_where_the_number_is_known) {
  run_io(with_tables(2), []() -> task<> {
    tcp_listener listener = need(tcp_listener::bind(address::loopback(0)));
    const raw client = connected_to(listener.local_address());
    tcp_stream accepted = need(co_await listener.accept());
    const unsigned home = this_core::index();
    need(accepted.set_option(IPPROTO_TCP, TCP_NODELAY, 1));
    co_await resume_on(1 - home);
    EXPECT_EQ(accepted.native_handle(), -1);
    EXPECT_EQ(error_in(accepted.set_option(IPPROTO_TCP, TCP_NODELAY, 1)), errc::not_supported);
    co_await resume_on(home);
    EXPECT_NE(accepted.native_handle(), -1);
  });
}

TEST(file_table, connections_are_neither_placed_nor_balanced) {
  run_io(with_tables(2), []() -> task<> {
    serve_options options;
    options.placement = round_robin();
    const result<> served =
        co_await serve(need(tcp_listener::bind(address::loopback(0))), echo, options);
    EXPECT_EQ(error_in(served), errc::not_supported);
  });
}

TEST(file_table, a_unix_path_is_served_by_one_core) {
  run_io(with_tables(2), [](scope& all) -> task<> {
    tcp_listener listener = need(tcp_listener::bind(
        need(address::parse("unix:@corespun-served-" + std::to_string(getpid())))));
    const address at = listener.local_address();
    auto serving =
        all.spawn([&listener]() -> task<> { need(co_await serve(std::move(listener), echo)); });
    std::atomic<unsigned> echoed{0};
    event all_there;
    auto client = use(at, echoed, all_there, 1);
    co_await std::move(client);
    EXPECT_EQ(echoed.load(), 1u);
    serving.cancel();
  });
}

TEST(file_table, a_unix_listener_has_no_twin) {
  run_io(with_tables(2), []() -> task<> {
    const address at = need(address::parse("unix:@corespun-" + std::to_string(getpid())));
    const tcp_listener listener = need(tcp_listener::bind(at));
    EXPECT_EQ(error_in(listener.twin()), errc::not_supported);
    co_return;
  });
}

}  // namespace
}  // namespace corespun::test
