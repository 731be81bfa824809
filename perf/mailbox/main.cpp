// What messages between two cores cost: between two cores of a runtime, and by hand between two
// threads that poll rings in shared memory or sleep on eventfds. perf/bench/mailbox compares them.
//
// Messages shuttle: the first side sends some, the second returns all, or only every 64th, the
// first sends those again. Each is a cache line of its own.

#include <corespun/corespun.hpp>

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <sched.h>

using namespace corespun;

namespace {

struct alignas(64) message : detail::mail {
  std::uint64_t trips = 0;
  bool returns = true;
};

/// Which messages are under way, and when it is enough. The first side owns it.
class shuttle {
 public:
  /// In bursts: only the last message of each returns, for all.
  shuttle(std::uint64_t count, std::size_t under_way, std::size_t in_bursts_of)
      : burst_(in_bursts_of),
        left_(count),
        bursts_out_(under_way / in_bursts_of),
        messages_(under_way) {
    for (std::size_t i = 0; i < under_way; ++i) messages_[i].returns = i % burst_ == burst_ - 1;
  }

  void begin(auto&& send) {
    for (message& m : messages_) send(m);
  }
  /// A message came back. False: all are home, and it is enough.
  [[nodiscard]] bool came_back(message& last, auto&& send) {
    left_ -= std::min<std::uint64_t>(left_, burst_);
    if (left_ == 0) return --bursts_out_ > 0;
    for (message* m = &last - (burst_ - 1); m <= &last; ++m) {
      ++m->trips;
      send(*m);
    }
    return true;
  }

 private:
  const std::size_t burst_;
  std::uint64_t left_;
  std::size_t bursts_out_;
  std::vector<message> messages_;
};

/// The time that f(count) takes, for each of as many as fill the time.
double ns_each(double seconds, const std::function<void(std::uint64_t)>& f) {
  for (std::uint64_t count = 1024;; count *= 2) {
    const auto begin = std::chrono::steady_clock::now();
    f(count);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    if (took.count() >= seconds) return 1e9 * took.count() / static_cast<double>(count);
  }
}

// --- by hand ---

/// One producer, one consumer; what was put is shown by flush().
class ring {
 public:
  void put(message& m) { slots_[end_++ % slots_.size()] = &m; }
  void flush() { tail_.store(end_, std::memory_order_release); }
  bool take(auto&& each) {
    const std::uint64_t tail = tail_.load(std::memory_order_acquire);
    if (tail == head_) return false;
    while (head_ != tail) each(*slots_[head_++ % slots_.size()]);
    return true;
  }

 private:
  alignas(64) std::uint64_t end_ = 0;
  alignas(64) std::atomic<std::uint64_t> tail_{0};
  alignas(64) std::uint64_t head_ = 0;
  alignas(64) std::array<message*, 512> slots_{};  // more than are ever under way
};

/// The calling thread to one of the processors that this process was given, as a runtime does.
void pin(unsigned which) {
  static const cpu_set_t given = [] {
    cpu_set_t all;
    CPU_ZERO(&all);
    (void)::sched_getaffinity(::getpid(), sizeof all, &all);
    return all;
  }();
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &given) || which-- != 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    (void)::sched_setaffinity(0, sizeof one, &one);
    return;
  }
}

void by_ring(shuttle& s) {
  ring there;
  ring back;
  std::atomic<bool> done{false};
  std::jthread other([&] {
    pin(1);
    while (!done.load(std::memory_order_relaxed)) {
      const bool some = there.take([&](message& m) {
        ++m.trips;
        if (m.returns) back.put(m);
      });
      if (some) back.flush();
    }
  });
  pin(0);
  const auto send = [&](message& m) { there.put(m); };
  s.begin(send);
  there.flush();
  for (bool goes_on = true; goes_on;) {
    if (back.take([&](message& m) { goes_on = s.came_back(m, send) && goes_on; })) there.flush();
  }
  done = true;
}

void by_eventfd(shuttle& s) {
  const int there = ::eventfd(0, EFD_CLOEXEC);
  const int back = ::eventfd(0, EFD_CLOEXEC);
  if (there < 0 || back < 0) throw std::runtime_error(std::strerror(errno));
  std::uint64_t word = 1;
  std::atomic<bool> done{false};
  {
    std::jthread other([&] {
      pin(1);
      std::uint64_t mine = 1;
      while (::read(there, &mine, sizeof mine) > 0 && !done)
        (void)!::write(back, &mine, sizeof mine);
    });
    pin(0);
    const auto send = [&](message&) { (void)!::write(there, &word, sizeof word); };
    message m;
    send(m);
    while (::read(back, &word, sizeof word) > 0 && s.came_back(m, send)) {
    }
    done = true;
    send(m);
  }
  ::close(there);
  ::close(back);
}

// --- corespun ---

/// The second side and the first are cores of a runtime; messages are mail.
class by_mail {
 public:
  by_mail(shuttle& s, event& done) : shuttle_(s), done_(done) {}

  void begin() {
    first_ = detail::core::current();
    second_ = &detail::core_beside(*first_, 1, "perf/mailbox");
    shuttle_.begin([this](message& m) { send(m); });
  }

