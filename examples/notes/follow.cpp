// follow: a pipeline that pulls: print <- filter <- follow. The last stage asks the one before it
// for a line, and so on to the generator that follows a file which another thread writes meanwhile;
// like tail -f, until the file is moved away. corespun/runtime/pipeline.hpp has such stages ready
// made: follow(path) | filter(has_python) | print().

#include <corespun/runtime/generator.hpp>

#include <fcntl.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>
#include <thread>

using namespace corespun;

int checked(ssize_t outcome, const char* what) {
  if (outcome < 0) throw std::system_error(errno, std::generic_category(), what);
  return static_cast<int>(outcome);
}

class descriptor {
 public:
  explicit descriptor(int number) noexcept : number_(number) {}
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  ~descriptor() { ::close(number_); }
  operator int() const noexcept { return number_; }

 private:
  int number_;
};

/// What was added; empty: nothing yet.
std::string read_more(int file) {
  std::array<char, 4096> block;
  const int bytes = checked(::read(file, block.data(), block.size()), "read");
  return {block.data(), static_cast<std::size_t>(bytes)};
}

/// Waits until the file is written or moved; true: it was moved.
bool wait_for_change(int watch) {
  alignas(inotify_event) std::array<char, 4096> block;
  const int bytes = checked(::read(watch, block.data(), block.size()), "inotify");
  bool moved = false;
  for (int at = 0; at < bytes;) {
    const auto* const event = reinterpret_cast<const inotify_event*>(block.data() + at);
    moved = moved || (event->mask & IN_MOVE_SELF) != 0;
    at += static_cast<int>(sizeof(inotify_event) + event->len);
  }
  return moved;
}

generator<std::string> follow(std::string path) {
  const descriptor watch(checked(::inotify_init1(IN_CLOEXEC), "inotify_init1"));
  const descriptor file(checked(::open(path.c_str(), O_RDONLY | O_CLOEXEC), "open"));
  checked(::inotify_add_watch(watch, path.c_str(), IN_MODIFY | IN_MOVE_SELF), "inotify_add_watch");
  std::string text;  // the begin of a line
  bool moved = false;
  while (true) {
    const std::string more = read_more(file);
    if (more.empty() && moved) co_return;
    if (more.empty()) moved = wait_for_change(watch);
    text += more;
    for (std::size_t end; (end = text.find('\n')) != text.npos; text.erase(0, end + 1)) {
      co_yield text.substr(0, end);
    }
  }
}

generator<std::string> only_with(std::string pattern, generator<std::string> lines) {
  for (std::string&& line : lines) {
    if (line.contains(pattern)) co_yield std::move(line);
  }
}

void append(const std::string& path, const std::string& text) {
  const descriptor file(
      checked(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600), "open"));
  checked(::write(file, text.data(), text.size()), "write");
}

int main() {
  std::string folder = std::filesystem::temp_directory_path() / "follow.XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) checked(-1, "mkdtemp");
  const std::string path = folder + "/log";
  append(path, "a python wakes up\n");
  auto lines = only_with("python", follow(path));
  std::printf("%s\n", lines.next()->c_str());  // it has opened the file
  {
    const std::jthread writer([&] {
      append(path, "a cobra sleeps\n");
      append(path, "the pyth");
      append(path, "on is hungry\n");
      append(path, "all is quiet\nthe python sleeps\n");
      std::filesystem::rename(path, path + ".old");
    });
    for (const std::string& line : lines) std::printf("%s\n", line.c_str());
  }
  std::filesystem::remove_all(folder);
}
