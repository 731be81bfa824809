#pragma once
// actor: a task with state of its own that handles one message after the other, from a bounded
// mailbox. Whoever has its address tells it something, or asks and waits for the answer.
//
//   struct add { int n; };
//   struct sum { reply_to<int> reply; };
//   using message = std::variant<add, sum>;
//
//   struct counter {                                          // the state, fresh after a restart
//     int all = 0;
//     void operator()(message m) {
//       if (auto* const a = std::get_if<add>(&m)) all += a->n;
//       if (auto* const s = std::get_if<sum>(&m)) s->reply.answer(all);
//     }
//   };
//
//   actor<message> a = spawn_actor<message>(scope, [] { return counter(); });
//   result<> told = co_await a.tell(add{1});
//   result<int> all = co_await a.ask(sum(), 1s);
//
// A question that owns more than its reply needs a constructor, or a name of its own before the
// await: g++ 12 destroys such aggregates twice (docs/compilers.md).
//
// Invariants
//   - Messages of one sender are handled in their order, each after the handler has ended with the
//     one before. Senders wait while the mailbox is full.
//   - stop(), or the end of the last address: nothing is accepted any more, what is in the mailbox
//     is handled, then the actor ends. Its own address, kept in its state, keeps it alive.
//   - A handler that throws: the message is gone. If the actor may restart, it goes on with the
//     next one and a state that the factory made anew. If not, it ends, and the exception leaves
//     into the scope, which cancels the others.
//   - When it ends, however that comes, what is in the mailbox is dropped.
//   - Whoever asks hears of it: an answer, or an error.
// Cancel: a task of the scope; it ends where its handler waits.
// Threads: addresses: any thread may tell without waiting; tasks of any core may do all.
// Memory: mailbox and address are one block; each question has a block for its answer. Messages
// move without throwing (channel.hpp).

#include <corespun/runtime/channel.hpp>
#include <corespun/runtime/promise.hpp>
#include <corespun/runtime/result.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/select.hpp>
#include <corespun/runtime/sleep.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <source_location>
#include <type_traits>
#include <utility>
#include <vector>

namespace corespun {

struct actor_options {
  actor_options() {}

  /// Messages that wait at most; 0: a sender waits until the handler takes its message.
  std::size_t capacity = 64;
  /// A handler that throws is made anew, but not more often than `restarts` times `within` so long.
  unsigned restarts = 0;
  clock::duration within = std::chrono::seconds(5);
};

/// Where the answer goes, as the member `reply` of a message. Movable; any thread.
template <typename R>
class reply_to {
 public:
  using value_type = R;

  reply_to() noexcept {}  ///< nobody asks; answers go nowhere
  explicit reply_to(promise<result<R>>&& asker) noexcept : asker_(std::move(asker)) {}
  reply_to(reply_to&& other) noexcept
      : asker_(std::move(other.asker_)), answered_(other.answered_) {
    other.asker_.reset();
  }
  reply_to& operator=(reply_to&& other) noexcept {
    reply_to old(std::move(*this));
    if (other.asker_) asker_.emplace(std::move(*other.asker_));
    answered_ = other.answered_;
    other.asker_.reset();
    return *this;
  }
  /// Without an answer: the asker gets errc::broken_promise.
  ~reply_to() {
    if (asker_ && !answered_) asker_->set_value(std::unexpected(errc::broken_promise));
  }

  /// A value, or std::unexpected(error); once. It does not matter whether the asker still waits.
  void answer(result<R> r) {
    if (!asker_) return;
    asker_->set_value(std::move(r));
    answered_ = true;
  }

 private:
  std::optional<promise<result<R>>> asker_;
  bool answered_ = false;
};

namespace detail {

template <typename Q>
using reply_of = typename decltype(Q::reply)::value_type;

/// The actor's end of its mailbox.
template <typename Msg>
class mailbox_owner {
 public:
  explicit mailbox_owner(std::shared_ptr<channel<Msg>> box) noexcept : box_(std::move(box)) {}
  mailbox_owner(mailbox_owner&&) noexcept = default;
  mailbox_owner& operator=(mailbox_owner&&) = delete;
  ~mailbox_owner() {
    if (!box_) return;
    box_->close();
    while (box_->try_recv()) {
    }
  }

  [[nodiscard]] auto recv() noexcept { return box_->recv(); }

 private:
  std::shared_ptr<channel<Msg>> box_;
};

/// Counts restarts.
class restart_limit {
 public:
  explicit restart_limit(const actor_options& o) noexcept : most_(o.restarts), within_(o.within) {}

