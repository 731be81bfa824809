#include <corespun/runtime/scope.hpp>

#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/detail/machine.hpp>

#include <cstdio>

namespace corespun {
namespace detail {

// H2: publish_end() stores the mark after the result; join() and has_ended() read the result after
// they saw the mark.

bool spawned::wait_for_end(root& waiter) noexcept {
  root* expected = nullptr;
  if (joined_.compare_exchange_strong(expected, &waiter, std::memory_order_acq_rel,
                                      std::memory_order_acquire))
    return true;
  if (expected != ended_mark())
    caller_bug("two tasks join the same handle", "share the outcome through an event");
  return false;
}

bool spawned::forget(root& waiter) noexcept {
  root* expected = &waiter;
  return joined_.compare_exchange_strong(expected, nullptr, std::memory_order_acq_rel,
                                         std::memory_order_acquire);
}

void spawned::publish_end() noexcept {
  root* const waiter = joined_.exchange(ended_mark(), std::memory_order_acq_rel);
  if (waiter != nullptr) waiter->complete_from_any_thread();
}

void spawned::ask_to_cancel() noexcept {
  if (has_ended()) return;  // the handle may have outlived the core
  if (core::current() == &home()) {
    cancel();
  } else if (!cancel_posted_.exchange(true, std::memory_order_relaxed)) {
    hold();
    home().post(cancel_mail_.to<&spawned::cancel_by_mail>(*this));
  }
}

void spawned::cancel_by_mail() noexcept {
  cancel();
  let_go();
}

}  // namespace detail

void scope::not_begun() {
  detail::caller_bug("spawn into a scope whose body has not begun",
                     "let the function that with_scope calls be a coroutine itself");
}

void scope::open(detail::root& parent, std::coroutine_handle<> body) noexcept {
  home_ = &parent.home();
  parent_ = &parent;
  alive_ = 1;
  body_.adopt(*home_, *this, body);
}

detail::core& scope::core_at(unsigned index) const {
  auto& cores = here().all().cores;
  if (index >= cores.size()) {
    detail::caller_bug(
        "spawn_on core " + std::to_string(index) + " of " + std::to_string(cores.size()),
        "ask this_core::count() for the number of cores");
  }
  return *cores[index];
}

void scope::link(detail::spawned& s, detail::core& where, std::source_location at,
                 std::coroutine_handle<> body) noexcept {
  if (detail::core::current() != home_) {
    detail::caller_bug("spawn into a scope of another core",
                       "spawn from a task on the core that opened the scope", at);
  }
  if (alive_ == 0)
    detail::caller_bug("spawn into a scope that has ended", "spawn from its body or its tasks", at);
  s.in = this;
  s.site = at;
  s.following = tasks_;
  if (tasks_ != nullptr) tasks_->prev = &s;
  tasks_ = &s;
  ++alive_;
  s.adopt(where, *this, body);
  if (cancelled()) s.root::cancel();  // it has not started, so nobody else looks at it yet
  s.complete_from_any_thread();
}

void scope::cancel() noexcept {
  if (detail::core::current() == home_) {
    cancel_here();
  } else if (!cancelled_.exchange(true, std::memory_order_relaxed)) {
    home_->post(cancel_mail_.to<&scope::cancel_by_mail>(*this));
  }
}

void scope::cancel_here() noexcept {
  if (!cancelled_.exchange(true, std::memory_order_relaxed)) cancel_seen_ = true;
  body_.cancel();
  for (detail::spawned* s = tasks_; s != nullptr; s = s->following) s->ask_to_cancel();
}

void scope::cancel_by_mail() noexcept {
  cancel_seen_ = true;
  cancel_here();
  finish_if_empty();
}

std::coroutine_handle<> scope::child_ended(detail::root& child) noexcept {
  // A spawned task is let go of where nobody stands inside its frame any more, and on the scope's
  // core.
  if (&child != &body_ && &child != &exit_root_) {
    child.deliver = [](detail::mail& m) noexcept {
      auto& s = static_cast<detail::spawned&>(m);
      detail::core& home = *s.in->home_;
      s.settle();
      s.deliver = [](detail::mail& ended) noexcept {
        auto& there = static_cast<detail::spawned&>(ended);
        there.in->spawned_ended(there);
      };
      if (detail::core::current() == &home) {
        s.deliver(s);
      } else {
        home.post(s);
      }
    };
    child.home().when_left(child);
  } else {
    one_less(child.error());
  }
  return std::noop_coroutine();
}

void scope::spawned_ended(detail::spawned& s) noexcept {
  (s.prev != nullptr ? s.prev->following : tasks_) = s.following;
  if (s.following != nullptr) s.following->prev = s.prev;
  std::exception_ptr error = s.failure();
  s.publish_end();
  s.let_go();
  one_less(std::move(error));
}

void scope::one_less(std::exception_ptr error) noexcept {
  --alive_;
  if (error && !error_) {
    error_ = std::move(error);
    cancel_here();
  }
  finish_if_empty();
}

void scope::finish_if_empty() noexcept {
  if (alive_ != 0) return;
  if (cancelled() && !cancel_seen_) return;  // the mail of cancel() is on its way to us
  if (exits_) {
    ++alive_;
    exit_root_.destroy_frames();  // of handlers whose tasks have registered more
    exit_root_.adopt(*home_, *this, exit_run_->release());
    exit_run_.reset();
    exit_root_.complete();
    return;
  }
  // A value wins over a cancel from outside; our own cancel() loses nothing where there is no
  // value.
  const bool lost = returns_nothing_ ? parent_->cancelled() : body_.was_stopped();
  if (lost && !error_) {
    parent_->stop();
  } else {
    parent_->complete();
  }
}

void scope::add_exit(std::unique_ptr<exit_node> exit) {
  if (!exit_run_) exit_run_.emplace(run_exits());
  exit->next = std::move(exits_);
  exits_ = std::move(exit);
}

task<> scope::run_exits() {
  const clock::time_point limit = clock::now() + exit_limit;
  std::exception_ptr first;
  while (exits_) {  // a handler may register another one
    const std::unique_ptr<exit_node> exit = std::exchange(exits_, std::move(exits_->next));
    try {
      task<> handler = exit->call();
      const result<> ended = co_await with_deadline(limit, std::move(handler));
      if (!ended)
        std::fprintf(stderr, "corespun: an on_exit handler did not end in time and was stopped\n");
    } catch (...) {
      if (!first) first = std::current_exception();
    }
  }
  if (first) std::rethrow_exception(first);
}

void scope::visit(detail::child_visitor visitor, void* context) noexcept {
  visitor(context, body_);
  visitor(context, exit_root_);
  for (detail::spawned* s = tasks_; s != nullptr; s = s->following) visitor(context, *s);
}

}  // namespace corespun
