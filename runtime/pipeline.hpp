#pragma once
// Pipelines: source | stage | stage | sink.
//
//   using namespace corespun::pipe;
//   lines(file) | filter(is_error) | map(parse) | batch(100)        a generator: who asks, pulls
//   lines(file) | filter(is_error) | print()                        runs: elements are pushed
//   auto errors_only = filter(is_error) | print();                  a sink: who sends, pushes
//   co_await for_each(requests(stream) | map(parse) | buffer(s, 16), answer);
//
// source: generator<T>, or async_generator<T>, which may wait. sink: coroutine<void, T>. stage: makes
// at most one item of each that comes (map, filter, batch, tee, or one of your own; see `stage`), the
// same whether it is pulled through or pushed. source | stage is a source, stage | sink a sink.
// source | sink runs at once; if the source is async, it is a task to await.
//
// Invariants
//   - One item at a time: nobody reads ahead of who takes, but for buffer() and merge(), which run
//     their sources as tasks of a scope, so many items ahead, and one in the hand of each source.
//   - Downwards: an exception of the source or of a stage reaches the sink at its co_yield; what that
//     throws, or lets through, source | sink throws. The end is told the same way, by end_of_input,
//     so that stages can send what they hold; a sink need not catch it.
//   - Upwards: what a sink throws ends all above it and is thrown by source | sink. A sink that
//     returns ends the pipeline: sources are destroyed where they stand, those of buffer() and merge()
//     cancelled. What a source still throws after that is dropped.
//   - Cancel: as of the task that runs it; a buffer() whose scope was cancelled throws
//     errc::cancelled to who pulls, lest what is missing be taken for the end.
// Items are moved along. Threads: one at a time; buffer() and merge() lead from task to task, on
// whatever cores.
// Long, since each stage stands beside what runs it: pulled, pushed, and across tasks.

#include <corespun/runtime/async_coroutine.hpp>
#include <corespun/runtime/channel.hpp>
#include <corespun/runtime/generator.hpp>
#include <corespun/runtime/scope.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace corespun {
namespace pipe {

/// What a sink finds thrown at its co_yield when nothing more comes.
struct end_of_input {};

template <typename T>
using sink = coroutine<void, T>;

}  // namespace pipe

namespace detail {

/// What all who send to a sink do first: it may have been started. False: it has ended.
template <typename T>
[[nodiscard]] bool begin_sending(pipe::sink<T>& to) {
  return to.state() == coroutine_state::created ? to.next()
                                                : to.state() == coroutine_state::suspended;
}

/// And last: the error, or the end. False, or the exception: it has ended. An end_of_input that comes
/// back is none.
template <typename T>
bool end_sending(pipe::sink<T>& to, std::exception_ptr what) {
  if (!what) what = std::make_exception_ptr(pipe::end_of_input());
  try {
    return to.throw_in(std::move(what));
  } catch (const pipe::end_of_input&) {
    return false;
  }
}

}  // namespace detail

namespace pipe {

/// Base of stages. A stage has
///   std::optional<Out> operator()(In&&)  what it makes of an item, if anything
///   std::optional<Out> end()             if it may still hold something at the end
///   template <typename Out> using input  what it takes to give an Out; for stage | sink
struct stage {};
template <typename S>
concept is_stage = std::derived_from<S, stage>;
/// Base of stage | stage.
struct stages {};
template <typename S>
concept are_stages = is_stage<S> || std::derived_from<S, stages>;

/// fn(item) of each. fn is no template and not overloaded, if it is to stand in a sink.
template <typename Fn>
class map : public stage {
  template <typename F>
  struct argument : argument<decltype(&F::operator())> {};
  template <typename R, typename A>
  struct argument<R (*)(A)> : std::remove_cvref<A> {};
  template <typename R, typename C, typename A>
  struct argument<R (C::*)(A)> : std::remove_cvref<A> {};
  template <typename R, typename C, typename A>
  struct argument<R (C::*)(A) const> : std::remove_cvref<A> {};
  template <typename R, typename A>
  struct argument<R (*)(A) noexcept> : std::remove_cvref<A> {};
  template <typename R, typename C, typename A>
  struct argument<R (C::*)(A) noexcept> : std::remove_cvref<A> {};
  template <typename R, typename C, typename A>
  struct argument<R (C::*)(A) const noexcept> : std::remove_cvref<A> {};

 public:
  explicit map(Fn fn) noexcept : fn_(std::move(fn)) {}
  template <typename>
  using input = typename argument<Fn>::type;

