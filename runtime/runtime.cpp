#include <corespun/runtime/runtime.hpp>

#include <corespun/runtime/detail/fatal.hpp>
#include <corespun/runtime/detail/played_main.hpp>
#include <corespun/runtime/detail/report.hpp>
#include <corespun/runtime/detail/signals.hpp>
#include <corespun/runtime/detail/simulation.hpp>
#include <corespun/runtime/detail/threads.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <latch>
#include <semaphore>
#include <span>
#include <thread>
#include <vector>

namespace corespun {

struct runtime::threads {
  std::vector<std::jthread> all;
};

runtime::runtime(runtime_options options)
    : options_(std::move(options)),
      machine_(std::max(1U, options_.offload_threads)),
      threads_(std::make_unique<threads>()) {
  const unsigned count =
      options_.cores != 0 ? options_.cores : static_cast<unsigned>(detail::usable_cpus().size());
  for (unsigned i = 0; i < count; ++i) {
    machine_.cores.push_back(std::make_unique<detail::core>(i, machine_, options_.simulation));
  }
  started_ = machine_.cores.front()->now();
  if (options_.simulation != nullptr) {
    start_simulated();
  } else {
    start_threads();
  }
}

void runtime::start_simulated() {
  machine_.pool.play(options_.simulation);
  for (const auto& c : machine_.cores) {
    detail::core* const before = detail::core::current();
    c->attach(options_.driver(c->index()));
    detail::core::stand_in(before);
  }
}

void runtime::start_threads() {
  const std::vector<unsigned> cpus = detail::usable_cpus();
  const auto count = static_cast<unsigned>(machine_.cores.size());
  std::latch all_attached(count);
  std::vector<std::promise<void>> ready(count);
  std::vector<unsigned> started;
  started.reserve(count);  // once there are threads, nothing may fail before they are told to end
  std::exception_ptr first;
  try {
    const detail::all_signals_blocked no_signals_there;
    for (unsigned i = 0; i < count; ++i) {
      threads_->all.emplace_back([this, i, cpu = cpus[i % cpus.size()], &all_attached, &ready] {
        detail::name_this_thread("corespun-" + std::to_string(i));
        detail::core& c = *machine_.cores[i];
        c.thread = detail::this_thread();
        if (options_.pin) {
          detail::pin_this_thread(std::span(&cpu, 1));
          c.processor = static_cast<int>(cpu);
        }
        std::exception_ptr failed;
        try {
          c.attach(options_.driver(i));
        } catch (...) {
          failed = std::current_exception();
        }
        all_attached.arrive_and_wait();
        try {
          if (failed) std::rethrow_exception(failed);
          c.backend().all_attached();
        } catch (...) {
          ready[i].set_exception(std::current_exception());
          return;
        }
        ready[i].set_value();
        c.run();
      });
    }
  } catch (...) {
    first = std::current_exception();  // no more threads; those that there are must end first
    all_attached.count_down(count - static_cast<unsigned>(threads_->all.size()));
  }
  for (unsigned i = 0; i < threads_->all.size(); ++i) {
    try {
      ready[i].get_future().get();
      started.push_back(i);
    } catch (...) {
      if (!first) first = std::current_exception();
    }
  }
  if (!first && options_.stall_notice > options_.stall_notice.zero()) {
    try {
      machine_.watch.start(machine_, options_.stall_notice);
    } catch (...) {
      first = std::current_exception();
    }
  }
  if (first) {
    for (const unsigned i : started) machine_.cores[i]->ask_to_end();
    threads_->all.clear();
    std::rethrow_exception(first);
  }
}

runtime::~runtime() {
  machine_.watch.stop();
  machine_.closed.store(true, std::memory_order_seq_cst);  // P2 step 1
  machine_.wait_for_posters();  // P2 step 2
  for (const auto& c : machine_.cores) c->ask_to_end();
  if (options_.simulation != nullptr) play_until_finished();
  threads_->all.clear();  // joins
  machine_.ended = true;
  // For cores that have ended, from those that ended later, and what that sends in turn.
  do {
    machine_.wait_for_posters();
  } while (std::ranges::any_of(machine_.cores, [](const auto& c) { return c->take_mail(); }));
}

void runtime::play_until_finished() noexcept {
  const auto finished = [this] {
    return std::ranges::all_of(machine_.cores, [](const auto& c) { return c->finished(); });
  };
  if (!options_.simulation->run_until(finished)) {
    std::fprintf(stderr,
                 "corespun: a simulated runtime cannot end: an operation never completes\n");
    std::abort();
  }
  // Were it wrong, nobody would be called any more, or everybody.
  const auto asleep =
      std::ranges::count_if(machine_.cores, [](const auto& c) { return c->asleep(); });
  if (machine_.sleepers.load(std::memory_order_relaxed) == static_cast<unsigned>(asleep)) return;
  std::fprintf(stderr, "corespun: %td cores of a simulated runtime sleep, but not as many count\n",
               asleep);
  std::abort();
}

bool runtime::post(unsigned core, detail::mail& m) noexcept {
  if (core >= machine_.cores.size())
    detail::caller_bug("post_to core " + std::to_string(core) + " of " + std::to_string(cores()),
                       "ask cores() of the runtime for their number");
  const detail::visit here(machine_);  // P2 step 1
  if (machine_.closed.load(std::memory_order_seq_cst)) return false;  // P2 step 2
  machine_.cores[core]->post(m);
  return true;
}

unsigned runtime::cores() const noexcept { return static_cast<unsigned>(machine_.cores.size()); }

namespace {

/// Ends the wait of the thread that called run(), once nobody stands in the frames of main any
/// more.
class main_joiner final : public detail::joiner {
 public:
  explicit main_joiner(detail::signal_wait& w) noexcept : wait_(w) {}

