// push_pipeline: a pipeline that pushes: source -> filter -> sink. The source sends each line to
// the filter, and that sends on what it lets pass. At the end each closes the next. Then the same
// with a filter that is an object: what the coroutine has in its locals stands in members there.
// corespun/runtime/pipeline.hpp has such filters ready made: filter(has_python) | print().

#include <corespun/runtime/coroutine.hpp>

#include <cstdio>
#include <sstream>
#include <string>

using namespace corespun;

using sink = coroutine<void, std::string>;

template <typename To>
void send_lines(const std::string& text, To& to) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) to.send(line);
  to.close();
}

sink only_with(std::string pattern, sink& to) {
  const auto close_next = [&] { to.close(); };
  const auto guard = co_await on_close(close_next);
  while (true) {
    std::string line = co_yield {};
    if (line.contains(pattern)) to.send(std::move(line));
  }
}

sink print() {
  const auto say_so = [] { std::printf("end\n"); };
  const auto guard = co_await on_close(say_so);
  while (true) {
    const std::string line = co_yield {};
    std::printf("%s\n", line.c_str());
  }
}

class filter {
 public:
  filter(std::string pattern, sink& to) : pattern_(std::move(pattern)), to_(to) {}
  void send(std::string line) {
    if (line.contains(pattern_)) to_.send(std::move(line));
  }
  void close() { to_.close(); }

 private:
  std::string pattern_;
  sink& to_;
};

int main() {
  const std::string text = "a python wakes up\na cobra sleeps\nthe python is hungry\n";
  auto printer = started(print());
  auto python = started(only_with("python", printer));
  send_lines(text, python);

  auto other_printer = started(print());
  filter object("python", other_printer);
  send_lines(text, object);
}
