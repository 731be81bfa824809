// An echo server that computes before some of its answers: the first four bytes of a message are
// microseconds (little-endian), as perf/load --stall sends them. Its connections are free tasks:
// while one computes, other cores take what waits behind it.

#include "../../examples/server.hpp"
#include "../floor/compute.h"

#include <cstring>
#include <vector>

using namespace corespun;

namespace {

constexpr std::size_t message_bytes = 64;

task<> answer(tcp_stream stream, bool offloads) {
  co_await resume_anywhere();
  std::vector<std::byte> message(message_bytes);
  while (co_await stream.read_exactly(message)) {
    std::uint32_t us = 0;
    std::memcpy(&us, message.data(), sizeof us);
    if (us != 0 && offloads) {
      co_await offload([us] { compute(us); });
    } else if (us != 0) {
      compute(us);
    }
    if (!co_await stream.write_all(message)) break;
  }
}

}  // namespace

int main(int argc, char** argv) {
  bool offloads = false;
  const example::server_options server =
      example::parse(argc, argv, "echoes messages of 64 bytes and computes as long as they say",
                     {{"--offload", "compute on a thread for blocking calls", &offloads}});
  options o;
  o.cores = server.cores;
  auto start = [&](scope& s) -> task<int> {
    s.on_exit([]() -> task<> {
      std::puts("{}");
      co_return;
    });
    auto handler = [offloads](tcp_stream stream) { return answer(std::move(stream), offloads); };
    auto served = example::listen_and_serve(address::loopback(server.port), handler);
    co_return co_await std::move(served);
  };
  return run(start, o);
}
