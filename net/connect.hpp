#pragma once
// connect: opens a connection.

#include <corespun/net/stream.hpp>
#include <corespun/runtime/clock.hpp>

#include <chrono>

namespace corespun {

/// Connects to a TCP or Unix address within `limit`. Errors: errc::timed_out, ECONNREFUSED,
/// ENETUNREACH, …; explain() has a text for each. Cancel: the attempt is given up.
[[nodiscard]] task<result<tcp_stream>> connect(address to,
                                               clock::duration limit = std::chrono::seconds(30));

}  // namespace corespun
