#pragma once
// Deadlines: with_deadline, with_timeout and shield run something under a time limit of its own.
//
//   result<std::size_t> n = co_await with_timeout(5s, stream.read_some(buffer));
//   if (!n && n.error() == errc::timed_out) …
//
// Invariants
//   - What is run is a scope of its own: at the deadline it is cancelled and awaited, so nothing of
//     it is left when the await returns. A value that it still produced wins over the deadline.
//   - Nested deadlines: the earliest counts, since a cancelled outer one cancels the inner.
//   - The result is a result<T>; where T is already a result<U>, it is that, with errc::timed_out
//     as one more error.
//   - The first argument after the limit is a task, another awaitable, or a function that returns a
//     task and is kept alive.
// Threads: a task's own.

#include <corespun/runtime/detail/core.hpp>
#include <corespun/runtime/result.hpp>
#include <corespun/runtime/task.hpp>

namespace corespun {
namespace detail {

/// Whether a cancel of the waiting task reaches the body.
enum class shielded : bool { no, yes };

template <typename T, shielded Shielded>
class deadline_awaiter final : private joiner, private timer {
 public:
  /// `ahead`: it was, a moment ago; the clock is not asked again. If it has come since, the timer
  /// tells it.
  deadline_awaiter(clock::time_point deadline, bool ahead, std::coroutine_handle<> body) noexcept
      : deadline_(deadline), body_(body), ahead_(ahead) {}
  ~deadline_awaiter() {
    if (body_) body_.destroy();  // never begun
  }

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <typename Promise>
  [[nodiscard]] std::coroutine_handle<> await_suspend(
      std::coroutine_handle<Promise> self) noexcept {
    parent_ = self.promise().owner;
    if constexpr (Shielded == shielded::yes) {
      parent_->begin_shielded_wait(self, this, kind);
    } else if (!parent_->begin_wait(self, this, kind)) {
      return std::noop_coroutine();
    }
    core& home = parent_->home();
    home_ = &home;
    child_.adopt(*parent_, *this, body_, Shielded == shielded::yes ? nullptr : parent_);
    fire = [](timer& t) noexcept { static_cast<deadline_awaiter&>(t).expire(); };
    if (!ahead_ && deadline_ <= home.now()) {
      expire();
    } else if (deadline_ != clock::time_point::max()) {
      home.timers().arm(*this, deadline_);
    }
    home.goes_on(child_);
    return std::exchange(body_, nullptr);
  }
  flat_result<T> await_resume() {
    if (child_.was_stopped()) return std::unexpected(make_error_code(errc::timed_out));
    if constexpr (std::is_void_v<T>) {
      take_value<T>(child_.outermost());
      return {};
    } else {
      return take_value<T>(child_.outermost());
    }
  }

 private:
  // All that follows but child_ended() and reach_child() runs on the core where the parent waits,
  // and where the timer is.

  void expire() noexcept {
    expired_ = true;
    cancel_child();
  }

  static void cancel(root&, void* self) noexcept {
    static_cast<deadline_awaiter*>(self)->cancel_child();
  }
  void cancel_child() noexcept {
    core* const there = child_.cancel();
    if (there == nullptr) return;
    mail_is_out_ = true;
    there->post(mail_.template to<&deadline_awaiter::reach_child>(*this));
  }
  void reach_child() noexcept {
    child_.carry_out_cancel();
    home_->post(mail_.template to<&deadline_awaiter::mail_came_back>(*this));
  }
  void mail_came_back() noexcept {
    mail_is_out_ = false;
    if (!ended_) return;
    if (is_lost()) parent_->will_stop();
    parent_->complete();
  }

  std::coroutine_handle<> child_ended(root& child) noexcept override {
    if (&child.home() != home_) {
      mail& m = child;
      m.deliver = [](mail& ended) noexcept {
        root& r = static_cast<root&>(ended);
        static_cast<deadline_awaiter&>(r.owner()).ended_elsewhere();
      };
      home_->post(m);
      return std::noop_coroutine();
    }
    if (!end_child()) return std::noop_coroutine();
    if (is_lost()) {
      parent_->stop();
      return std::noop_coroutine();
    }
    home_->goes_on(*parent_);
    return parent_->complete_inline();
  }
  void ended_elsewhere() noexcept {
    if (!end_child()) return;
    if (is_lost()) parent_->will_stop();
    parent_->complete();
  }

  /// False: a mail is still out that refers to us.
  [[nodiscard]] bool end_child() noexcept {
    home_->timers().cancel(*this);
    ended_ = true;
    return !mail_is_out_;
  }
  /// Stopped by the limit is an answer; stopped by anything else stops the parent.
  [[nodiscard]] bool is_lost() const noexcept {
    return child_.was_stopped() &&
           (!expired_ || (Shielded == shielded::no && parent_->cancelled()));
  }

  clock::time_point deadline_;
  std::coroutine_handle<> body_;
  root* parent_ = nullptr;
  core* home_ = nullptr;  // where the parent waits
  bool ahead_;
  bool expired_ = false;
  bool ended_ = false;
  bool mail_is_out_ = false;
  member_mail<deadline_awaiter> mail_;
  root child_;

  static constexpr wait_kind kind{Shielded == shielded::yes ? "shield" : "deadline",
                                  Shielded == shielded::yes ? nullptr : &deadline_awaiter::cancel,
                                  [](void* self, child_visitor v, void* context) {
                                    v(context, static_cast<deadline_awaiter*>(self)->child_);
                                  }};
};

template <typename T, shielded Shielded>
class [[nodiscard]] deadline_call {
 public:
  deadline_call(clock::time_point deadline, bool ahead, task<T>&& body) noexcept
      : deadline_(deadline), ahead_(ahead), body_(std::move(body)) {}
  deadline_awaiter<T, Shielded> operator co_await() && noexcept {
    return {deadline_, ahead_, body_.release()};
  }

 private:
  clock::time_point deadline_;
  bool ahead_;
  task<T> body_;
};

/// `what` until then.
template <shielded Shielded, typename A>
[[nodiscard]] auto limited(clock::time_point deadline, bool ahead, A what) {
  using value = task_value<A>;
  return deadline_call<value, Shielded>(deadline, ahead, to_task(std::move(what)));
}

[[nodiscard]] inline clock::time_point after(clock::duration d,
                                             clock::time_point now = clock::now()) noexcept {
  return d > clock::time_point::max() - now ? clock::time_point::max() : now + d;
}

}  // namespace detail

/// Runs `what` until `deadline` at the latest.
/// Errors: errc::timed_out. Cancel: `what` is cancelled and awaited.
template <typename A>
[[nodiscard]] auto with_deadline(clock::time_point deadline, A what) {
  return detail::limited<detail::shielded::no>(deadline, false, std::move(what));
}

/// The same with a limit from now on; a limit that is not positive stops `what` at its first await.
template <typename A>
[[nodiscard]] auto with_timeout(clock::duration limit, A what) {
  const bool ahead = limit > clock::duration::zero();
  return detail::limited<detail::shielded::no>(detail::after(limit), ahead, std::move(what));
}

/// Runs `what`, which a cancel of the calling task does not reach: for a clean-up that must itself
/// wait. Works in a cancelled task, too. Only the limit ends it early. Errors: errc::timed_out.
template <typename A>
[[nodiscard]] auto shield(clock::duration limit, A what) {
  const bool ahead = limit > clock::duration::zero();
  return detail::limited<detail::shielded::yes>(detail::after(limit), ahead, std::move(what));
}

}  // namespace corespun