  std::coroutine_handle<> child_ended(detail::root& main) noexcept override {
    main.home().when_left(ended_.to<&main_joiner::tell>(*this));
    return std::noop_coroutine();
  }

 private:
  void tell() noexcept { wait_.end(); }

  detail::signal_wait& wait_;
  detail::member_mail<main_joiner> ended_;
};

/// Cancels main where it waits. The destructor waits for a mail that is on its way.
class main_cancel {
 public:
  explicit main_cancel(detail::root& main) noexcept : main_(main) {}
  ~main_cancel() {
    if (posted_) delivered_.acquire();
  }
  void post() {
    detail::core* const there = main_.cancel();
    if (there == nullptr) return;
    posted_ = true;
    there->post(mail_.to<&main_cancel::deliver>(*this));
  }

 private:
  void deliver() noexcept {
    main_.carry_out_cancel();
    delivered_.release();
  }
  detail::root& main_;
  bool posted_ = false;
  std::binary_semaphore delivered_{0};
  detail::member_mail<main_cancel> mail_;
};

}  // namespace

// A run that is stuck is brought to an end, so that the next one can begin: first it is told.
void runtime::play(detail::root& main, std::coroutine_handle<> frame) {
  detail::simulation& s = *options_.simulation;
  detail::played_main played(main, *machine_.cores.front(), frame,
                             options_.affinity == affinity::core);
  const auto ended = [&] { return played.ended(); };
  if (s.run_until(ended)) return;
  const std::string text = "nothing can run, and these tasks still wait:\n" + waiting_tasks(main);
  played.cancel();
  s.wake_all();
  if (!s.run_until(ended)) {
    std::fprintf(stderr, "corespun: %s  and they cannot be stopped\n", text.c_str());
    std::abort();
  }
  throw sim::failure(text);
}

void runtime::wait_for(detail::root& main, std::coroutine_handle<> frame) {
  if (detail::core::current() != nullptr) {
    detail::caller_bug("runtime::run called inside a task", "co_await the task instead");
  }
  detail::core& first = *machine_.cores.front();
  if (options_.simulation != nullptr) {
    play(main, frame);
    return;
  }
  const detail::helpers::stand_in while_this_one_waits;
  detail::signal_wait wait(options_.handle_signals);
  main_joiner joiner(wait);
  main_cancel cancel(main);
  main.adopt(first, joiner, frame, options_.affinity == affinity::core);
  main.wake();

  int signals = 0;
  auto notice = std::chrono::steady_clock::time_point::max();
  while (true) {
    switch (wait.next(notice)) {
      case detail::signal_wait::ended: return;
      case detail::signal_wait::signalled:
        if (++signals > 1) {
          report_tasks(main, "the second signal ends the process; tasks that still ran");
          wait.die();
        }
        notice = std::chrono::steady_clock::now() + options_.drain_notice;
        cancel.post();
        break;
      case detail::signal_wait::timed_out:
        notice = std::chrono::steady_clock::time_point::max();
        report_tasks(main,
                     "tasks that still run although they were asked to stop; a second signal ends "
                     "the process");
        break;
    }
  }
}

}  // namespace corespun
