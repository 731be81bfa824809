#pragma once
// placement: which core gets a new connection.
//
//   serve_options how;
//   how.placement = least_connections();
//
// Without one each core has a listener of its own on the same address and the kernel chooses among
// them, by a hash of the addresses (SO_REUSEPORT): nothing is handed over, but some cores get more
// than others. With one the core that listens accepts all connections and hands each to its core: a
// wake of that core for a connection, and numbers as even as the placement makes them.
//
// Threads: called on the core that listens, for one connection after the other.

#include <corespun/net/stream.hpp>

#include <functional>
#include <span>

namespace corespun {

/// The index of a core. `connections`: how many each core has at present.
using placement = std::function<unsigned(const tcp_stream&, std::span<const unsigned> connections)>;

/// One core after the other.
[[nodiscard]] placement round_robin();
/// The core that has the fewest connections; among equals the one that got none the longest.
[[nodiscard]] placement least_connections();
/// The core whose processor the kernel received the connection on (SO_INCOMING_CPU); one after the
/// other where the cores are not pinned, or none is pinned to that processor.
[[nodiscard]] placement incoming_cpu();

}  // namespace corespun
