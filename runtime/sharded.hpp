#pragma once
// sharded<T>: a T on each core. Only that core touches it, so a T needs no lock.
//
//   sharded<cache> caches;
//   co_await caches.start(64 << 20);                                // cache(64 << 20) on each core
//   auto v = co_await caches.on_owner(key, [key](cache& c) { return c.find(key); });
//   auto n = co_await caches.map_reduce([](cache& c) { return c.size(); }, 0uz, std::plus{});
//   co_await caches.stop();                                          // ~cache() on each core
//
// The functions are called as fn(T&, args…) on the core of that T; for them, their order, errors
// and cancel holds what on_core.hpp says. A function that returns a task may keep the T& until it
// ends. Invariants
//   - start() comes before all, stop() after all: it waits for the calls that are under way, then
//     ends each T on its core. A call before or after that is a bug and says so; so is to destroy
//     what was not stopped.
//   - A T that has a member `task<> stop()` is stopped before it is destroyed. All are stopped at
//     once, and none of them may be called any more, not even by another one's stop().
// Threads: all but the constructor and the destructor in tasks of one runtime.

#include <corespun/runtime/deadline.hpp>
#include <corespun/runtime/on_core.hpp>
#include <corespun/runtime/this_core.hpp>
#include <corespun/runtime/when.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace corespun {
namespace detail {

/// Waits until this core has no call of these under way; how many it has begun so far.
class [[nodiscard]] none_under_way {
 public:
  explicit none_under_way(call_count& calls) noexcept : calls_(calls) {}
  [[nodiscard]] bool await_ready() const noexcept { return false; }
  template <typename Promise>
  [[nodiscard]] bool await_suspend(std::coroutine_handle<Promise> self) noexcept {
    root& task = *self.promise().owner;
    if (!task.begin_wait(self, this, kind)) return true;
    calls_.waits_for_none = &task;
    if (calls_.under_way == 0) std::exchange(calls_.waits_for_none, nullptr)->complete();
    return true;
  }
  [[nodiscard]] std::uint64_t await_resume() const noexcept { return calls_.begun; }

 private:
  void give_up(root& task) noexcept {
    if (std::exchange(calls_.waits_for_none, nullptr) != nullptr) task.stop();
  }
  static const wait_kind kind;
  call_count& calls_;
};

inline const wait_kind none_under_way::kind{"sharded stop", [](root& task, void* self) noexcept {
                                              static_cast<none_under_way*>(self)->give_up(task);
                                            }};

/// A core for a hash, all alike though many hashes are the number itself. Method: Fibonacci hashing
/// (Knuth, TAOCP 6.4), then the upper part of a product (Lemire, "Fast Random Integer Generation in
/// an Interval", 2019).
[[nodiscard]] inline unsigned core_for(std::size_t hash, unsigned cores) noexcept {
  const std::uint64_t mixed = (static_cast<std::uint64_t>(hash) * 0x9e3779b97f4a7c15U) >> 32;
  return static_cast<unsigned>((mixed * cores) >> 32);
}

}  // namespace detail

template <typename T>
class sharded {
  struct alignas(64) shard {
    std::unique_ptr<T> value;  // of its core
  };

  /// fn(T&, args…), once, on the core of the shard.
  template <typename Fn, typename... Args>
  class shard_call {
   public:
    template <typename... A>
    explicit shard_call(shard& s, Fn&& fn, A&&... args)
        : shard_(&s), fn_(std::move(fn)), args_(std::forward<A>(args)...) {}
    auto operator()() {
      const auto call = [this]<typename... A>(A&&... args) {
        return std::invoke(fn_, value_of(*shard_), std::forward<A>(args)...);
      };
      return std::apply(call, std::move(args_));
    }

   private:
    shard* shard_;
    Fn fn_;
    std::tuple<std::unwrap_ref_decay_t<Args>...> args_;
  };

 public:
  sharded() noexcept {}
  sharded(const sharded&) = delete;
  sharded& operator=(const sharded&) = delete;
  ~sharded() {
    for (const shard& s : shards_) {
      if (s.value != nullptr)
        detail::caller_bug("a sharded object is destroyed that was not stopped",
                           "co_await its stop() before");
    }
  }

  /// Makes T(args…) on each core, with args as constants; std::ref is explicit. Errors: what a
  /// constructor throws; then those that there are have ended again. Cancel: seen after it.
  template <typename... Args>
  [[nodiscard]] task<> start(Args... args) {
    if (std::exchange(started_, true))
      detail::caller_bug("a sharded object is started twice", "stop it before");
    if (shards_.size() != this_core::count()) {
      calls_ = std::vector<detail::call_count>(this_core::count());
      shards_ = std::vector<shard>(this_core::count());
    }
    const auto make = [&](shard& s) {
      s.value = std::make_unique<T>(static_cast<const std::unwrap_ref_decay_t<Args>&>(args)...);
    };
    std::exception_ptr failed;
    try {
      auto making = each(make);
      (void)co_await shield(clock::duration::max(), std::move(making));
    } catch (...) {
      failed = std::current_exception();
    }
    if (!failed) co_return;
    auto stopping = stop();
    co_await std::move(stopping);
    std::rethrow_exception(failed);
  }

