// broadcast: a pipeline that pushes to many: each line goes to three filters, which share one sink.
// What pulls has one source for each stage; what pushes has as many targets as it likes.

#include <corespun/runtime/coroutine.hpp>

#include <cstdio>
#include <string>
#include <vector>

using namespace corespun;

using sink = coroutine<void, const std::string&>;

sink to_all(std::vector<sink>& targets) {
  while (true) {
    const std::string& line = co_yield {};
    for (sink& target : targets) target.send(line);
  }
}

sink only_with(std::string pattern, sink& to) {
  while (true) {
    const std::string& line = co_yield {};
    if (line.contains(pattern)) to.send(pattern + ": " + line);
  }
}

sink print() {
  while (true) {
    const std::string& line = co_yield {};
    std::printf("%s\n", line.c_str());
  }
}

int main() {
  auto printer = started(print());
  std::vector<sink> filters;
  for (const char* pattern : {"python", "cobra", "sleep"})
    filters.push_back(started(only_with(pattern, printer)));
  auto broadcast = started(to_all(filters));
  for (const char* line :
       {"a python wakes up", "a cobra sleeps", "all is quiet", "python and cobra meet"})
    broadcast.send(line);
}
