#pragma once
// The list of waiting tasks: what a hang or a slow drain is explained by.

#include <corespun/runtime/detail/root.hpp>

#include <memory>
#include <string>

namespace corespun::detail {

/// The tree of tasks below `main`, a line each: what it waits for and where it was spawned. Only
/// where one thread plays all cores.
[[nodiscard]] std::string waiting_tasks(root& main);

/// Prints the tree of tasks below `main` to stderr: what each waits for and where it was spawned.
/// Each core prints its part. Not on a core's thread.
class task_report {
 public:
  /// Waits for all parts, or for a second if a core does not answer.
  task_report(root& main, const char* title) noexcept;
  task_report(const task_report&) = delete;
  task_report& operator=(const task_report&) = delete;
  /// Waits for parts that are still to come: they refer to `main`.
  ~task_report();

 private:
  struct progress;
  struct part;
  std::shared_ptr<progress> all_;
};

}  // namespace corespun::detail
