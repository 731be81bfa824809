#pragma once
// serve: accepts connections on every core and runs a handler for each.
//
//   task<> handler(tcp_stream s) { … }
//   result<> r = co_await serve(std::move(*tcp_listener::bind(address::any(8080))), handler);
//
// Invariants
//   - A connection is a task of affinity core. Which core that is, the kernel decides, or a
//     placement (placement.hpp). It stays there, unless serve_options::balance_every is set.
//   - At the limit of connections a core stops accepting; clients wait in the kernel's queue.
//   - When no descriptor or memory is left, accepting pauses for 5 ms to 1 s, which is said once on
//     stderr.
//   - An exception from a handler ends that connection alone. It is reported on stderr, at most
//     once a second per core.
//   - When serve is cancelled, accepting ends at once; connections may go on for options.grace,
//     then they are stopped. serve returns after the last of them; its address is free then.
// The handler is copied to each core and called there; what it refers to is shared between cores.

#include <corespun/io/detail/raw_fd.hpp>
#include <corespun/net/detail/connections.hpp>
#include <corespun/net/placement.hpp>
#include <corespun/net/stream.hpp>
#include <corespun/runtime/affinity.hpp>
#include <corespun/runtime/as_result.hpp>
#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/event.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/semaphore.hpp>
#include <corespun/runtime/sleep.hpp>
#include <corespun/runtime/this_core.hpp>

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <system_error>
#include <type_traits>
#include <vector>

namespace corespun {

struct serve_options {
  serve_options() {}
  /// Connections at once over all cores; 0: no limit of its own. Without a placement each core has
  /// an equal share, rounded up, and stops accepting when it is used up, though others may have
  /// room. A multishot listener accepts up to 64 more, which wait for their handler.
  unsigned max_connections = 0;
  /// New connections per second over all cores; 0: no limit.
  double max_accepts_per_second = 0;
  /// How long connections may go on after serve was cancelled.
  std::chrono::milliseconds grace{0};
  /// Who chooses the core of a connection; empty: the kernel. Not where descriptors stay with a
  /// core (io/options.hpp).
  corespun::placement placement;
  /// At this interval connections are moved from cores that work more to those that work less,
  /// while they wait in recv() and nowhere else: their handler may find itself on another core
  /// after each recv(). Handlers that receive in tasks of their own stay. What a handler is made of
  /// is then used on several cores, and no other task may write to its stream. 0: never. Not where
  /// descriptors stay with a core.
  std::chrono::milliseconds balance_every{0};
};

namespace detail {

/// When the next connection may be accepted.
class pace {
 public:
  explicit pace(double per_second) noexcept;
  /// From when on the next one may be accepted.
  [[nodiscard]] clock::time_point next() noexcept;
  /// How long to wait after an error that only time mends: 5 ms, doubled each time up to 1 s. Says
  /// so the first time. No task, since a frame needs memory.
  [[nodiscard]] clock::duration pause(std::error_code error, const address& at) noexcept;
  void accepted() noexcept { pause_ = first_pause; }

 private:
  static constexpr std::chrono::milliseconds first_pause{5};
  clock::duration distance_;
  clock::time_point due_;
  std::chrono::milliseconds pause_ = first_pause;
  bool said_ = false;
};

/// Whether accept may work again in a while.
[[nodiscard]] bool passes_with_time(std::error_code error) noexcept;
/// Whether it was only that one connection.
[[nodiscard]] bool died_in_queue(std::error_code error) noexcept;
/// Says on stderr that a handler threw; call it inside the catch block.
void report_handler_error() noexcept;

/// Opens its event when it goes, also when its task is stopped.
struct open_at_exit {
  explicit open_at_exit(event& e) noexcept : opened(e) {}
  open_at_exit(const open_at_exit&) = delete;
  open_at_exit& operator=(const open_at_exit&) = delete;
  ~open_at_exit() { opened.open(); }
  event& opened;
};

template <typename Handler>
class server_part {
 public:
  /// One of so many parts.
  server_part(tcp_listener l, const Handler& h, const serve_options& options, unsigned parts,
              connections* all)
      : listener_(std::move(l)),
        handlers_(parts == 1 ? this_core::count() : 1, h),
        limit_(options.max_connections == 0 ? no_limit
                                            : (options.max_connections + parts - 1) / parts),
        places_(limit_),
        pace_(options.max_accepts_per_second / parts),
        grace_(options.grace),
        placement_(options.placement),
        all_(all),
        counts_(options.placement ? this_core::count() : 0) {}

  /// Accepts until cancelled; throws std::system_error for what time does not mend. Its address is
  /// free when it has ended, wherever it was cancelled.
  task<> run() {
    std::exception_ptr failed;
    try {
      auto serving = serve_connections();
      (void)co_await as_result(std::move(serving));
    } catch (...) {
      failed = std::current_exception();
    }
    (void)co_await shield(clock::duration::max(), listener_.close());
    if (failed) std::rethrow_exception(failed);
  }

 private:
  task<> serve_connections() {
    // The connections live in a scope that a cancel does not reach, so that they can be given time.
    auto body = [this](scope& s) -> task<> {
      const open_at_exit no_more(closing_);
      (void)s.spawn([this]() -> task<> {
        auto all = hold_connections();
        (void)co_await shield(clock::duration::max(), std::move(all));
      });
      co_await ready_.wait();
      auto accepting = accept_all();
      (void)co_await as_result(std::move(accepting));
      // Before the grace: nobody is left waiting in its queue.
      (void)co_await shield(clock::duration::max(), listener_.close());
    };
    co_await with_scope(std::move(body));
  }

