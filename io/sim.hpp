#pragma once
// sim::world: machines, a network between them, time and chance, all played by one thread. The
// same program that runs on io_uring runs here, unchanged; one seed replays a run.
//
//   sim::run(seed, [](sim::world& w) {
//     auto server = w.host("10.0.0.1", serve_forever);
//     auto client = w.host("10.0.0.2", ask_for_an_hour);
//     w.link(client, server).latency(1ms, 20ms).loss(0.01);
//     w.run_until([&] { return client.ended(); }, 2h);
//   });
//
// The mains end after the test function does if that fails, so what they share with it must live as
// long as they do: a shared_ptr that they capture.
//
// What is decided by chance: which core and which task runs next, how late each answer is, how many
// bytes a transfer moves, the latency of each message, losses, resets, and what
// sim::buggify() (runtime/buggify.hpp) adds. The clock moves only when nothing can run.
//
// Errors: sim::failure, with the tasks that wait and what each waits for, when a condition is not
// met, when nothing can ever happen any more, when a main throws, and when at the end an operation,
// a descriptor, a buffer or a task is left.
// Threads: the one that made the world.

#include <corespun/io/options.hpp>
#include <corespun/runtime/chance.hpp>
#include <corespun/runtime/runtime.hpp>
#include <corespun/runtime/scope.hpp>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace corespun::sim {

class world;

/// A machine of a world; a value, valid as long as the world.
class machine {
 public:
  [[nodiscard]] const std::string& address() const noexcept;
  /// Its main has returned, or was killed.
  [[nodiscard]] bool ended() const noexcept;

 private:
  friend class world;
  struct state;
  explicit machine(state& s) noexcept : state_(&s) {}
  state* state_;
};

/// Both directions of the way between two machines.
class path {
 public:
  /// Of each message; streams stay in order all the same.
  path& latency(clock::duration shortest, clock::duration longest);
  /// Share of messages that are lost, in thousandths. A stream repeats them, each time 200 ms
  /// later, at most six times; a datagram is gone.
  path& loss(double share);

 private:
  friend class world;
  path(world& w, std::string a, std::string b) : world_(w), a_(std::move(a)), b_(std::move(b)) {}
  world& world_;
  std::string a_;
  std::string b_;
};

/// What goes wrong by itself, one in so many times; 0: never.
struct faults {
  faults() {}
  unsigned short_transfers = 4;  ///< a read or a write moves less than it could
  unsigned resets = 0;  ///< at a transfer the connection breaks
};

class world {
 public:
  explicit world(std::uint64_t seed);
  /// `c` outlives the world.
  explicit world(chance& c);
  world(const world&) = delete;
  world& operator=(const world&) = delete;
  /// Ends all machines as finish() does; what is wrong then is said on stderr.
  ~world();

  /// A machine whose process runs main(), or main(scope&), a task; main is copied for each start.
  /// It has that address, and 127.0.0.1 for itself.
  template <typename Fn>
  machine host(std::string address, Fn main, unsigned cores = 1, io_options io = {}) {
    return add(std::move(address), cores, io, [main]() -> task<> {
      // The frame keeps its own copy: the machine may start more than once.
      return run_main(main);
    });
  }
  [[nodiscard]] path link(machine a, machine b);
  void set(faults f) noexcept;

  /// What is under way between the two stays so, and nothing gets through, until heal().
  void partition(machine a, machine b);
  void heal();
  /// Its process dies: the kernel closes its connections, new ones are refused. What its tasks
  /// still do on their way out reaches nobody.
  void kill(machine h);
  /// A new process, with a new main.
  void restart(machine h);
  /// It stands still: nothing runs, what arrives is kept.
  void pause(machine h);
  void resume(machine h);

  /// Plays until the condition holds. It is looked at after each step.
  void run_until(const std::function<bool()>& done, clock::duration limit = std::chrono::hours(1));
  /// Plays until every main has ended.
  void run(clock::duration limit = std::chrono::hours(1));
  /// Plays for so long.
  void run_for(clock::duration d);
  /// Cancels every main, waits for their end and checks that nothing is left.
  void finish();

  [[nodiscard]] clock::time_point now() const noexcept;
  /// A number below n, from the same chance as all else.
  [[nodiscard]] std::uint32_t choose(std::uint32_t n);
  /// Equal for equal runs.
  [[nodiscard]] std::uint64_t trace_hash() const noexcept;
  /// For `replayed`.
  [[nodiscard]] const std::vector<std::uint32_t>& choices() const noexcept;
  /// Names given to probe().
  [[nodiscard]] const std::set<std::string>& reached() const noexcept;
  /// The tasks of all machines, a line each: what each waits for and where it was spawned.
  [[nodiscard]] std::string waiting() const;

 private:
  friend class path;
  using main_function = std::function<task<>()>;

  template <typename Fn>
  static task<> run_main(Fn main) {
    if constexpr (std::is_invocable_v<Fn&, scope&>) {
      auto body = with_scope(std::move(main));
      (void)co_await std::move(body);
    } else {
      auto body = main();
      (void)co_await std::move(body);
    }
  }
  machine add(std::string address, unsigned cores, io_options io, main_function main);
  void start(machine::state& s);
  [[noreturn]] void fail(const std::string& what);
  void note_errors();
  void check();
  void play_until(const std::function<bool()>& done);

  struct parts;
  std::unique_ptr<parts> parts_;
};

/// Runs the test in a world of that seed, twice, and finishes the world. Errors: failure, its text
/// with the seed; also if the two runs differ.
void run(std::uint64_t seed, const std::function<void(world&)>& test);

/// Runs the test in every world there is, up to `most`. Returns how many there were. Errors:
/// failure, its text with the choices that lead to it.
std::size_t run_all(const std::function<void(world&)>& test, std::size_t most = 1'000'000);

}  // namespace corespun::sim
