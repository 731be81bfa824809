#pragma once
// select: waits for several things at once, of which exactly one takes effect.
//
//   auto first = co_await select(jobs.recv(), results.send_from(done), stop.wait(), sleep_for(1s));
//   switch (first.index()) {
//     case 0: work(std::get<0>(first)); break;   // what recv() gives: result<job>
//     …
//   }
//
// Yields a std::variant with what that one alone would have given, std::monostate for nothing.
// Alternatives: what waits in a primitive (channel, oneshot, broadcast, watch, event, latch, mutex,
// shared_mutex, semaphore), and sleep_for, sleep_until. Other awaitables: when_any, which runs them
// all and cancels the losers.
//
// Invariants
//   - Of the others nothing happens: no item is taken, no lock is held, nobody was served for it.
//     An item that send() was to send is gone with the await; send_from() leaves it with the
//     caller.
//   - Where several are possible at once, chance decides, so that none can starve another.
//   - In each primitive the task waits its turn like any other; while it waits, the first that can
//     serve it decides.
// Cancel: leaves all of them unchanged, unless one has been decided. Threads: a task's own; the
// primitives may be those of any core. Memory: all lies in the frame; nothing is allocated.

#include <corespun/runtime/detail/wait_list.hpp>
#include <corespun/runtime/sleep.hpp>
#include <corespun/runtime/when.hpp>

#include <cstddef>
#include <tuple>
#include <variant>

namespace corespun {
namespace detail {

class select_timer final : public waiter, private timer {
 public:
  explicit select_timer(clock::time_point until) noexcept : waiter(nullptr), until_(until) {}
  bool try_now(granted&) noexcept override { return until_ <= clock::now(); }
  void enter() noexcept override {
    fire = [](timer& t) noexcept {
      auto& self = static_cast<select_timer&>(t);
      if (self.of().claim(&self)) self.of().wake();
    };
    of().task().home().timers().arm(*this, until_);
  }
  /// On the core where it entered; elsewhere only when it is no longer armed.
  void leave(granted&) noexcept override {
    if (armed()) of().task().home().timers().cancel(*this);
  }
  void result() const noexcept {}

 private:
  clock::time_point until_;
};

/// What does not depend on the alternatives.
class select_awaiting : public awaiting {
 public:
  /// Only the core where the timers were armed can take them out. It wakes the task then.
  void wake() noexcept override {
    if (timers_at_ == nullptr) {
      awaiting::wake();
    } else if (timers_at_ == core::current()) {
      wake_at_home();
    } else {
      timers_at_->post(won_elsewhere_.to<&select_awaiting::wake_at_home>(*this));
    }
  }

 protected:
  [[nodiscard]] bool begin(root& task, std::coroutine_handle<> leaf, bool timed) noexcept {
    task_ = &task;
    if (may_go_on(task) && settle(false)) return false;
    if (timed) timers_at_ = &task.home();
    suspend(task, leaf, kind);
    return true;
  }

 private:
  void wake_at_home() noexcept {
    granted nobody;
    for (waiter* w = first_; w != nullptr; w = w->also()) {
      if (w->guard() == nullptr) w->leave(nobody);
    }
    task_->complete();
  }

  static constexpr wait_kind kind{"select", &awaiting::cancel};
  core* timers_at_ = nullptr;  // nullptr: there are none
  member_mail<select_awaiting> won_elsewhere_;
};

template <typename... Op>
class [[nodiscard]] select_awaiter : private select_awaiting {
  using value = std::variant<value_or_monostate<decltype(std::declval<Op&>().result())>...>;

 public:
  explicit select_awaiter(Op&&... ops) noexcept : ops_(std::move(ops)...) {}
  select_awaiter(select_awaiter&& before_it_begins) noexcept
      : ops_(std::move(before_it_begins.ops_)) {}

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <typename Promise>
  [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> self) noexcept {
    std::apply([this](Op&... op) { (add(op), ...); }, ops_);
    return begin(*self.promise().owner, self, (std::is_same_v<Op, select_timer> || ...));
  }
  value await_resume() {
    leave_lists();
    return take<0>();
  }

 private:
  template <std::size_t I>
  value take() {
    auto& op = std::get<I>(ops_);
    if constexpr (I + 1 < sizeof...(Op)) {
      if (&op != decided_.load(std::memory_order_relaxed)) return take<I + 1>();
    }
    if constexpr (std::is_void_v<decltype(op.result())>) {
      return value(std::in_place_index<I>);
    } else {
      return value(std::in_place_index<I>, op.result());
    }
  }

  std::tuple<Op...> ops_;
};

template <typename Op>
Op to_alternative(wait<Op>&& w) noexcept {
  static_assert(Op::can_be_one_of_several, "this wait takes effect when it begins, not at its end");
  return std::move(w).release();
}
inline select_timer to_alternative(sleep_awaiter&& s) noexcept { return select_timer(s.until()); }

}  // namespace detail

/// See above.
template <typename... Await>
  requires(sizeof...(Await) > 0)
[[nodiscard]] auto select(Await... alternatives) noexcept {
  return detail::select_awaiter<decltype(detail::to_alternative(std::move(alternatives)))...>(
      detail::to_alternative(std::move(alternatives))...);
}

}  // namespace corespun
