#pragma once
// What the kernel tells about a process, this one or another.

#include <sys/types.h>

#include <cstdint>
#include <optional>

namespace load {

/// CPU time of all threads of the process up to this moment, ended threads included. The process's
/// CPU clock is the sum of the run times in /proc/PID/task/*/schedstat, but those are brought up
/// to date only at a tick, and those of ended threads are gone.
/// Empty if there is no such process.
[[nodiscard]] std::optional<std::uint64_t> cpu_ns(pid_t process);

/// Resident memory (VmRSS). Kernel memory, such as that of sockets, is not in it.
[[nodiscard]] std::optional<std::uint64_t> resident_bytes(pid_t process);

}  // namespace load
