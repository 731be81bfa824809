#pragma once
// when_all, when_any, when_all_settled: run several at once and wait.
//
// Invariants
//   - Each branch is a task of its own with the affinity of the waiting task; none is left when the
//     await returns. The first one runs at once; free ones are forks, which other cores may take.
//   - The last branch to end continues the waiting task, on the core where it ended.
//   - Branches that are no longer wanted are cancelled *and awaited*. What they completed all the
//     same is kept.
//   - When the waiting task is cancelled, all branches are; the await then ends as stopped, unless
//     it is already decided.
// Arguments: tasks, other awaitables, or functions that return tasks; or a vector of tasks of one
// type. Threads: a task's own. Memory: the branches live in the frame of the waiting task; vectors
// allocate a fixed number of times, whatever their length.

#include <corespun/runtime/detail/cancel_tour.hpp>
#include <corespun/runtime/detail/core.hpp>
#include <corespun/runtime/task.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

namespace corespun {
namespace detail {

enum class until { all_or_failure, first, all };

/// The part that does not depend on types: starts the branches, cancels the losers, ends the wait.
///
/// J1: left_ counts the branches, and a cancel that travels. A branch that ends and finds another
/// one that no core has taken yet goes on with that one, and hands it what is to be counted. So a
/// group of which nothing was stolen ends without any atomic operation on left_.
class group : private joiner {
 public:
  static constexpr std::size_t none = static_cast<std::size_t>(-1);

  explicit group(until rule) noexcept : rule_(rule) {}

  /// What to resume: the first branch, or the waiting task if there is none.
  [[nodiscard]] std::coroutine_handle<> start(root& parent, std::coroutine_handle<> leaf,
                                              std::span<root> branches) noexcept;
  /// The branch that decided: the first to end (until::first) or to fail (until::all_or_failure).
  [[nodiscard]] std::size_t decisive() const noexcept {
    return decisive_.load(std::memory_order_relaxed);
  }

 private:
  std::coroutine_handle<> child_ended(root& child) noexcept override;
  std::coroutine_handle<> finish_at_home() noexcept;
  std::coroutine_handle<> finish_on(core& here) noexcept;
  [[nodiscard]] std::span<root> branches() const noexcept { return {first_, count_}; }
  void decide_by(const root& branch) noexcept;
  [[nodiscard]] bool is_lost() const noexcept;
  void cancel_branches() noexcept;
  void carry_out_cancel() noexcept;
  static const wait_kind kind;

  // set by start()
  root* parent_;
  core* home_;  // where the parent waits
  root* first_;
  std::size_t count_;
  std::atomic<std::size_t> left_;  // J1

  std::atomic<std::size_t> decisive_{none};  // written once
  std::atomic<bool> cancelled_{false};
  std::atomic<bool> any_stopped_{false};  // a branch; J1 publishes it
  until rule_;
  cancel_tour<group> tour_;
};

// Inline, since mostly the number of branches is known there.
[[gnu::always_inline]] inline std::coroutine_handle<> group::start(
    root& parent, std::coroutine_handle<> leaf, std::span<root> branches) noexcept {
  if (parent.stops_at(leaf)) return std::noop_coroutine();
  if (branches.empty()) return leaf;
  core& home = parent.home();
  parent_ = &parent;
  home_ = &home;
  home.counts.forked.add(branches.size());
  first_ = branches.data();
  count_ = branches.size();
  left_.store(branches.size(), std::memory_order_relaxed);
  root::adopt_owned(branches, parent, *this);
  if (!parent.begin_wait_for_parts(leaf, this, kind)) cancel_branches();
  home.fork(branches.subspan(1));
  home.goes_on(branches.front());
  return branches.front().leaf();
}

template <typename T>
using value_or_monostate = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

template <typename T>
value_or_monostate<T> take_stored(std::coroutine_handle<> h) {
  if constexpr (std::is_void_v<T>) {
    take_value<T>(h);
    return {};
  } else {
    return take_value<T>(h);
  }
}

}  // namespace detail

/// What when_any yields: the index of the first branch to end, and the outcome of each. Branches
/// that were cancelled in time are stopped; others that also completed keep their value.
template <typename... T>
struct any_outcomes {
  std::size_t index;
  std::tuple<outcome<T>...> outcomes;
};
template <typename T>
struct any_outcome_list {
  std::size_t index;
  std::vector<outcome<T>> outcomes;
};

namespace detail {

/// What when_all and its kin return: the branches, which begin when it is awaited.
template <until Rule, typename... T>
class [[nodiscard]] group_awaiter {
 public:
  explicit group_awaiter(task<T>&&... tasks) noexcept : branches_{{root(tasks.release())...}} {}
  group_awaiter(group_awaiter&& not_begun) noexcept
      : group_awaiter(std::move(not_begun), std::index_sequence_for<T...>{}) {}

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <typename Promise>
  [[nodiscard]] std::coroutine_handle<> await_suspend(
      std::coroutine_handle<Promise> self) noexcept {
    return group_.start(*self.promise().owner, self, branches_);
  }
  auto await_resume() { return collect(std::index_sequence_for<T...>{}); }

