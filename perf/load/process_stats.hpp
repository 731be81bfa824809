#pragma once
// What the kernel tells about a process, this one or another, with all of its descendants: some
// servers do their work in those.

#include <sys/types.h>

#include <cstdint>
#include <optional>

namespace load {

/// CPU time of all threads up to this moment, of ended threads included, of ended children not. A
/// process's CPU clock is the sum of the run times in /proc/PID/task/*/schedstat, but those are
/// brought up to date only at a tick, and those of ended threads are gone.
/// Empty if there is no such process.
[[nodiscard]] std::optional<std::uint64_t> cpu_ns(pid_t process);

/// Resident memory (VmRSS); what processes share counts for each. Kernel memory, such as that of
/// sockets, is not in it.
[[nodiscard]] std::optional<std::uint64_t> resident_bytes(pid_t process);

}  // namespace load
