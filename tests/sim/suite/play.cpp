// Worker processes play the seeds and tell of each over one pipe; the parent counts, and knows
// which seed a worker was at when it died.

#include <corespun/io/sim.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "tests/sim/suite/suite.hpp"

namespace corespun::suite {
namespace {

constexpr std::uint64_t seeds_for_all_probes = 500;
constexpr int silent_ticks_at_most = 120;  // seconds without a word: a world that never ends

/// What a worker says before and after it plays a seed. Small enough to be written at once.
struct word {
  unsigned worker = 0;
  bool played = false;
  std::uint64_t seed = 0;
  std::uint64_t choices = 0;
  std::int64_t simulated_ns = 0;
  std::uint64_t probes = 0;  // bit by place in the list
};

void say(int out, const word& w) {
  if (::write(out, &w, sizeof w) != sizeof w) std::abort();
}

std::uint64_t reached(const scenario& s, const sim::world& w) {
  std::uint64_t bits = 0;
  for (const std::string& name : w.reached()) {
    const auto at = std::ranges::find(s.probes, name);
    require(at != s.probes.end(), "the scenario does not list the probe '" + name + "'");
    bits |= std::uint64_t{1} << (at - s.probes.begin());
  }
  return bits;
}

int work(const scenario& s, const plan& p, unsigned worker, int out) {
  for (std::uint64_t n = worker; n < p.seeds; n += p.jobs) {
    word w;
    w.worker = worker;
    w.seed = p.first + n;
    say(out, w);
    try {
      sim::run(w.seed, [&](sim::world& played) {
        s.play(played);
        played.finish();
        w.choices = played.choices().size();
        w.simulated_ns = std::chrono::nanoseconds(played.now().time_since_epoch()).count();
        w.probes = reached(s, played);
      });
    } catch (const sim::failure& f) {
      std::fprintf(stderr, "%s, %s\n", s.name, f.what());
      return 1;
    }
    w.played = true;
    say(out, w);
  }
  return 0;
}

class crew {
 public:
  crew(const scenario& s, const plan& p) : scenario_(s), plan_(p) {}
  [[nodiscard]] bool play();

 private:
  void start();
  void listen();
  void heard(const word& w);
  void progress() const;
  struct worker {
    pid_t process = 0;  // 0: it has ended
    std::uint64_t seed = 0;  // that it plays
  };
  struct death {
    worker* who;
    int status;
  };
  [[nodiscard]] std::vector<death> reap(int how);
  void judge(const death& d);
  void stop();
  [[nodiscard]] std::string not_reached() const;
  void fail(const std::string& what, const std::string& arguments);
  void fail_at(std::uint64_t seed, const std::string& what);

  const scenario& scenario_;
  const plan& plan_;
  const bool terminal_ = ::isatty(STDERR_FILENO) != 0;
  std::vector<worker> workers_;
  int words_ = -1;  // the reading end of the pipe
  bool failed_ = false;
  int silent_ticks_ = 0;
  std::uint64_t played_ = 0;
  std::uint64_t choices_ = 0;
  std::uint64_t probes_ = 0;
  std::chrono::nanoseconds simulated_{0};
};

void crew::start() {
  int ends[2];
  if (::pipe(ends) != 0 || ::fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) std::abort();
  std::fflush(nullptr);
  for (unsigned i = 0; i < plan_.jobs; ++i) {
    const pid_t child = ::fork();
    if (child < 0) std::abort();
    if (child == 0) {
      ::close(ends[0]);
      std::exit(work(scenario_, plan_, i, ends[1]));
    }
    workers_.push_back({child, plan_.first + i});
  }
  ::close(ends[1]);
  words_ = ends[0];
}

// Who has died is asked first: then all that he said is in the pipe.
void crew::listen() {
  const auto gone = [](const worker& w) { return w.process == 0; };
  while (!std::ranges::all_of(workers_, gone)) {
    pollfd p{words_, POLLIN, 0};
    if (::poll(&p, 1, 1000) == 0 && ++silent_ticks_ == silent_ticks_at_most) {
      fail_at(std::ranges::find_if_not(workers_, gone)->seed, "the world does not end");
      stop();
    }
    const std::vector<death> dead = reap(played_ == plan_.seeds ? 0 : WNOHANG);
    word w;
    while (::read(words_, &w, sizeof w) == sizeof w) heard(w);
    if (terminal_) progress();
    for (const death& d : dead) judge(d);
  }
}

void crew::heard(const word& w) {
  silent_ticks_ = 0;
  workers_[w.worker].seed = w.seed;
  if (!w.played) return;
  ++played_;
  choices_ += w.choices;
  simulated_ += std::chrono::nanoseconds(w.simulated_ns);
  probes_ |= w.probes;
  if (!terminal_ && plan_.seeds >= 10 &&
      played_ * 10 / plan_.seeds != (played_ - 1) * 10 / plan_.seeds)
    progress();
}

void crew::progress() const {
  std::fprintf(stderr, terminal_ ? "\r%s %llu of %llu\r" : "%s %llu of %llu\n", scenario_.name,
               static_cast<unsigned long long>(played_),
               static_cast<unsigned long long>(plan_.seeds));
}

std::vector<crew::death> crew::reap(int how) {
  std::vector<death> dead;
  for (worker& w : workers_) {
    int status = 0;
    if (w.process == 0 || ::waitpid(w.process, &status, how) != w.process) continue;
    w.process = 0;
    dead.push_back({&w, status});
  }
  return dead;
}

void crew::judge(const death& d) {
  if (failed_ || (WIFEXITED(d.status) && WEXITSTATUS(d.status) == 0)) return;
  fail_at(d.who->seed, WIFSIGNALED(d.status)
                           ? std::string("the world crashed: ") + ::strsignal(WTERMSIG(d.status))
                           : "the world went wrong");
  stop();
}

void crew::stop() {
  for (const worker& w : workers_) {
    if (w.process != 0) ::kill(w.process, SIGKILL);
  }
}

void crew::fail(const std::string& what, const std::string& arguments) {
  failed_ = true;
  std::fprintf(stderr, "%s: %s\nreproduce: ./dev sim --scenario %s %s\n", scenario_.name,
               what.c_str(), scenario_.name, arguments.c_str());
}

void crew::fail_at(std::uint64_t seed, const std::string& what) {
  fail(what, "--seed " + std::to_string(seed));
}

std::string crew::not_reached() const {
  std::string names;
  if (plan_.seeds < seeds_for_all_probes) return names;
  for (std::size_t i = 0; i < scenario_.probes.size(); ++i) {
    if ((probes_ >> i & 1) == 0) names += std::string(" '") + scenario_.probes[i] + "'";
  }
  return names;
}

bool crew::play() {
  const auto start_time = std::chrono::steady_clock::now();
  start();
  listen();
  ::close(words_);
  if (failed_) return false;
  if (const std::string missing = not_reached(); !missing.empty()) {
    fail("no world reached" + missing,
         "--first " + std::to_string(plan_.first) + " --seeds " + std::to_string(plan_.seeds));
  }
  using seconds = std::chrono::duration<double>;
  std::printf("%-10s %8llu %14llu %14.0f s %8.1f s\n", scenario_.name,
              static_cast<unsigned long long>(played_), static_cast<unsigned long long>(choices_),
              seconds(simulated_).count(),
              seconds(std::chrono::steady_clock::now() - start_time).count());
  return !failed_;
}

}  // namespace

bool play(const scenario& s, const plan& p) { return crew(s, p).play(); }

}  // namespace corespun::suite
