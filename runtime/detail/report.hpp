#pragma once
// The list of waiting tasks: what a hang or a slow drain is explained by.

#include <corespun/runtime/detail/root.hpp>

namespace corespun::detail {

/// Any thread but a core's. Prints the tree of tasks below `main` to stderr: what each waits for and where it was spawned.
/// Each core prints its own part; returns when all have, or after a second if a core does not answer.
void report_tasks(root& main, const char* title);

}  // namespace corespun::detail
