#pragma once
// program: a program of the build that a test starts. run_load: the load generator among them.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

inline constexpr int patience_ms = 30'000;

class descriptor {
 public:
  explicit descriptor(int fd) : fd_(fd) { EXPECT_GE(fd, 0); }
  descriptor(descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~descriptor() { reset(); }
  void reset() {
    if (fd_ >= 0) close(std::exchange(fd_, -1));
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

/// A program of the build, with its output in pipes. Killed if it is still running at the end.
class program {
 public:
  /// `descriptors`: its hard limit, if it is to have one of its own.
  program(const std::string& path, std::vector<std::string> arguments, rlim_t descriptors = 0)
      : program(pipe_pair(), pipe_pair(), path, std::move(arguments), descriptors) {}
  program(program&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)),
        out_(std::move(other.out_)),
        err_(std::move(other.err_)) {}
  ~program() {
    if (pid_ < 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  [[nodiscard]] pid_t pid() const { return pid_; }
  void terminate() const { kill(pid_, SIGTERM); }

  std::string read_line() {
    std::string line;
    for (char c = 0; c != '\n' && read_some(out_.get(), &c, 1) == 1;) line += c;
    return line;
  }
  /// All that is left of it until the program closes it.
  std::string read_output() { return read_all(out_.get()); }
  std::string read_errors() { return read_all(err_.get()); }

  int wait() {
    int status = 0;
    waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  using ends = std::pair<descriptor, descriptor>;  // read, write

  static ends pipe_pair() {
    std::array<int, 2> fds{};
    EXPECT_EQ(pipe2(fds.data(), O_CLOEXEC), 0);
    return {descriptor(fds[0]), descriptor(fds[1])};
  }

  program(ends out, ends err, const std::string& path, std::vector<std::string> arguments,
          rlim_t descriptors)
      : out_(std::move(out.first)), err_(std::move(err.first)) {
    const std::string file = std::string(CORESPUN_BIN_DIR) + "/" + path;
    std::vector<char*> argv{const_cast<char*>(file.c_str())};
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ != 0) return;
    const rlimit limit{.rlim_cur = descriptors, .rlim_max = descriptors};
    if (descriptors > 0) setrlimit(RLIMIT_NOFILE, &limit);
    dup2(out.second.get(), STDOUT_FILENO);
    dup2(err.second.get(), STDERR_FILENO);
    execv(file.c_str(), argv.data());
    _exit(127);
  }

  static ssize_t read_some(int fd, char* to, std::size_t bytes) {
    pollfd ready{.fd = fd, .events = POLLIN, .revents = 0};
    if (poll(&ready, 1, patience_ms) != 1) {
      ADD_FAILURE() << "the program said nothing for " << patience_ms << " ms";
      return 0;
    }
    return read(fd, to, bytes);
  }

  static std::string read_all(int fd) {
    std::string all;
    std::array<char, 4096> buffer{};
    for (ssize_t n = 0; (n = read_some(fd, buffer.data(), buffer.size())) > 0;)
      all.append(buffer.data(), static_cast<std::size_t>(n));
    return all;
  }

  pid_t pid_ = -1;
  descriptor out_;
  descriptor err_;
};

struct outcome {
  int status;
  std::string output;
  std::string errors;
};

inline outcome run_load(std::vector<std::string> arguments, rlim_t descriptors = 0) {
  program load("load", std::move(arguments), descriptors);
  std::string errors = load.read_errors();
  std::string output = load.read_output();
  return {.status = load.wait(), .output = std::move(output), .errors = std::move(errors)};
}

inline bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

/// The first number with this name in a JSON text.
inline std::optional<double> number(std::string_view json, std::string_view name) {
  const std::string key = "\"" + std::string(name) + "\":";
  const auto at = json.find(key);
  if (at == json.npos) return {};
  return std::strtod(json.data() + at + key.size(), nullptr);
}

/// The same within the object with this name.
inline std::optional<double> number_in(std::string_view json, std::string_view object,
                                       std::string_view name) {
  const auto at = json.find("\"" + std::string(object) + "\":");
  if (at == json.npos) return {};
  return number(json.substr(at, json.find('}', at) - at), name);
}