  template <typename In>
  auto operator()(In&& item) {
    using out = std::remove_cvref_t<std::invoke_result_t<Fn&, In>>;
    return std::optional<out>(std::invoke(fn_, std::forward<In>(item)));
  }

 private:
  Fn fn_;
};

/// The items for which fn(item) is true.
template <typename Fn>
class filter : public stage {
 public:
  explicit filter(Fn fn) noexcept : fn_(std::move(fn)) {}
  template <typename Out>
  using input = Out;

  template <typename In>
  auto operator()(In&& item) {
    std::optional<std::remove_cvref_t<In>> kept;
    if (std::invoke(fn_, std::as_const(item))) kept.emplace(std::forward<In>(item));
    return kept;
  }

 private:
  Fn fn_;
};

/// std::vectors of so many items, at the end of what is left.
class batch : public stage {
 public:
  explicit batch(std::size_t size) noexcept : size_(size) {}
  template <typename Out>
  using input = typename Out::value_type;

  template <typename T>
  class of {
   public:
    explicit of(const batch& b) noexcept : size_(b.size_) {}
    std::optional<std::vector<T>> operator()(T item) {
      if (items_.empty()) items_.reserve(size_);
      items_.push_back(std::move(item));
      return items_.size() < size_ ? std::nullopt : end();
    }
    std::optional<std::vector<T>> end() {
      if (items_.empty()) return {};
      return std::exchange(items_, {});
    }

   private:
    std::size_t size_;
    std::vector<T> items_;
  };

 private:
  std::size_t size_;
};

/// Passes a copy of each item to a sink beside, until that returns. It is told the end, too; an error
/// of the pipeline destroys it where it stands.
template <typename T>
class tee : public stage {
 public:
  explicit tee(sink<T> side) : side_(std::move(side)) {
    (void)corespun::detail::begin_sending(side_);
  }
  template <typename Out>
  using input = Out;

  template <typename In>
  std::optional<T> operator()(In&& item) {
    (void)side_.send(std::as_const(item));
    return std::forward<In>(item);
  }
  std::optional<T> end() {
    if (side_.state() == coroutine_state::suspended)
      (void)corespun::detail::end_sending(side_, nullptr);
    return {};
  }

 private:
  sink<T> side_;
};

/// A sink that passes each item to all of these, until all have returned. They are told the end, or
/// the error that ends it, be it one of theirs; that is thrown then.
template <typename T>
sink<T> broadcast(std::vector<sink<T>> to) {
  for (sink<T>& s : to) (void)corespun::detail::begin_sending(s);
  const auto some_take = [&] {
    std::erase_if(to, [](const sink<T>& s) { return s.state() == coroutine_state::closed; });
    return !to.empty();
  };
  std::exception_ptr error;
  try {
    while (some_take()) {
      const T item = co_yield {};
      for (sink<T>& s : to) (void)s.send(item);
    }
    co_return;
  } catch (const end_of_input&) {
    error = nullptr;
  } catch (...) {
    error = std::current_exception();
  }
  for (sink<T>& s : to) {
    try {
      if (s.state() == coroutine_state::suspended) (void)corespun::detail::end_sending(s, error);
    } catch (...) {
      if (!error) error = std::current_exception();
    }
  }
  if (error) std::rethrow_exception(std::move(error));
}

/// The source, an async_generator, runs as a task of the scope: so many items ahead, and the one in its
/// hand.
class buffer {
 public:
  buffer(scope& s, std::size_t items) noexcept : in(s), items(items) {}
  scope& in;
  std::size_t items;
};

}  // namespace pipe

