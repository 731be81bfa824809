#pragma once
// Pipelines: source | stage | stage | sink.
//
//   using namespace corespun::pipe;
//   lines(file) | filter(is_error) | map(parse) | batch(100)        a generator: who asks, pulls
//   lines(file) | filter(is_error) | print()                        runs: elements are pushed
//   auto errors_only = filter(is_error) | print();                  a sink: who sends, pushes
//   co_await (lines(stream) | map(parse) | store(database));
//
// source: generator<T>; sink: coroutine<void, T>. async_generator and async_coroutine where they
// may wait. stage: makes at most one item of each that comes (map, filter, batch, tee, or one of
// your own; see `stage`), the same whether it is pulled through or pushed. source | stage is a
// source, stage | sink a sink; stages before an async sink belong to its source. source | sink runs
// at once; if one of them is async, it is a task to await. merge.hpp runs sources as tasks of their
// own.
//
// Invariants
//   - One item at a time: nobody reads ahead of who takes.
//   - Downwards: an exception of the source or of a stage reaches the sink at its co_yield; what
//     that throws, or lets through, source | sink throws. The end is told the same way, by
//     end_of_input, so that stages can send what they hold; a sink need not catch it.
//   - Upwards: what a sink throws ends all above it and is thrown by source | sink. A sink that
//     returns ends the pipeline: sources are destroyed where they stand.
//   - Cancel: as of the task that runs it.
// Items are moved along. Threads: one at a time.
// Long, since each stage stands beside what runs it, pulled and pushed.

#include <corespun/runtime/async_coroutine.hpp>
#include <corespun/runtime/generator.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

namespace corespun {
namespace pipe {

/// What a sink finds thrown at its co_yield when nothing more comes.
struct end_of_input {};

template <typename T>
using sink = coroutine<void, T>;
template <typename T>
using async_sink = async_coroutine<void, T>;

}  // namespace pipe

namespace detail {

/// What all who send to a sink do first: it may have been started. False: it has ended.
template <typename T>
[[nodiscard]] bool begin_sending(pipe::sink<T>& to) {
  return to.state() == coroutine_state::created ? to.next()
                                                : to.state() == coroutine_state::suspended;
}

/// And last: the error, or the end. False, or the exception: it has ended. An end_of_input that
/// comes back is none.
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
///   void fail(std::exception_ptr)        if it wants to know what ends it instead; noexcept
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

/// std::vectors of so many items (at least one), at the end of what is left.
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

/// Passes a copy of each item to a sink beside, until that returns. It is told the end, too, or the
/// error; if the main sink returns first, or nobody pulls any more, it is closed where it stands.
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
    if (side_.state() == coroutine_state::suspended) (void)side_.send(std::as_const(item));
    return std::forward<In>(item);
  }
  std::optional<T> end() {
    (void)corespun::detail::end_sending(side_, nullptr);
    return {};
  }
  void fail(std::exception_ptr error) noexcept {
    try {
      (void)corespun::detail::end_sending(side_, std::move(error));
    } catch (...) {  // the error that ends all goes on
    }
  }

 private:
  sink<T> side_;
};

/// A sink that passes each item to all of these, until all have returned. They are told the end, or
/// the error that ends it, be it one of theirs; that is thrown then.
template <typename T>
sink<T> broadcast(std::vector<sink<T>> to) {
  const auto some_take = [&] {
    std::erase_if(to, [](const sink<T>& s) { return s.state() == coroutine_state::closed; });
    return !to.empty();
  };
  std::exception_ptr error;
  try {
    for (sink<T>& s : to) (void)corespun::detail::begin_sending(s);
    while (some_take()) {
      T item = co_yield {};
      sink<T>& last = to.back();
      for (sink<T>& s : to) {
        if (&s != &last) (void)s.send(item);
      }
      (void)last.send(std::move(item));
    }
    co_return;
  } catch (const end_of_input&) {
    error = nullptr;
  } catch (...) {
    error = std::current_exception();
  }
  for (sink<T>& s : to) {
    try {
      (void)corespun::detail::end_sending(s, error);
    } catch (...) {
      if (!error) error = std::current_exception();
    }
  }
  if (error) std::rethrow_exception(std::move(error));
}

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