  task<> hold_connections() {
    auto body = [this](scope& s) -> task<> {
      connections_ = &s;
      ready_.open();
      co_await closing_.wait();
      if (grace_ > grace_.zero()) (void)co_await with_timeout(grace_, places_.acquire(limit_));
      s.cancel();
    };
    co_await with_scope(std::move(body));
  }

  task<> accept_all() {
    while (true) {
      auto mine = co_await places_.hold();
      const clock::time_point due = pace_.next();
      if (due > clock::now()) co_await sleep_until(due);
      result<tcp_stream> stream = co_await listener_.accept();
      std::error_code error = stream ? start(std::move(*stream), std::move(mine)) : stream.error();
      if (!error) {
        pace_.accepted();
      } else if (passes_with_time(error)) {
        co_await sleep_for(pace_.pause(error, listener_.local_address()));
      } else if (!died_in_queue(error)) {
        throw std::system_error(error, "accept");
      }
    }
  }

  std::error_code start(tcp_stream stream, semaphore::guard mine) {
    try {
      const unsigned core = placement_ ? chosen_for(stream) : this_core::index();
      auto known = all_ != nullptr ? std::make_unique<connections::entry>(*all_, core) : nullptr;
      (void)connections_->spawn_on(core, &server_part::one_connection, this, std::move(stream),
                                   std::move(mine), std::move(known));
      return {};
    } catch (const std::bad_alloc&) {
      return std::make_error_code(std::errc::not_enough_memory);
    }
  }

  unsigned chosen_for(const tcp_stream& stream) {
    all_->count(counts_);
    const unsigned core = placement_(stream, counts_);
    return core_beside(*core::current(), core, "placement: chose").index();
  }

  static task<> one_connection(server_part* self, tcp_stream stream, semaphore::guard,
                               std::unique_ptr<connections::entry> known) {
    try {
      if (known != nullptr) known->begins(stream);
      Handler& handler = self->handlers_[self->placement_ ? this_core::index() : 0];
      co_await handler(std::move(stream));
    } catch (...) {
      report_handler_error();
    }
  }

  tcp_listener listener_;
  std::vector<Handler> handlers_;  // one, or one for each core
  static constexpr std::size_t no_limit = 1'000'000'000;
  std::size_t limit_;
  semaphore places_;
  pace pace_;
  std::chrono::milliseconds grace_;
  placement placement_;
  connections* all_;  // nullptr: nobody asks
  std::vector<unsigned> counts_;  // for the placement
  scope* connections_ = nullptr;
  event ready_;
  event closing_;
};

/// One part, by a task that is bound.
template <typename Handler>
task<> serve_with(tcp_listener listener, Handler handler, const serve_options& options,
                  unsigned parts, connections* all) {
  server_part<Handler> part(std::move(listener), handler, options, parts, all);
  co_await part.run();
}

/// The same by a listener of its own.
template <typename Handler>
task<> serve_here(listener_twin twin, Handler handler, const serve_options& options,
                  connections* all) {
  result<tcp_listener> listener = twin.listen();
  if (!listener) throw std::system_error(listener.error(), "listen");
  auto serving = serve_with(std::move(*listener), std::move(handler), std::cref(options),
                            this_core::count(), all);
  co_await std::move(serving);
}

}  // namespace detail

/// Runs until cancelled. Errors: what makes listening or accepting impossible, on any core; then
/// all cores have ended.
template <typename Handler>
[[nodiscard]] task<result<>> serve(tcp_listener listener, Handler handler,
                                   serve_options options = {}) {
  static_assert(std::is_invocable_r_v<task<>, Handler&, tcp_stream>,
                "serve: the handler must be task<>(tcp_stream)");
  const bool stays = detail::io_driver::here().connections_stay();
  const bool moves = options.placement || options.balance_every > options.balance_every.zero();
  if (moves && stays) co_return std::unexpected(make_error_code(errc::not_supported));
  std::optional<detail::connections> all;
  if (moves) all.emplace(this_core::count());
  detail::connections* const known = moves ? &*all : nullptr;
  std::error_code failed;
  try {
    auto body = [&](scope& s) -> task<> {
      const unsigned home = listener.core();
      const bool alone = options.placement || (stays && listener.local_address().is_unix());
      const unsigned parts = alone ? 1 : this_core::count();
      for (unsigned core = 0; core < this_core::count() && parts > 1; ++core) {
        if (core == home) continue;
        result<listener_twin> twin = listener.twin();
        if (!twin) throw std::system_error(twin.error(), "listen");
        (void)s.spawn_on(core, detail::serve_here<Handler>, std::move(*twin), handler,
                         std::cref(options), known);
      }
      if (options.balance_every > options.balance_every.zero())
        (void)s.spawn(&detail::connections::balance, known, options.balance_every);
      (void)s.spawn_on(home, detail::serve_with<Handler>, std::move(listener), handler,
                       std::cref(options), parts, known);
      co_return;
    };
    co_await with_scope(std::move(body));
  } catch (const std::system_error& e) {
    failed = e.code();
  }
  if (failed) co_return std::unexpected(failed);
  co_return result<>{};
}

}  // namespace corespun
