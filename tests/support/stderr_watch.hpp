#pragma once
// stderr_watch: what a process of its own (a death test) writes to stderr, as it comes.

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>

namespace corespun::test {

/// Sees what the process writes to stderr, passes it on, and calls back when a text has come.
class stderr_watch {
 public:
  template <typename Fn>
  stderr_watch(std::string text, Fn then) : out_(::dup(STDERR_FILENO)) {
    int ends[2];
    if (::pipe(ends) != 0) std::abort();
    ::dup2(ends[1], STDERR_FILENO);
    std::thread([this, in = ends[0], text = std::move(text), then]() mutable {
      std::string all;
      char buffer[512];
      for (ssize_t n; (n = ::read(in, buffer, sizeof buffer)) > 0 || errno == EINTR;) {
        if (n <= 0) continue;
        all.append(buffer, static_cast<std::size_t>(n));
        if (::write(out_, buffer, static_cast<std::size_t>(n)) < 0) std::abort();
        if (!text.empty() && all.find(text) != std::string::npos) {
          text.clear();
          then();
        }
      }
    }).detach();  // until the process ends
  }

 private:
  int out_;
};

}  // namespace corespun::test
