#include <corespun/runtime/runtime.hpp>

#include <cstdint>
#include <cstdio>
#include <functional>
#include <thread>

#include "micro.hpp"

namespace micro {
namespace {

using body = task<> (*)(benchmark::State&);

struct entry {
  const char* name;
  body run;
};

constexpr entry all[] = {
    {"generator", generator},
    {"await_child", await_child},
    {"frame", frame},
    {"yield", yield},
    {"yield_1000", yield_1000},
    {"spawn_join", spawn_join},
    {"spawn_many", spawn_many},
    {"when_all_one", when_all_one},
    {"when_all_two", when_all_two},
    {"when_all_many", when_all_many},
    {"event", event},
    {"event_round_trip", event_round_trip},
    {"ping_pong", ping_pong},
    {"channel", channel},
    {"mutex", mutex},
    {"on_core", on_core},
    {"timer", timer},
    {"sleep_cancel", sleep_cancel},
    {"offload", offload},
};

void run(benchmark::State& state, body b) {
  corespun::runtime_options options;
  options.cores = static_cast<unsigned>(state.range(0));
  options.stall_notice = {};  // some loops never wait
  corespun::runtime machine(options);
  (void)machine.run(b, std::ref(state));
  std::uint64_t calls = 0;
  for (const corespun::core_metrics& core : machine.metrics().cores) calls += core.allocated;
  state.counters["allocations"] =
      benchmark::Counter(static_cast<double>(calls), benchmark::Counter::kAvgIterations);
}

void add() {
  benchmark::RegisterBenchmark("parked", run, parked)->ArgName("cores")->Arg(1)->Iterations(1);
  for (const entry& e : all) {
    auto* added = benchmark::RegisterBenchmark(e.name, run, e.run);
    added->ArgName("cores")->UseRealTime()->MeasureProcessCPUTime()->Arg(1);
    if (std::thread::hardware_concurrency() > 1) added->Arg(2);
  }
}

}  // namespace
}  // namespace micro

int main(int argc, char** argv) {
  micro::add();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) {
    std::fputs("  now: --help lists the options; --benchmark_filter=NAME/cores:1 chooses\n",
               stderr);
    return 2;
  }
  benchmark::RunSpecifiedBenchmarks();
}
