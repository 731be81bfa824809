#include <corespun/runtime/detail/threads.hpp>

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstring>

namespace corespun::detail {

all_signals_blocked::all_signals_blocked() noexcept {
  static_assert(sizeof(before_) >= sizeof(sigset_t));
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::memcpy(before_, &before, sizeof before);
}

all_signals_blocked::~all_signals_blocked() {
  sigset_t before;
  std::memcpy(&before, before_, sizeof before);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

std::vector<unsigned> usable_cpus() {
  // The mask may be wider than cpu_set_t on very large machines; the kernel then answers EINVAL,
  // and one core is used.
  cpu_set_t set;
  std::vector<unsigned> cpus;
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
    }
  }
  if (cpus.empty()) cpus.push_back(0);
  return cpus;
}

void pin_this_thread(std::span<const unsigned> cpus) noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const unsigned cpu : cpus) CPU_SET(cpu, &set);
  (void)pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

void name_this_thread(const std::string& name) noexcept {
  (void)pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
}

int this_thread() noexcept { return ::gettid(); }

namespace {

/// Of the kernel's about a thread; nullptr if there is none.
std::FILE* file_about(int thread, const char* name) noexcept {
  std::array<char, 64> path{};
  std::snprintf(path.data(), path.size(), "/proc/self/task/%d/%s", thread, name);
  std::FILE* const file = std::fopen(path.data(), "re");
  if (file != nullptr) std::setvbuf(file, nullptr, _IONBF, 0);
  return file;
}

/// What it says at present; empty if that cannot be had.
std::array<char, 128> text_of(std::FILE* file) noexcept {
  std::array<char, 128> text{};
  if (file == nullptr) return text;
  std::rewind(file);
  if (std::fread(text.data(), 1, text.size() - 1, file) == 0) text[0] = '\0';
  return text;
}

}  // namespace

processor_wait::processor_wait(int thread) noexcept
    : times_(file_about(thread, "schedstat")), status_(file_about(thread, "stat")) {}

bool processor_wait::can_run() const noexcept {
  const auto text = text_of(status_.get());
  const char* const name_ends = std::strrchr(text.data(), ')');
  return name_ends != nullptr && std::strncmp(name_ends, ") R", 3) == 0;
}

processor_wait::times processor_wait::times_at(std::chrono::nanoseconds now) const noexcept {
  unsigned long long ran_ns = 0;
  unsigned long long waited_ns = 0;
  const auto text = text_of(times_.get());
  times t;
  t.at = now;
  t.known = std::sscanf(text.data(), "%llu %llu", &ran_ns, &waited_ns) == 2;
  t.ran = std::chrono::nanoseconds(ran_ns);
  t.waited = std::chrono::nanoseconds(waited_ns);
  return t;
}

std::chrono::nanoseconds processor_wait::until(std::chrono::nanoseconds now) const noexcept {
  const times end = times_at(now);
  if (!start_.known || !end.known) return {};
  const auto passed = end.at - start_.at;
  const auto ended = std::min(end.waited - start_.waited, passed);  // some began before
  return can_run() ? std::max(ended, passed - (end.ran - start_.ran)) : ended;
}

}  // namespace corespun::detail
