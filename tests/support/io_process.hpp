#pragma once
// Programs that a test starts, their output, and what this process itself writes to stderr.

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/io_sockets.hpp"

namespace corespun::test {

[[nodiscard]] inline std::string read_to_end(const raw& from) {
  std::string all;
  for (std::string part; !(part = receive_now(from, 4096)).empty();) all += part;
  return all;
}

[[nodiscard]] inline std::size_t times(std::string_view what, std::string_view text) {
  std::size_t n = 0;
  for (auto at = text.find(what); at != std::string_view::npos; at = text.find(what, at + 1)) ++n;
  return n;
}

/// Killed if it still runs at the end.
class program {
 public:
  using words = std::vector<std::string>;

  /// `environment`: NAME=VALUE, beside what this process has.
  explicit program(words command, words environment = {}) {
    raw_pair in = pipe_pair();
    raw_pair out = pipe_pair();
    raw_pair err = pipe_pair();
    std::vector<char*> arguments;
    for (std::string& word : command) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    pid_ = sys(::fork(), "fork");
    if (pid_ == 0) {
      ::signal(SIGINT, SIG_DFL);  // a shell has what it runs in the background ignore it
      ::dup2(in.one.get(), 0);
      ::dup2(out.two.get(), 1);
      ::dup2(err.two.get(), 2);
      for (std::string& variable : environment) ::putenv(variable.data());
      ::execvp(arguments[0], arguments.data());
      ::_exit(127);
    }
    in_ = std::move(in.two);
    out_ = std::move(out.one);
    err_ = std::move(err.one);
  }
  program(const program&) = delete;
  program& operator=(const program&) = delete;
  ~program() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  void send(int signal) const { sys(::kill(pid_, signal), "kill"); }
  void write(std::string_view text) const { send_now(in_, text); }
  void end_input() { in_.reset(); }
  [[nodiscard]] std::string read_line() const { return line_of(out_); }
  [[nodiscard]] std::string read_error_line() const { return line_of(err_); }
  /// All that is left, until the program ends.
  [[nodiscard]] std::string output() const { return read_to_end(out_); }
  [[nodiscard]] std::string errors() const { return read_to_end(err_); }

  /// The exit code; 128 and the number for a signal, as a shell has it.
  int wait() {
    int status = 0;
    sys(::waitpid(std::exchange(pid_, -1), &status, 0), "waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  [[nodiscard]] static std::string line_of(const raw& from) {
    std::string line;
    for (std::string c; (c = receive_now(from, 1)) != "\n" && !c.empty();) line += c;
    return line;
  }
  pid_t pid_ = -1;
  raw in_;
  raw out_;
  raw err_;
};

[[nodiscard]] inline bool installed(const std::string& tool) {
  return std::system(("command -v " + tool + " >/dev/null").c_str()) == 0;
}

/// What this process writes to stderr goes into a pipe while this lives. At most what a pipe holds.
class captured_stderr {
 public:
  captured_stderr() : pipe_(real_pipe()), before_(sys(::fcntl(2, F_DUPFD_CLOEXEC, 3), "dup")) {
    sys(::dup2(pipe_.two.get(), 2), "dup2");
    pipe_.two.reset();
  }
  captured_stderr(const captured_stderr&) = delete;
  captured_stderr& operator=(const captured_stderr&) = delete;
  ~captured_stderr() { restore(); }

  /// For readable(): something was written.
  [[nodiscard]] int native() const noexcept { return pipe_.one.get(); }
  /// What was written so far and not taken yet.
  [[nodiscard]] std::string take() const {
    std::string text;
    char block[4096];
    pollfd p{native(), POLLIN, 0};
    while (::poll(&p, 1, 0) == 1 && (p.revents & POLLIN) != 0) {
      text.append(block,
                  static_cast<std::size_t>(sys(::read(native(), block, sizeof block), "read")));
    }
    return text;
  }

 private:
  static raw_pair real_pipe() {
    int ends[2];
    sys(::pipe2(ends, O_CLOEXEC), "pipe2");
    return {ends[0], ends[1]};
  }
  void restore() noexcept {
    std::fflush(stderr);
    ::dup2(before_.get(), 2);
  }
  raw_pair pipe_;
  raw before_;
};

}  // namespace corespun::test
