// in_a_process: a coroutine that runs in another process. Who sends to it sends to one that stands
// for it here and writes all into a pipe: values, what is thrown in, and the end, which is the end
// of the pipe. What it throws over there comes back the other way.

#include <corespun/runtime/coroutine.hpp>

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <system_error>

using namespace corespun;

using sink = coroutine<void, std::string>;

/// One end of a pipe of two ways that keeps messages apart. A message is what it is and a text.
class pipe_end {
 public:
  static constexpr char value = 'v';
  static constexpr char error = 'e';

  explicit pipe_end(int number) noexcept : number_(number) {}
  pipe_end(pipe_end&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  ~pipe_end() {
    if (number_ >= 0) ::close(number_);
  }

  void write(char what, const std::string& text) {
    const std::string m = what + text;
    const ssize_t sent = ::send(number_, m.data(), m.size(), MSG_NOSIGNAL);
    // The other end may have failed; it says why.
    if (sent < 0 && errno != EPIPE) throw std::system_error(errno, std::generic_category(), "send");
  }
  /// Empty: the end.
  std::string read() {
    std::array<char, 4096> block;
    const ssize_t bytes = ::recv(number_, block.data(), block.size(), 0);
    if (bytes < 0) throw std::system_error(errno, std::generic_category(), "recv");
    return {block.data(), static_cast<std::size_t>(bytes)};
  }
  void end() { ::shutdown(number_, SHUT_WR); }

 private:
  int number_;
};

/// The other process.
void run(sink target, pipe_end from) {
  try {
    target.next();
    for (std::string m; !(m = from.read()).empty();) {
      const std::string text = m.substr(1);
      if (m[0] == pipe_end::value) target.send(text);
      if (m[0] == pipe_end::error) target.throw_in(std::invalid_argument(text));
    }
    target.close();
  } catch (const std::exception& e) {
    from.write(pipe_end::error, e.what());
  }
}

struct process {
  pid_t id;
  pipe_end pipe;
};

process start(sink target) {
  std::fflush(stdout);
  std::array<int, 2> ends;
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
    throw std::system_error(errno, std::generic_category(), "socketpair");
  pipe_end here(ends[0]);
  pipe_end there(ends[1]);
  const pid_t id = ::fork();
  if (id < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (id == 0) {
    {
      const pipe_end closed = std::move(here);  // else it would not see the end of who started it
    }
    run(std::move(target), std::move(there));
    std::fflush(stdout);
    ::_exit(0);
  }
  return {id, std::move(here)};
}

/// Closed, it waits for the end of the process; `failed` is then what that has said, if anything.
sink in_a_process(sink target, std::string& failed) {
  process other = start(std::move(target));
  const auto end = [&] {
    other.pipe.end();
    failed = other.pipe.read();
    if (!failed.empty()) failed.erase(0, 1);
    ::waitpid(other.id, nullptr, 0);
  };
  const auto guard = co_await on_close(end);
  while (true) {
    try {
      const std::string text = co_yield {};
      other.pipe.write(pipe_end::value, text);
    } catch (const std::exception& e) {
      other.pipe.write(pipe_end::error, e.what());
    }
  }
}

sink print(pid_t made_in) {
  const auto say_so = [] { std::printf("closed\n"); };
  const auto guard = co_await on_close(say_so);
  std::printf("%s\n", ::getpid() == made_in ? "same process" : "another process");
  while (true) {
    try {
      const std::string text = co_yield {};
      if (text.empty()) throw std::runtime_error("an empty text");
      std::printf("printed: %s\n", text.c_str());
    } catch (const std::invalid_argument& e) {
      std::printf("handled: %s\n", e.what());
    }
  }
}

void show(const std::string& failed) {
  if (failed.empty()) {
    std::printf("ended well\n");
  } else {
    std::printf("failed: %s\n", failed.c_str());
  }
}

int main() {
  std::string failed;
  auto first = started(in_a_process(print(::getpid()), failed));
  first.send("one");
  first.throw_in(std::invalid_argument("thrown in"));
  first.send("two");
  first.close();
  show(failed);

  auto second = started(in_a_process(print(::getpid()), failed));
  second.send("three");
  second.send("");
  second.close();
  show(failed);
}