 private:
  void send(message& m) {
    current = this;
    m.deliver = [](detail::mail& arrived) noexcept { current->arrived(arrived); };
    first_->send(*second_, m);
  }
  void arrived(detail::mail& arrived) noexcept {
    auto& m = static_cast<message&>(arrived);
    ++m.trips;
    if (!m.returns) return;
    m.deliver = [](detail::mail& back) noexcept { current->came_back(back); };
    second_->send(*first_, m);
  }
  void came_back(detail::mail& back) noexcept {
    const auto again = [this](message& m) { send(m); };
    if (!shuttle_.came_back(static_cast<message&>(back), again)) done_.open();
  }

  static inline by_mail* current = nullptr;
  shuttle& shuttle_;
  event& done_;
  detail::core* first_ = nullptr;
  detail::core* second_ = nullptr;
};

/// What keeps a core from sleeping.
task<> other_work(const event& done) {
  while (!done.is_open()) co_await yield();
}

task<> mail(shuttle& s, unsigned busy_cores) {
  event done;
  by_mail messages(s, done);
  auto body = [&](scope& tasks) -> task<> {
    for (unsigned core = 0; core < busy_cores; ++core)
      (void)tasks.spawn_on(core, other_work, std::cref(done));
    messages.begin();
    co_await done.wait();
  };
  co_await with_scope(body);
}

/// Calls of so many tasks, with an answer each.
task<> calls(std::uint64_t count, std::size_t tasks) {
  auto body = [&](scope& s) -> task<> {
    auto caller = [&]() -> task<> {
      const auto callee = [](std::uint64_t x) { return x + 1; };
      for (std::uint64_t i = 0; i < count / tasks; ++i) {
        auto call = on_core(1, callee, i);
        if (co_await std::move(call) != i + 1) throw std::logic_error("a wrong answer");
      }
    };
    for (std::size_t i = 0; i < tasks; ++i) (void)s.spawn(caller);
    co_return;
  };
  co_await with_scope(body);
}

// --- what is measured ---

struct settings {
  double seconds = 0.5;
  std::string only;
};

constexpr std::size_t many = 256;

class measurements {
 public:
  explicit measurements(settings o) : options_(std::move(o)) {
    runtime_options how;
    how.cores = 2;
    how.affinity = affinity::core;
    runtime_ = std::make_unique<runtime>(how);
    how.driver = io_drivers({});
    with_io_ = std::make_unique<runtime>(how);
  }

  void all() {
    print("round_trip_asleep/eventfd", 1, 1, by_eventfd);
    print("round_trip_asleep/futex", 1, 1, [this](shuttle& s) { run(*runtime_, s, 0); });
    print("round_trip_asleep/io", 1, 1, [this](shuttle& s) { run(*with_io_, s, 0); });
    print("round_trip_one_asleep/corespun", 1, 1, [this](shuttle& s) { run(*runtime_, s, 1); });
    print("round_trip_busy/ring", 1, 1, by_ring);
    print("round_trip_busy/corespun", 1, 1, [this](shuttle& s) { run(*runtime_, s, 2); });
    print("round_trips/ring", many, 1, by_ring);
    print("round_trips/corespun", many, 1, [this](shuttle& s) { run(*runtime_, s, 2); });
    print("one_way/ring", many, many / 4, by_ring);
    print("one_way/corespun", many, many / 4, [this](shuttle& s) { run(*runtime_, s, 2); });
    print("calls/corespun", [this](std::uint64_t n) {
      (void)runtime_->run([n]() -> task<> { co_await calls(n, many); });
    });
  }

 private:
  static void run(runtime& r, shuttle& s, unsigned busy_cores) {
    (void)r.run([&]() -> task<> { co_await mail(s, busy_cores); });
  }
  void print(const char* name, std::size_t under_way, std::size_t burst, auto&& how) {
    print(name, [&](std::uint64_t n) {
      shuttle s(n, under_way, burst);
      how(s);
    });
  }
  void print(const char* name, const std::function<void(std::uint64_t)>& f) {
    if (std::string_view(name).find(options_.only) == std::string_view::npos) return;
    std::printf("{\"operation\": \"%s\", \"ns\": %.1f}\n", name, ns_each(options_.seconds, f));
    std::fflush(stdout);
  }

  settings options_;
  std::unique_ptr<runtime> runtime_;  // without I/O
  std::unique_ptr<runtime> with_io_;
};

}  // namespace

int main(int argc, char** argv) {
  settings o;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--help") {
      std::puts(
          "mailbox [--seconds S] [--only PART OF A NAME]: a line of JSON for each measurement");
      return 0;
    }
    if (i + 1 < argc && name == "--seconds") {
      o.seconds = std::atof(argv[++i]);
    } else if (i + 1 < argc && name == "--only") {
      o.only = argv[++i];
    } else {
      std::fprintf(stderr, "mailbox: unknown or incomplete: %s\n  now: --help\n", argv[i]);
      return 2;
    }
  }
  measurements(std::move(o)).all();
}