namespace detail {

template <typename A, typename B>
struct two_stages : pipe::stages {
  A first;
  B second;
  two_stages(A&& a, B&& b) noexcept : first(std::move(a)), second(std::move(b)) {}
};

/// The stage for items of this type.
template <typename In, typename S>
auto stage_for(S stage) {
  if constexpr (requires { typename S::template of<In>; }) {
    return typename S::template of<In>(stage);
  } else {
    return stage;
  }
}
template <typename In, typename S>
using stage_output =
    typename std::invoke_result_t<decltype(stage_for<std::remove_cvref_t<In>>(std::declval<S>()))&,
                                  In>::value_type;

template <typename In, typename V, typename A, typename S>
generator<stage_output<In, S>> pull(generator<In, V, A> from, S stage) {
  using yielded = typename generator<In, V, A>::yielded;
  auto made = stage_for<std::remove_cvref_t<In>>(std::move(stage));
  while (auto* const item = from.next()) {
    auto out = made(static_cast<yielded>(*item));
    if (out) co_yield std::move(*out);
  }
  if constexpr (requires { made.end(); }) {
    auto rest = made.end();
    if (rest) co_yield std::move(*rest);
  }
}
template <typename In, typename S>
async_generator<stage_output<In, S>> pull(async_generator<In> from, S stage) {
  using yielded = typename async_generator<In>::yielded;
  auto made = stage_for<std::remove_cvref_t<In>>(std::move(stage));
  while (true) {
    auto* const item = co_await from.next();
    if (item == nullptr) break;
    auto out = made(static_cast<yielded>(*item));
    if (out) co_yield std::move(*out);
  }
  if constexpr (requires { made.end(); }) {
    auto rest = made.end();
    if (rest) co_yield std::move(*rest);
  }
}

/// A sink: the stage, then another sink.
template <typename In, typename S, typename Out>
pipe::sink<In> push(S stage, pipe::sink<Out> to) {
  auto made = stage_for<In>(std::move(stage));
  bool more = begin_sending(to);
  while (more) {
    bool ends = false;
    std::exception_ptr told;
    try {
      In item = co_yield {};
      auto out = made(std::move(item));
      if (out) more = to.send(std::move(*out));
    } catch (const pipe::end_of_input&) {
      ends = true;
    } catch (...) {
      told = std::current_exception();
    }
    if constexpr (requires { made.end(); }) {
      try {
        auto rest = ends ? made.end() : std::nullopt;
        if (rest) more = to.send(std::move(*rest));
      } catch (...) {
        told = std::current_exception();
      }
    }
    if (ends && !told) told = std::make_exception_ptr(pipe::end_of_input());
    if (told && more) more = to.throw_in(std::move(told));
  }
}

template <typename In, typename V, typename A, typename T>
void run_pipeline(generator<In, V, A> from, pipe::sink<T> to) {
  using yielded = typename generator<In, V, A>::yielded;
  if (!begin_sending(to)) return;
  std::exception_ptr error;
  try {
    while (auto* const item = from.next()) {
      if (!to.send(static_cast<yielded>(*item))) return;
    }
  } catch (...) {
    error = std::current_exception();
  }
  (void)end_sending(to, std::move(error));
}
template <typename In, typename T>
task<> run_pipeline(async_generator<In> from, pipe::sink<T> to) {
  using yielded = typename async_generator<In>::yielded;
  if (!begin_sending(to)) co_return;
  std::exception_ptr error;
  try {
    while (true) {
      auto* const item = co_await from.next();
      if (item == nullptr) break;
      if (!to.send(static_cast<yielded>(*item))) co_return;
    }
  } catch (...) {
    error = std::current_exception();
  }
  (void)end_sending(to, std::move(error));
}

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

// --- source | stage, stage | stage, stage | sink: found by the stage ---

template <are_stages A, are_stages B>
auto operator|(A first, B second) {
  return corespun::detail::two_stages<A, B>(std::move(first), std::move(second));
}

template <typename In, typename V, typename Al, is_stage S>
auto operator|(generator<In, V, Al> from, S stage) {
  return corespun::detail::pull(std::move(from), std::move(stage));
}
template <typename In, is_stage S>
auto operator|(async_generator<In> from, S stage) {
  return corespun::detail::pull(std::move(from), std::move(stage));
}
template <typename Source, typename A, typename B>
  requires(!are_stages<Source>)
auto operator|(Source from, corespun::detail::two_stages<A, B> stages) {
  return std::move(from) | std::move(stages.first) | std::move(stages.second);
}
template <typename T>
async_generator<std::remove_cvref_t<T>> operator|(async_generator<T> from, buffer b) {
  std::vector<async_generator<T>> one;
  one.push_back(std::move(from));
  return merge(b.in, b.items, std::move(one));
}

template <is_stage S, typename Out>
auto operator|(S stage, sink<Out> to) {
  return corespun::detail::push<typename S::template input<Out>>(std::move(stage), std::move(to));
}
template <typename A, typename B, typename Out>
auto operator|(corespun::detail::two_stages<A, B> stages, sink<Out> to) {
  return std::move(stages.first) | (std::move(stages.second) | std::move(to));
}

}  // namespace pipe

// --- source | sink ---

template <typename In, typename V, typename A, typename T>
void operator|(generator<In, V, A> from, pipe::sink<T> to) {
  detail::run_pipeline(std::move(from), std::move(to));
}
template <typename In, typename T>
[[nodiscard]] task<> operator|(async_generator<In> from, pipe::sink<T> to) {
  return detail::run_pipeline(std::move(from), std::move(to));
}

}  // namespace corespun
