#include <corespun/net/placement.hpp>

#include <corespun/runtime/detail/machine.hpp>

#include <sys/socket.h>

#include <algorithm>

namespace corespun {

placement round_robin() {
  return [next = 0U](const tcp_stream&, std::span<const unsigned> connections) mutable {
    return next++ % static_cast<unsigned>(connections.size());
  };
}

placement least_connections() {
  return [first = 0U](const tcp_stream&, std::span<const unsigned> connections) mutable {
    const auto count = static_cast<unsigned>(connections.size());
    unsigned best = first % count;
    for (unsigned i = 0; i < count; ++i) {
      const unsigned core = (first + i) % count;
      if (connections[core] < connections[best]) best = core;
    }
    first = best + 1;
    return best;
  };
}

placement incoming_cpu() {
  return [otherwise = round_robin()](const tcp_stream& s, std::span<const unsigned> connections) {
    const result<int> cpu = s.option(SOL_SOCKET, SO_INCOMING_CPU);
    const auto& cores = detail::core::current()->all().cores;
    const auto is_there = [&](const auto& core) { return cpu && core->processor == *cpu; };
    const auto found = std::ranges::find_if(cores, is_there);
    return found != cores.end() ? (*found)->index() : otherwise(s, connections);
  };
}

}  // namespace corespun
