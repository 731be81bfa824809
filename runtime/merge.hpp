#pragma once
// Pipelines across tasks: buffer() and merge() run their sources as tasks of a scope, on whatever
// cores.
//
//   co_await for_each(requests(stream) | map(parse) | buffer(s, 16), answer);
//   co_await for_each(merge(s, 16, std::move(feeds)), print);
//
// Invariants, besides those of pipeline.hpp
//   - The sources are tasks of the scope and end with it at the latest: what they refer to outlives
//     the scope, not only the pipeline.
//   - They read so many items ahead, and one more that each source has in its hand; then they wait.
//   - When who pulls is gone, or has had an error, the sources are cancelled, not awaited. What one
//     still throws after that is dropped.
//   - An error of a source comes after the items before it, and ends the other sources.
//   - If the scope was cancelled, who pulls finds errc::cancelled thrown, lest what is missing be
//     taken for the end.

#include <corespun/runtime/async_coroutine.hpp>
#include <corespun/runtime/channel.hpp>
#include <corespun/runtime/scope.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace corespun {
namespace detail {

/// Where the tasks of buffer() and merge() put their items.
template <typename T>
struct pool_of_items {
  explicit pool_of_items(std::size_t capacity, std::size_t sources)
      : items(capacity), sources(sources) {}
  channel<T> items;
  std::mutex lock;
  std::size_t sources;  // that have not ended
  std::exception_ptr error;  // the first

  void one_ended(std::exception_ptr why) {
    const std::lock_guard hold(lock);
    if (why && !error) error = std::move(why);
    if (--sources == 0 || error) items.close();
  }
};

/// One source of such a pool. Goes as an argument, so that it also ends if its task never begins.
template <typename T>
class feeds {
 public:
  explicit feeds(std::shared_ptr<pool_of_items<T>> into) noexcept : into_(std::move(into)) {}
  feeds(feeds&&) noexcept = default;
  feeds& operator=(feeds&&) = delete;
  ~feeds() {
    if (into_) into_->one_ended(std::move(why_));
  }
  [[nodiscard]] channel<T>& items() noexcept { return into_->items; }
  void ends(std::exception_ptr why) noexcept { why_ = std::move(why); }

 private:
  std::shared_ptr<pool_of_items<T>> into_;
  // unless it says how it ends: its task was cancelled
  std::exception_ptr why_ =
      std::make_exception_ptr(std::system_error(make_error_code(errc::cancelled), "pipeline"));
};

/// Who takes from it; when he goes, the sources end.
template <typename T>
class takes {
 public:
  explicit takes(std::shared_ptr<pool_of_items<T>> from) noexcept : from_(std::move(from)) {}
  takes(takes&&) noexcept = default;
  takes& operator=(takes&&) = delete;
  ~takes() { end_sources(); }
  void add(task_handle<void> source) { sources_.push_back(std::move(source)); }
  [[nodiscard]] channel<T>& items() noexcept { return from_->items; }
  /// They may wait for something else than room.
  void end_sources() noexcept {
    if (!from_) return;
    from_->items.close();
    for (task_handle<void>& source : sources_) source.cancel();
  }
  void rethrow_error() {
    std::unique_lock hold(from_->lock);
    const std::exception_ptr error = from_->error;
    hold.unlock();
    if (error) std::rethrow_exception(error);
  }

 private:
  std::shared_ptr<pool_of_items<T>> from_;
  std::vector<task_handle<void>> sources_;
};

template <typename In, typename T>
task<> feed(async_generator<In> from, feeds<T> into) {
  using yielded = typename async_generator<In>::yielded;
  std::exception_ptr error;
  try {
    while (true) {
      auto* const item = co_await from.next();
      if (item == nullptr) break;
      const result<> sent = co_await into.items().send(static_cast<yielded>(*item));
      if (!sent) break;
    }
  } catch (...) {
    error = std::current_exception();
  }
  into.ends(std::move(error));
}

template <typename T>
async_generator<T> drain(takes<T> from) {
  while (true) {
    result<T> item = co_await from.items().recv();
    if (!item) break;
    co_yield std::move(*item);
  }
  from.end_sources();
  from.rethrow_error();
}

}  // namespace detail

namespace pipe {

/// All items of all sources, as they come. Each source is a task of the scope; together they are so
/// many items ahead, and each has one in its hand.
template <typename T>
async_generator<std::remove_cvref_t<T>> merge(scope& s, std::size_t items,
                                              std::vector<async_generator<T>> sources) {
  using value = std::remove_cvref_t<T>;
  auto pool = std::make_shared<detail::pool_of_items<value>>(items, sources.size());
  if (sources.empty()) pool->items.close();
  detail::takes<value> taker(pool);
  for (async_generator<T>& from : sources)
    taker.add(s.spawn(detail::feed<T, value>, std::move(from), detail::feeds<value>(pool)));
  return detail::drain<value>(std::move(taker));
}

/// The source, an async_generator, runs as a task of the scope: so many items ahead, and the one in
/// its hand.
class buffer {
 public:
  buffer(scope& s, std::size_t items) noexcept : in(s), items(items) {}
  scope& in;
  std::size_t items;
};

template <typename T>
async_generator<std::remove_cvref_t<T>> operator|(async_generator<T> from, buffer b) {
  std::vector<async_generator<T>> one;
  one.push_back(std::move(from));
  return merge(b.in, b.items, std::move(one));
}

}  // namespace pipe
}  // namespace corespun
