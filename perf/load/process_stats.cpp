#include "process_stats.hpp"

#include <ctime>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <vector>

namespace load {
namespace {

/// The process and its descendants; empty if there is no such process.
std::vector<pid_t> family(pid_t process) {
  std::vector<pid_t> all{process};
  for (std::size_t at = 0; at < all.size(); ++at) {
    std::error_code gone;
    const std::filesystem::path threads = "/proc/" + std::to_string(all[at]) + "/task";
    for (const auto& thread : std::filesystem::directory_iterator(threads, gone)) {
      std::ifstream children(thread.path() / "children");
      for (pid_t child; children >> child;) all.push_back(child);
    }
    if (at == 0 && gone) return {};
  }
  return all;
}

std::optional<std::uint64_t> own_cpu_ns(pid_t process) {
  clockid_t clock{};
  timespec time{};
  if (clock_getcpuclockid(process, &clock) != 0 || clock_gettime(clock, &time) != 0) return {};
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(time.tv_nsec);
}

std::optional<std::uint64_t> own_resident_bytes(pid_t process) {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  for (std::string word; status >> word;) {
    std::uint64_t kib = 0;
    if (word == "VmRSS:" && status >> kib) return kib * 1024;
  }
  return {};
}

/// A process that has ended meanwhile counts nothing.
template <typename Figure>
std::optional<std::uint64_t> sum(pid_t process, Figure figure) {
  std::optional<std::uint64_t> total;
  for (const pid_t one : family(process))
    if (const auto value = figure(one)) total = total.value_or(0) + *value;
  return total;
}

}  // namespace

std::optional<std::uint64_t> cpu_ns(pid_t process) { return sum(process, own_cpu_ns); }

std::optional<std::uint64_t> resident_bytes(pid_t process) {
  return sum(process, own_resident_bytes);
}

}  // namespace load
