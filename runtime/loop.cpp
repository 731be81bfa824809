#include <corespun/runtime/loop.hpp>

#include <corespun/runtime/detail/fatal.hpp>
#include <corespun/runtime/detail/frame.hpp>
#include <corespun/runtime/detail/played_main.hpp>
#include <corespun/runtime/detail/simulation.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <thread>

namespace corespun {

/// While it lives this thread is that of the core. A simulation lends its thread turn by turn.
class loop::running {
 public:
  explicit running(loop& l) noexcept : loop_(l) {
    if (detail::core::current() != nullptr)
      detail::caller_bug("a loop is run, or made, inside a task or a call of a loop",
                         "co_await the task, or give the loop a thread of its own");
    if (std::this_thread::get_id() != l.thread_)
      detail::caller_bug("a loop is run on another thread than the one that made it",
                         "make it on the thread that runs it; others may post to it");
    if (l.simulation_ == nullptr) detail::core::stand_in(&l.core_);
  }
  running(const running&) = delete;
  running& operator=(const running&) = delete;
  ~running() {
    loop_.stopped_ = false;  // it has ended this run, however that ended
    detail::core::stand_in(nullptr);
  }

 private:
  loop& loop_;
};

loop::loop(loop_options options)
    : simulation_(options.simulation),
      machine_(std::max(1U, options.offload_threads)),
      core_(*machine_.cores.emplace_back(
          std::make_unique<detail::core>(0, machine_, options.simulation))),
      thread_(std::this_thread::get_id()) {
  const running here(*this);
  machine_.pool.play(simulation_);
  core_.attach(options.driver(0));
  if (simulation_ == nullptr) core_.backend().all_attached();
}

loop::~loop() {
  {
    const running here(*this);
    ending_ = true;
    (void)core_.take_mail();
    discard_calls();
    while (thrown_first_ != nullptr) std::exchange(thrown_first_, thrown_first_->after_)->drop();
    for (detail::loop_task* t = tasks_; t != nullptr; t = t->after_) detail::cancel_played(*t);
    drive_until([this] { return tasks_ == nullptr; });
    core_.ask_to_end();
    do {  // what goes may post, and close descriptors: destructors do
      drive_until([this] { return core_.finished(); });
      machine_.wait_for_posters();
      discard_calls();
    } while (core_.take_mail() || !core_.finished());
  }
  if (simulation_ == nullptr) detail::release_free_frames();
}

template <typename Done>
void loop::drive_until(Done done) noexcept {
  if (simulation_ == nullptr) {
    while (!done()) {
      core_.wait(clock::time_point::max());
      core_.work();
    }
  } else if (!simulation_->run_until(done)) {
    std::fprintf(stderr, "corespun: a simulated loop cannot end: something never completes\n");
    std::abort();
  }
}

// --- running ---

void loop::run() {
  const running here(*this);
  rethrow();
  do {
    (void)turn(clock::time_point::max());
    rethrow();
  } while (!stopped_);
}

bool loop::run_once(clock::duration max_wait) {
  const running here(*this);
  rethrow();
  const bool ran = turn(max_wait > max_wait.zero() ? detail::after(max_wait, core_.now())
                                                   : clock::time_point::min());
  rethrow();
  return ran;
}

void loop::wait_for(detail::root& main, std::coroutine_handle<> frame) {
  const running here(*this);
  if (thrown_first_ != nullptr) {
    frame.destroy();
    rethrow();
  }
  detail::played_main played(main, core_, frame, true);
  const auto run = [&] {
    while (!played.ended() && !stopped_) {
      (void)turn(clock::time_point::max());
      if (!played.ended()) rethrow();
    }
  };
  const auto cancel = [&]() noexcept {
    played.cancel();
    while (!played.ended()) (void)turn(clock::time_point::max());
  };
  try {
    run();
  } catch (...) {
    cancel();
    throw;
  }
  cancel();
}

std::uint64_t loop::done() const noexcept { return called_ + core_.counts.tasks_run.get(); }

/// Until something has run, the loop was stopped, or that time has come. True: something has run.
bool loop::turn(clock::time_point until) {
  if (simulation_ != nullptr) return play(until);
  const std::uint64_t before = done();
  do {
    core_.wait(until);
    core_.work();
  } while (done() == before && !stopped_ && (core_.has_ready() || core_.now() < until));
  return done() != before;
}

bool loop::play(clock::time_point until) {
  const std::uint64_t before = done();
  const auto turns = [this] { return core_.counts.turns.get(); };
  const auto make_a_turn = [&] {
    core_.backend().wake();
    return turns() + 1;
  };
  const std::uint64_t first_turn = make_a_turn();
  std::uint64_t last_turn = std::numeric_limits<std::uint64_t>::max();
  if (until != clock::time_point::max())
    simulation_->at(until, this, [&] { last_turn = make_a_turn(); });
  const bool ended = simulation_->run_until([&] {
    return turns() >= first_turn &&
           (done() != before || stopped_ || (turns() >= last_turn && !core_.has_ready()));
  });
  simulation_->forget(this);
  if (!ended) throw sim::failure("nothing can run, and the loop was not stopped");
  return done() != before;
}

void loop::rethrow() {
  if (thrown_first_ == nullptr) return;
  const detail::owned_block<detail::loop_call> oldest(
      std::exchange(thrown_first_, thrown_first_->after_));
  std::rethrow_exception(std::move(oldest->thrown_));
}

void loop::stop() noexcept {
  if (detail::core::current() == &core_) {
    stopped_ = true;
  } else if (!stop_is_out_.exchange(true, std::memory_order_acquire)) {  // O1: the mail is free
    core_.post(stop_mail_.to<&loop::stop_arrives>(*this));
  }
}

void loop::stop_arrives() noexcept {
  stop_is_out_.store(false, std::memory_order_release);  // O1
  stopped_ = true;
}

// --- calls ---

void loop::send(detail::loop_call& c) noexcept {
  core_.post(c.arrival_.to<&detail::loop_call::arrive>(c));
}

template <typename Node>
void loop::link(Node*& list, Node& n) noexcept {
  n.after_ = list;
  if (list != nullptr) list->before_ = &n;
  list = &n;
}

template <typename Node>
void loop::unlink(Node*& list, Node& n) noexcept {
  (n.before_ != nullptr ? n.before_->after_ : list) = n.after_;
  if (n.after_ != nullptr) n.after_->before_ = n.before_;
  n.before_ = n.after_ = nullptr;
}

void loop::call(detail::loop_call& c) noexcept {
  if (c.decided_.exchange(true, std::memory_order_relaxed)) return;  // its cancel is on the way
  unlink(calls_, c);
  ++called_;
  try {
    c.call();
  } catch (...) {
    c.thrown_ = std::current_exception();
  }
  c.forget();
  if (!c.thrown_) {
    c.drop();
  } else {
    (thrown_first_ != nullptr ? thrown_last_->after_ : thrown_first_) = &c;
    thrown_last_ = &c;
  }
}

/// It was cancelled.
void loop::discard(detail::loop_call& c) noexcept {
  unlink(calls_, c);
  core_.timers().cancel(c);
  c.forget();
  c.drop();
}

void loop::discard_calls() noexcept {
  while (calls_ != nullptr) {
    if (!calls_->decided_.exchange(true, std::memory_order_relaxed)) {
      discard(*calls_);
    } else if (!core_.take_mail()) {
      std::this_thread::yield();  // another thread is about to post its cancel
    }
  }
}

// --- tasks ---

void loop::send(detail::loop_task& t) noexcept {
  core_.post(t.arrival_.to<&detail::loop_task::arrive>(t));
}

void loop::begin(detail::loop_task& t) noexcept {
  if (ending_) {
    delete &t;
    return;
  }
  link(tasks_, t);
  t.adopt(core_, *this, t.release(), true);
  core_.make_ready(t);
}

std::coroutine_handle<> loop::child_ended(detail::root& task) noexcept {
  // when nobody stands inside its frame any more
  task.deliver = [](detail::mail& m) noexcept {
    const std::unique_ptr<detail::loop_task> t(&static_cast<detail::loop_task&>(m));
    t->settle();
    unlink(t->loop_.tasks_, *t);
  };
  core_.when_left(task);
  return std::noop_coroutine();
}

namespace detail {

void loop_task::arrive() noexcept { loop_.begin(*this); }

void loop_call::arrive() noexcept {
  arrived_ = true;
  loop_.link(loop_.calls_, *this);
  if (loop_.ending_) return;  // discard_calls() follows
  if (due_ == clock::time_point::min()) {
    loop_.call(*this);
  } else {
    fire = [](timer& t) noexcept { static_cast<loop_call&>(t).come_due(); };
    loop_.core_.timers().arm(*this, due_);
  }
}

/// Timers come before the mail of a turn: what this call posts would be called in the same one.
void loop_call::come_due() noexcept {
  arrived_ = false;
  loop_.core_.post(arrival_.to<&loop_call::is_due>(*this));
}
void loop_call::is_due() noexcept {
  arrived_ = true;
  if (!loop_.ending_) loop_.call(*this);
}

// From here on until the cancel has arrived the loop stays: it has this call in its list.
bool loop_call::cancel() noexcept {
  if (decided_.exchange(true, std::memory_order_relaxed)) return false;
  core& home = loop_.core_;
  if (core::current() == &home && arrived_) {
    loop_.discard(*this);
  } else {
    home.post(cancel_.to<&loop_call::cancel_arrives>(*this));
  }
  return true;
}

void loop_call::cancel_arrives() noexcept { loop_.discard(*this); }

}  // namespace detail
}  // namespace corespun