 private:
  template <std::size_t... I>
  group_awaiter(group_awaiter&& other, std::index_sequence<I...>) noexcept
      : branches_{{root(other.branches_[I].release())...}} {}

  template <std::size_t... I>
  auto collect(std::index_sequence<I...>) {
    if (Rule != until::all && group_.decisive() != group::none) {
      if (const std::exception_ptr error = branches_[group_.decisive()].error(); error)
        std::rethrow_exception(error);
    }
    if constexpr (Rule == until::all_or_failure) {
      return std::tuple<value_or_monostate<T>...>{take_stored<T>(branches_[I].outermost())...};
    } else if constexpr (Rule == until::first) {
      return any_outcomes<T...>{group_.decisive(), {take_outcome<T>(branches_[I].outermost())...}};
    } else {
      return std::tuple<outcome<T>...>{take_outcome<T>(branches_[I].outermost())...};
    }
  }

  group group_{Rule};
  std::array<root, sizeof...(T)> branches_;
};

template <until Rule, typename T>
class [[nodiscard]] list_awaiter {
 public:
  explicit list_awaiter(std::vector<task<T>>&& tasks) : branches_(tasks.size()) {
    for (std::size_t i = 0; i < tasks.size(); ++i) branches_[i].own(tasks[i].release());
  }
  list_awaiter(list_awaiter&& not_begun) noexcept : branches_(std::move(not_begun.branches_)) {}

  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <typename Promise>
  [[nodiscard]] std::coroutine_handle<> await_suspend(
      std::coroutine_handle<Promise> self) noexcept {
    return group_.start(*self.promise().owner, self, branches_);
  }
  auto await_resume() {
    if (Rule != until::all && group_.decisive() != group::none) {
      if (const std::exception_ptr error = branches_[group_.decisive()].error(); error)
        std::rethrow_exception(error);
    }
    if constexpr (Rule == until::all_or_failure) {
      if constexpr (std::is_void_v<T>) {
        return;
      } else {
        std::vector<T> values;
        values.reserve(branches_.size());
        for (root& b : branches_) values.push_back(take_value<T>(b.outermost()));
        return values;
      }
    } else {
      std::vector<outcome<T>> outcomes;
      outcomes.reserve(branches_.size());
      for (root& b : branches_) outcomes.push_back(take_outcome<T>(b.outermost()));
      if constexpr (Rule == until::first) {
        return any_outcome_list<T>{group_.decisive(), std::move(outcomes)};
      } else {
        return outcomes;
      }
    }
  }

 private:
  group group_{Rule};
  std::vector<root> branches_;
};

}  // namespace detail

/// Waits for all and yields std::tuple of their values (std::monostate for void). The first
/// exception cancels the others and is rethrown.
template <typename... A>
[[nodiscard]] auto when_all(A... what) {
  return detail::group_awaiter<detail::until::all_or_failure, detail::task_value<A>...>(
      detail::to_task(std::move(what))...);
}
/// The same for a list; yields std::vector<T>, or nothing for void. An empty list is done at once.
template <typename T>
[[nodiscard]] auto when_all(std::vector<task<T>> tasks) {
  return detail::list_awaiter<detail::until::all_or_failure, T>(std::move(tasks));
}

/// Waits for the first to end, cancels the others, and yields any_outcomes. If the first to end
/// threw, that is rethrown.
template <typename... A>
  requires(sizeof...(A) > 0)
[[nodiscard]] auto when_any(A... what) {
  return detail::group_awaiter<detail::until::first, detail::task_value<A>...>(
      detail::to_task(std::move(what))...);
}
/// The same for a list, which must not be empty.
template <typename T>
[[nodiscard]] auto when_any(std::vector<task<T>> tasks) {
  if (tasks.empty()) detail::caller_bug("when_any of nothing", "give it at least one task");
  return detail::list_awaiter<detail::until::first, T>(std::move(tasks));
}

/// Waits for all, whatever they do, and yields std::tuple of outcomes. Throws nothing of theirs.
template <typename... A>
[[nodiscard]] auto when_all_settled(A... what) {
  return detail::group_awaiter<detail::until::all, detail::task_value<A>...>(
      detail::to_task(std::move(what))...);
}
template <typename T>
[[nodiscard]] auto when_all_settled(std::vector<task<T>> tasks) {
  return detail::list_awaiter<detail::until::all, T>(std::move(tasks));
}

}  // namespace corespun
