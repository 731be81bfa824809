#pragma once
// The list of waiting tasks: what a hang or a slow drain is explained by.

#include <corespun/runtime/detail/root.hpp>

#include <optional>
#include <source_location>
#include <string>

namespace corespun::detail {

/// The tree of tasks below `main`, a line each: what it waits for and where it was spawned. Only
/// where one thread plays all cores.
[[nodiscard]] std::string waiting_tasks(root& main);

/// "main", or "task spawned at FILE:LINE".
[[nodiscard]] std::string place_of(std::source_location site);

/// What core::site() means: "main", "the task spawned at FILE:LINE", or that it is no task.
[[nodiscard]] std::string what_runs(std::optional<std::source_location> site);

/// Prints the tree of tasks below `main` to stderr: what each waits for and where it was spawned.
/// All cores stand still meanwhile. If one does not within a second, it and the task that blocks it
/// are named instead. Not on a core's thread; main must not end meanwhile.
void report_tasks(root& main, const char* title) noexcept;

}  // namespace corespun::detail
