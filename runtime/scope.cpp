#include <corespun/runtime/scope.hpp>

#include <corespun/runtime/affinity.hpp>
#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/detail/machine.hpp>
#include <corespun/runtime/detail/simulation.hpp>

#include <cstdio>

namespace corespun {
namespace detail {

// H2: publish_end() sets the mark after the result; join() and has_ended() read the result after
// they saw the mark. H1: the last of task, handle and mail sees what the others did.

bool spawned::wait_for_end(root& waiter, std::coroutine_handle<> leaf, void* what,
                           const wait_kind& kind) noexcept {
  core& here = waiter.home();
  simulation* const s = here.simulated();
  const bool others_are_faster = s != nullptr && s->choose(2, sim::site::order) != 0;
  if (!others_are_faster && !waiter.cancelled() && here.take_fork(*this)) {
    here.run_inside(*this);
    if (has_ended() && (!waiter.cancelled() || failure())) return false;
  }
  if (waiter.begin_wait(leaf, what, kind) && !add_waiter(waiter)) waiter.complete();
  return true;
}

bool spawned::add_waiter(root& waiter) noexcept {
  std::uintptr_t life = life_.load(std::memory_order_acquire);
  do {
    if ((life & ended) != 0) return false;
    if ((life & ~marks) != 0)
      caller_bug("two tasks join the same handle", "share the outcome through an event");
  } while (!life_.compare_exchange_weak(life, life | reinterpret_cast<std::uintptr_t>(&waiter),
                                        std::memory_order_acq_rel, std::memory_order_acquire));
  return true;
}

bool spawned::forget(root&) noexcept {
  std::uintptr_t life = life_.load(std::memory_order_relaxed);
  do {
    if ((life & ended) != 0) return false;
  } while (!life_.compare_exchange_weak(life, life & marks, std::memory_order_relaxed,
                                        std::memory_order_relaxed));
  return true;
}

void spawned::publish_end() noexcept {
  if (home().runs_inside(*this) && never_waited() && life_.load(std::memory_order_relaxed) == 0) {
    // Who joins it runs it, and as it never waited, nobody sends it a cancel.
    life_.store(ended, std::memory_order_release);  // H2
    return;
  }
  const std::uintptr_t life = life_.fetch_or(ended, std::memory_order_acq_rel);  // H1, H2
  if ((life & ~marks) != 0) reinterpret_cast<root*>(life & ~marks)->complete_from_any_thread();
  if ((life & (dropped | mail_out)) == dropped) delete this;
}

void spawned::drop_handle() noexcept {
  std::uintptr_t life = life_.load(std::memory_order_acquire);                         // H1
  if ((life & (ended | mail_out)) != ended)
    life = life_.fetch_or(dropped, std::memory_order_acq_rel);  // H1
  if ((life & (ended | mail_out)) == ended) delete this;
}

void spawned::ask_to_cancel() noexcept {
  if (has_ended()) return;  // the handle may have outlived the core
  core* const there = cancel();
  if (there == nullptr) return;
  life_.fetch_or(mail_out, std::memory_order_relaxed);  // once: cancel() is the first that marks it
  there->post(cancel_mail_.to<&spawned::cancel_by_mail>(*this));
}

void spawned::cancel_by_mail() noexcept {
  carry_out_cancel();
  const std::uintptr_t life = life_.fetch_and(~mail_out, std::memory_order_acq_rel);  // H1
  if ((life & (ended | dropped)) == (ended | dropped)) delete this;
}

}  // namespace detail

void scope::not_begun() {
  detail::caller_bug("spawn into a scope whose body has not begun",
                     "let the function that with_scope calls be a coroutine itself");
}

void scope::open(detail::root& parent, std::coroutine_handle<> body) noexcept {
  parent_ = &parent;
  alive_ = 1;
  body_.adopt(parent, *this, body, &parent);
}

detail::core& scope::core_at(unsigned index) const {
  return detail::core_beside(begun_parent().home(), index, "spawn_on");
}

void scope::link(detail::spawned& s, detail::core* where, std::source_location at,
                 std::coroutine_handle<> body) noexcept {
  detail::core* const here = detail::core::current();
  if (here == nullptr || !here->is_beside(begun_parent().home())) {
    detail::caller_bug("spawn into a scope of another runtime",
                       "spawn from a task of the runtime that opened the scope", at);
  }
  s.site = at;
  const bool bound = where != nullptr || here->running() == nullptr || here->running()->bound();
  s.adopt(where != nullptr ? *where : *here, *this, body, bound);
  {
    const std::lock_guard hold(lock_);
    if (alive_ == 0) {
      detail::caller_bug("spawn into a scope that has ended", "spawn from its body or its tasks",
                         at);
    }
    s.following = tasks_;
    if (tasks_ != nullptr) tasks_->prev = &s;
    tasks_ = &s;
    ++alive_;
    if (cancelled()) s.mark_cancelled();
  }
  here->counts.spawned.add();
  if (where == nullptr) {
    here->fork(s);
  } else {
    s.wake();
  }
}

void scope::cancel() noexcept {
  if (cancelled_.exchange(true, std::memory_order_relaxed)) return;
  {
    const std::lock_guard hold(lock_);
    if (alive_ == 0) return;
    ++alive_;
    touring_ = true;
    body_.mark_cancelled();
    for (detail::spawned* s = tasks_; s != nullptr; s = s->following) s->mark_cancelled();
  }
  carry_out_cancel();
}

void scope::carry_out_cancel() noexcept {
  const auto all = [this](auto visit) {
    const std::lock_guard hold(lock_);
    visit(body_);
    for (detail::spawned* s = tasks_; s != nullptr; s = s->following) visit(*s);
  };
  if (!tour_.ends_here<&scope::carry_out_cancel>(*this, all)) return;
  bool last = false;
  {
    const std::lock_guard hold(lock_);
    touring_ = false;
    last = --alive_ == 0;
  }
  if (last) all_ended();
}

std::coroutine_handle<> scope::child_ended(detail::root& child) noexcept {
  if (&child != &body_ && &child != &exit_root_) {
    // It is let go of when nobody stands inside its frame any more.
    child.deliver = [](detail::mail& m) noexcept {
      auto& s = static_cast<detail::spawned&>(m);
      s.settle();
      static_cast<scope&>(s.owner()).spawned_ended(s);
    };
    child.home().when_left(child);
  } else {
    if (std::exception_ptr error = child.error(); error) fail(std::move(error));
    one_less();
  }
  return std::noop_coroutine();
}

// Who joins it is told first: what completed wins over the cancel that an exception brings.
void scope::spawned_ended(detail::spawned& s) noexcept {
  std::exception_ptr error = s.failure();
  bool last = false;
  {
    const std::lock_guard hold(lock_);
    (s.prev != nullptr ? s.prev->following : tasks_) = s.following;
    if (s.following != nullptr) s.following->prev = s.prev;
    if (!error) last = --alive_ == 0;
  }
  s.publish_end();
  // From here on the scope may be gone, unless this was the last, or is still counted.
  if (error) {
    fail(std::move(error));
    one_less();
  } else if (last) {
    all_ended();
  }
}

void scope::fail(std::exception_ptr error) noexcept {
  {
    const std::lock_guard hold(lock_);
    if (error_) return;
    error_ = std::move(error);
  }
  cancel();
}

void scope::one_less() noexcept {
  bool last = false;
  {
    const std::lock_guard hold(lock_);
    last = --alive_ == 0;
  }
  if (last) all_ended();
}

void scope::all_ended() noexcept {
  if (exits_) {
    {
      const std::lock_guard hold(lock_);  // others may look
      alive_ = 1;
    }
    exit_root_.destroy_frames();  // of handlers whose tasks have registered more
    exit_root_.adopt(*parent_, *this, exit_run_->release(), nullptr);
    exit_run_.reset();
    exit_root_.wake();
    return;
  }
  // A value wins over a cancel from outside; our own cancel() loses nothing where there is no
  // value.
  const bool lost = returns_nothing_ ? parent_->cancelled() : body_.was_stopped();
  if (lost && !error_) parent_->will_stop();
  parent_->complete_from_any_thread();
}

void scope::add_exit(std::unique_ptr<exit_node> exit) {
  const std::lock_guard hold(lock_);
  if (!exit_run_) exit_run_.emplace(run_exits());
  exit->next = std::move(exits_);
  exits_ = std::move(exit);
}

std::unique_ptr<scope::exit_node> scope::next_exit() noexcept {
  const std::lock_guard hold(lock_);
  if (!exits_) return nullptr;
  return std::exchange(exits_, std::move(exits_->next));
}

task<> scope::run_exits() {
  const clock::time_point limit = clock::now() + exit_limit;
  std::exception_ptr first;
  // A handler may register another one, and so may the tasks that it spawns.
  while (const std::unique_ptr<exit_node> exit = next_exit()) {
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
