// fan_out: asks many servers at once; the first answer, all answers, and what became of each.

#include <corespun/corespun.hpp>

#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

using namespace corespun;
using namespace std::chrono_literals;

task<std::string> ask(int server) {
  co_await sleep_for(10ms * (server + 1));
  if (server == 2) throw std::runtime_error("server 2 is broken");
  co_return "answer " + std::to_string(server);
}

std::vector<task<std::string>> ask_all(int first, int last) {
  std::vector<task<std::string>> asked;
  for (int server = first; server <= last; ++server) asked.push_back(ask(server));
  return asked;
}

task<> start() {
  auto fastest = co_await when_any(ask_all(0, 4));
  std::printf("first: %s\n", std::move(fastest.outcomes[fastest.index]).value().c_str());

  auto two = co_await when_all(ask(0), ask(1));
  std::printf("both: %s, %s\n", std::get<0>(two).c_str(), std::get<1>(two).c_str());

  try {
    auto all = co_await when_all(ask_all(0, 4));
    std::printf("all %zu\n", all.size());
  } catch (const std::runtime_error& e) {
    std::printf("when_all: %s; the others were cancelled\n", e.what());
  }

  auto settled = co_await when_all_settled(ask_all(0, 4));
  for (std::size_t i = 0; i < settled.size(); ++i) {
    std::printf("%zu %s\n", i,
                settled[i].has_value() ? std::move(settled[i]).value().c_str() : "failed");
  }
}

int main() { return run(start); }