  [[nodiscard]] bool one_more() {
    const clock::time_point now = clock::now();
    std::erase_if(recent_, [&](clock::time_point t) { return now - t >= within_; });
    if (recent_.size() >= most_) return false;
    recent_.push_back(now);
    return true;
  }

 private:
  unsigned most_;
  clock::duration within_;
  std::vector<clock::time_point> recent_;
};

/// Until the mailbox is closed and empty.
template <typename Msg, typename Handler>
task<> handle_all(mailbox_owner<Msg>& box, Handler handler) {
  while (true) {
    result<Msg> m = co_await box.recv();
    if (!m) co_return;
    if constexpr (std::is_void_v<std::invoke_result_t<Handler&, Msg>>) {
      std::invoke(handler, std::move(*m));
    } else {
      auto handling = std::invoke(handler, std::move(*m));
      co_await std::move(handling);
    }
  }
}

template <typename Msg, typename Factory>
task<> run_actor(mailbox_owner<Msg> box, Factory make, restart_limit restarts) {
  bool ended = false;
  while (!ended) {
    try {
      auto handling = handle_all<Msg>(box, std::invoke(make));
      co_await std::move(handling);
      ended = true;
    } catch (...) {
      if (!restarts.one_more()) throw;
    }
  }
}

template <typename Msg, typename Q>
task<result<reply_of<Q>>> ask(std::shared_ptr<channel<Msg>> box, Q question,
                              clock::time_point until) {
  corespun::promise<result<reply_of<Q>>> asker;
  auto answer = asker.get_future();
  question.reply = reply_to<reply_of<Q>>(std::move(asker));
  Msg m(std::move(question));
  if (until == clock::time_point::max()) {
    const result<> sent = co_await box->send_from(m);
    if (!sent) co_return std::unexpected(sent.error());
    co_return co_await std::move(answer);
  }
  const auto sent = co_await select(box->send_from(m), sleep_until(until));
  if (sent.index() == 1) co_return std::unexpected(make_error_code(errc::timed_out));
  if (!std::get<0>(sent)) co_return std::unexpected(std::get<0>(sent).error());
  const auto told = co_await select(answer.wait(), sleep_until(until));
  if (told.index() == 1) co_return std::unexpected(make_error_code(errc::timed_out));
  co_return answer.take();
}

}  // namespace detail

/// The address of an actor. Copies are the same address.
template <typename Msg>
class actor {
 public:
  explicit actor(std::shared_ptr<channel<Msg>> box) noexcept : box_(std::move(box)) {}

  /// Puts the message into the mailbox; waits while that is full. Errors: errc::closed: it has
  /// ended, or was told to. Cancel: then nothing was sent. The address has to outlive the await.
  [[nodiscard]] auto tell(Msg m) const noexcept { return box_->send(std::move(m)); }

  /// Without waiting, from any thread; the message is moved from only when it was sent.
  /// Errors: std::errc::operation_would_block: the mailbox is full. errc::closed.
  [[nodiscard]] result<> try_tell(Msg&& m) const noexcept { return box_->try_send(std::move(m)); }

  /// Tells it the question, whose member `reply` is a reply_to<R>, and waits for a result<R>.
  /// Errors: what was answered; errc::timed_out, which counts the wait for room in the mailbox,
  /// too; errc::closed: it has ended before; errc::broken_promise: the question was dropped without
  /// an answer, by a handler that threw or by its end. Cancel: the question may be handled all the
  /// same. A handler that asks its own actor waits in vain.
  template <typename Q>
  [[nodiscard]] task<result<detail::reply_of<Q>>> ask(
      Q question, clock::duration limit = clock::duration::max()) const {
    return detail::ask(box_, std::move(question), detail::after(limit));
  }

  /// See above. Later calls do nothing.
  void stop() const noexcept { box_->close(); }

 private:
  std::shared_ptr<channel<Msg>> box_;
};

/// Starts an actor in the scope, with the affinity of the caller. make() yields the handler: what
/// is called with each Msg, and returns nothing or a task<>. make is called there, and throws
/// there.
/// Errors: std::bad_alloc.
template <typename Msg, typename Factory>
[[nodiscard]] actor<Msg> spawn_actor(scope& s, Factory make, actor_options options = {},
                                     std::source_location at = std::source_location::current()) {
  auto box = std::make_shared<channel<Msg>>(options.capacity);
  // the last address closes it
  std::shared_ptr<channel<Msg>> address(box.get(), [box](channel<Msg>* b) { b->close(); });
  detail::mailbox_owner<Msg> owner(std::move(box));
  (void)s.spawn(detail::run_actor<Msg, Factory>, std::move(owner), std::move(make),
                detail::restart_limit(options), at);
  return actor<Msg>(std::move(address));
}

}  // namespace corespun