template <typename S>
void fail([[maybe_unused]] S& stage, [[maybe_unused]] const std::exception_ptr& why) noexcept {
  if constexpr (requires { stage.fail(why); }) stage.fail(why);
}

/// What a stage still holds at the end.
template <typename Out, typename S>
std::optional<Out> rest_of([[maybe_unused]] S& stage) {
  if constexpr (requires { stage.end(); }) {
    return stage.end();
  } else {
    return {};
  }
}

template <typename In, typename V, typename A, typename S>
generator<stage_output<In, S>> pull(generator<In, V, A> from, S stage) {
  using yielded = typename generator<In, V, A>::yielded;
  auto made = stage_for<std::remove_cvref_t<In>>(std::move(stage));
  try {
    while (auto* const item = from.next()) {
      auto out = made(static_cast<yielded>(*item));
      if (out) co_yield std::move(*out);
    }
    auto rest = rest_of<stage_output<In, S>>(made);
    if (rest) co_yield std::move(*rest);
  } catch (...) {
    fail(made, std::current_exception());
    throw;
  }
}
template <typename In, typename S>
async_generator<stage_output<In, S>> pull(async_generator<In> from, S stage) {
  using yielded = typename async_generator<In>::yielded;
  auto made = stage_for<std::remove_cvref_t<In>>(std::move(stage));
  try {
    while (true) {
      auto* const item = co_await from.next();
      if (item == nullptr) break;
      auto out = made(static_cast<yielded>(*item));
      if (out) co_yield std::move(*out);
    }
    auto rest = rest_of<stage_output<In, S>>(made);
    if (rest) co_yield std::move(*rest);
  } catch (...) {
    fail(made, std::current_exception());
    throw;
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
    try {
      auto rest = ends ? rest_of<Out>(made) : std::nullopt;
      if (rest) more = to.send(std::move(*rest));
    } catch (...) {
      told = std::current_exception();
    }
    if (told) fail(made, told);
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

/// co_await of a step, be it one that waits or one that is done.
template <typename Step>
struct done_step {
  Step step;
  [[nodiscard]] bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<>) const noexcept {}
  [[nodiscard]] Step await_resume() const noexcept { return step; }
};
template <typename Step>
auto any_step(Step step) {
  if constexpr (std::is_scalar_v<Step>) {
    return done_step<Step>{step};
  } else {
    return step;
  }
}

/// The same where one of them may wait.
template <typename Source, typename Sink>
task<> run_async_pipeline(Source from, Sink to) {
  using yielded = typename Source::yielded;
  bool takes = to.state() == coroutine_state::suspended;
  if (to.state() == coroutine_state::created) takes = co_await any_step(to.next());
  if (!takes) co_return;
  std::exception_ptr last;
  try {
    while (true) {
      auto* const item = co_await any_step(from.next());
      if (item == nullptr) break;
      if (!co_await any_step(to.send(static_cast<yielded>(*item)))) co_return;
    }
    last = std::make_exception_ptr(pipe::end_of_input());
  } catch (...) {
    last = std::current_exception();
  }
  try {
    (void)co_await any_step(to.throw_in(std::move(last)));
  } catch (const pipe::end_of_input&) {
    co_return;
  }
}

}  // namespace detail

namespace pipe {

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
  return detail::run_async_pipeline(std::move(from), std::move(to));
}
template <typename In, typename T>
[[nodiscard]] task<> operator|(async_generator<In> from, pipe::async_sink<T> to) {
  return detail::run_async_pipeline(std::move(from), std::move(to));
}
template <typename In, typename V, typename A, typename T>
[[nodiscard]] task<> operator|(generator<In, V, A> from, pipe::async_sink<T> to) {
  return detail::run_async_pipeline(std::move(from), std::move(to));
}

}  // namespace corespun
