#include <corespun/runtime/detail/threads.hpp>

#include <pthread.h>
#include <sched.h>

#include <csignal>
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

}  // namespace corespun::detail