  /// Waits for all calls that are under way, then ends each T on its core. Errors: what their
  /// stop() throws, when all have ended. Cancel: seen after it; works in a cancelled task only
  /// inside of shield() or an on_exit handler.
  [[nodiscard]] task<> stop() {
    auto all = stop_all();
    (void)co_await shield(clock::duration::max(), std::move(all));
  }

  /// Calls fn(T&, args…) on that core.
  template <typename Fn, typename... Args>
  [[nodiscard]] auto on(unsigned core, Fn fn, Args... args) {
    using call = shard_call<Fn, Args...>;
    return detail::core_call_request<call>(core, calls_.data(),
                                           call(shard_of(core), std::move(fn), std::move(args)...));
  }

  /// The core that owns a key: std::hash, spread over the cores.
  template <typename Key>
  [[nodiscard]] unsigned owner_of(const Key& key) const noexcept {
    return detail::core_for(std::hash<Key>{}(key), static_cast<unsigned>(shards_.size()));
  }
  template <typename Key, typename Fn, typename... Args>
  [[nodiscard]] auto on_owner(const Key& key, Fn fn, Args... args) {
    return on(owner_of(key), std::move(fn), std::move(args)...);
  }

  /// Calls fn(T&), a copy of it for each core, on all cores at once, and waits for all. The first
  /// exception cancels the others.
  template <typename Fn>
  [[nodiscard]] task<> on_all(Fn fn) {
    (void)shard_of(0);  // there are shards
    std::vector<task<>> all;
    for (unsigned core = 0; core < shards_.size(); ++core) all.push_back(one<void>(core, fn));
    auto waiting = when_all(std::move(all));
    co_await std::move(waiting);
  }

  /// reduce(reduce(init, map(T&) of core 0), map(T&) of core 1) and so on; the maps run at once.
  template <typename Map, typename Init, typename Reduce>
  [[nodiscard]] task<Init> map_reduce(Map map, Init init, Reduce reduce) {
    (void)shard_of(0);  // there are shards
    using mapped = typename detail::called<std::invoke_result_t<Map&, T&>>::value;
    std::vector<task<mapped>> all;
    for (unsigned core = 0; core < shards_.size(); ++core) all.push_back(one<mapped>(core, map));
    auto waiting = when_all(std::move(all));
    std::vector<mapped> parts = co_await std::move(waiting);
    for (auto&& part : parts) init = reduce(std::move(init), std::move(part));
    co_return init;
  }

  /// The T of the core that runs the caller; do not keep it across a co_await of a free task.
  [[nodiscard]] T& local() { return value_of(shard_of(this_core::index())); }

 private:
  [[nodiscard]] shard& shard_of(unsigned core) {
    if (core >= shards_.size())
      detail::caller_bug(
          "sharded: core " + std::to_string(core) + " of " + std::to_string(shards_.size()),
          "start() it before, and ask this_core::count() for the number of cores");
    return shards_[core];
  }
  [[nodiscard]] static T& value_of(shard& s) {
    if (s.value == nullptr)
      detail::caller_bug("sharded: a call after stop()",
                         "stop it after all that calls it has ended");
    return *s.value;
  }

  template <typename Result, typename Fn>
  task<Result> one(unsigned core, Fn fn) {
    auto call = on(core, std::move(fn));
    co_return co_await std::move(call);
  }

  /// fn(shard&), a task or not, on all cores; throws the first error when all have ended.
  template <typename Fn>
  task<> each(Fn fn) {
    std::vector<task<>> all;
    for (shard& s : shards_) all.push_back(on_shard(s, fn));
    auto waiting = when_all_settled(std::move(all));
    std::vector<outcome<void>> ended = co_await std::move(waiting);
    for (outcome<void>& one : ended) std::move(one).value();
  }
  template <typename Fn>
  task<> on_shard(shard& s, Fn fn) {
    auto call = on_core(static_cast<unsigned>(&s - shards_.data()), fn, std::ref(s));
    co_await std::move(call);
  }

  task<> stop_all() {
    // A call that was under way on one core may have made others on cores that were asked before.
    // When none has come since they were asked last, there are none.
    std::uint64_t before = 0;
    for (bool first = true;; first = false) {
      std::uint64_t begun = 0;
      for (detail::call_count& calls : calls_) {
        const auto quiet = [&calls]() -> task<std::uint64_t> {
          co_return co_await detail::none_under_way(calls);
        };
        auto asking = on_core(static_cast<unsigned>(&calls - calls_.data()), quiet);
        begun += co_await std::move(asking);
      }
      if (!first && begun == before) break;
      before = begun;
    }
    std::exception_ptr failed;
    try {
      auto ending = each(&sharded::end);
      co_await std::move(ending);
    } catch (...) {
      failed = std::current_exception();
    }
    started_ = false;  // the shards stay, so that a call that comes too late finds them empty
    if (failed) std::rethrow_exception(failed);
  }
  static task<> end(shard& s) {
    const std::unique_ptr<T> ends = std::move(s.value);
    if constexpr (requires {
                    { ends->stop() } -> std::same_as<task<>>;
                  }) {
      if (ends == nullptr) co_return;
      auto stopping = ends->stop();
      co_await std::move(stopping);
    }
    co_return;
  }

  std::vector<shard> shards_;
  std::vector<detail::call_count> calls_;  // by the core that makes them
  bool started_ = false;
};

}  // namespace corespun
