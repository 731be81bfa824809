// corespun_sim_suite: see --help.

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "tests/sim/suite/suite.hpp"

namespace corespun::suite {
namespace {

constexpr const scenario* all[] = {&scopes, &forks, &shards, &timeouts, &echo, &chat};

[[noreturn]] void usage(int code) {
  std::fputs(
      "corespun_sim_suite: plays services in simulated worlds, each seed twice\n"
      "  --seeds N        so many worlds of each scenario (200)\n"
      "  --first S        the first seed (1)\n"
      "  --scenario NAME  only this one\n"
      "  --seed S         only this world\n"
      "  --jobs N         worker processes; as many as there are processors\n"
      "  --list           the scenarios\n"
      "  --help           this text\n",
      code == 0 ? stdout : stderr);
  std::exit(code);
}

[[noreturn]] void wrong(std::string_view what, std::string_view arg) {
  std::fprintf(stderr, "corespun_sim_suite: %.*s '%.*s'\n", static_cast<int>(what.size()),
               what.data(), static_cast<int>(arg.size()), arg.data());
  usage(2);
}

struct settings {
  plan how;
  std::vector<const scenario*> which{std::begin(all), std::end(all)};
};

settings parse(std::span<char*> args) {
  settings s;
  s.how.jobs = static_cast<unsigned>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
  std::size_t at = 1;
  while (at < args.size()) {
    const std::string_view arg = args[at++];
    if (arg == "--help") usage(0);
    if (arg == "--list") {
      for (const scenario* one : all) std::printf("%-10s %s\n", one->name, one->what);
      std::exit(0);
    }
    const std::string_view value = at < args.size() ? args[at++] : "";
    const auto number = [&](auto& into) {
      const auto [end, error] = std::from_chars(value.begin(), value.end(), into);
      if (value.empty() || error != std::errc{} || end != value.end()) wrong(arg, value);
    };
    if (arg == "--seeds") {
      number(s.how.seeds);
    } else if (arg == "--first") {
      number(s.how.first);
    } else if (arg == "--seed") {
      number(s.how.first);
      s.how.seeds = 1;
    } else if (arg == "--jobs") {
      number(s.how.jobs);
    } else if (arg == "--scenario") {
      std::erase_if(s.which, [&](const scenario* one) { return value != one->name; });
      if (s.which.empty()) wrong("there is no scenario", value);
    } else {
      wrong("unknown option", arg);
    }
  }
  if (s.how.seeds == 0 || s.how.jobs == 0) wrong("at least one is needed", "0");
  return s;
}

}  // namespace
}  // namespace corespun::suite

int main(int argc, char** argv) {
  using namespace corespun::suite;
  const settings s = parse({argv, static_cast<std::size_t>(argc)});
  std::printf("%-10s %8s %14s %16s %10s\n", "scenario", "seeds", "choices", "simulated time",
              "real time");
  bool right = true;
  for (const scenario* one : s.which) right = right && play(*one, s.how);
  return right ? 0 : 1;
}
