#include <corespun/runtime/result.hpp>

#include <cerrno>
#include <cstring>

namespace corespun {
namespace {

class category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "corespun"; }

  std::string message(int code) const override {
    switch (static_cast<errc>(code)) {
      case errc::cancelled: return "cancelled";
      case errc::timed_out: return "timed out";
      case errc::closed: return "closed by this process";
      case errc::end_of_stream: return "the peer ended the stream early";
      case errc::bad_address: return "not an address";
      case errc::not_supported: return "not supported by this driver or kernel";
      case errc::broken_promise: return "a promise was destroyed before it was set";
    }
    return "unknown error " + std::to_string(code);
  }

  // So that code written against the standard's conditions understands ours.
  std::error_condition default_error_condition(int code) const noexcept override {
    switch (static_cast<errc>(code)) {
      case errc::cancelled: return std::errc::operation_canceled;
      case errc::timed_out: return std::errc::timed_out;
      case errc::bad_address: return std::errc::invalid_argument;
      case errc::not_supported: return std::errc::operation_not_supported;
      default: return {code, *this};
    }
  }
};

struct advice {
  int code;
  const char* likely;
  const char* now;
};

constexpr advice system_advice[] = {
    {EADDRINUSE, "another process listens on this address",
     "choose another port, or 0 for any free one"},
    {EADDRNOTAVAIL, "the address is not one of this machine, or its ports ran out",
     "check the address; for very many connections spread them over several addresses"},
    {ECONNREFUSED, "nobody listens there", "check address and port, and whether the server runs"},
    {ECONNRESET, "the peer went away or closed with unread data",
     "read until the end before closing, or retry"},
    {EPIPE, "the peer has closed its end", "stop writing to this stream"},
    {ETIMEDOUT, "the peer does not answer", "check the route and the peer, then retry"},
    {ENETUNREACH, "no route to that network", "check address family and routing"},
    {EHOSTUNREACH, "no route to that host", "check address and routing"},
    {EMFILE, "this process has as many descriptors open as it may",
     "raise `ulimit -n`, or close some"},
    {ENFILE, "the machine has as many files open as it may", "raise fs.file-max, or close some"},
    {ENOMEM, "no memory, or the limit on locked memory", "free memory, or raise `ulimit -l`"},
    {EPERM, "a sysctl, a seccomp filter or a missing capability forbids it",
     "check the container's profile and kernel.io_uring_disabled"},
    {EACCES, "not allowed for this user",
     "ports below 1024 need a capability; check the permissions"},
    {ENOSYS, "this kernel does not have the call", "use a newer kernel"},
    {ENOENT, "there is no such file", "check the path"},
    {EBADF, "the descriptor is not open", "check for a close elsewhere in the program"},
};

constexpr advice own_advice[] = {
    {static_cast<int>(errc::cancelled), "the scope of this task was cancelled",
     "clean up and return"},
    {static_cast<int>(errc::timed_out), "the deadline was too short, or the peer hangs",
     "retry, or allow more time"},
    {static_cast<int>(errc::closed), "another task closed the descriptor",
     "end the readers before closing"},
    {static_cast<int>(errc::end_of_stream), "the peer closed in the middle of a message",
     "drop the connection"},
    {static_cast<int>(errc::bad_address), "a typing error",
     "write 127.0.0.1:80, [::1]:80 or unix:/path"},
    {static_cast<int>(errc::not_supported), "an old kernel, or the epoll driver",
     "see backend_report()"},
    {static_cast<int>(errc::broken_promise), "the code that was to answer has failed or ended",
     "set the promise on each path, also where that code fails"},
};

std::string name_of(std::error_code error) {
  if (error.category() == std::system_category()) {
    const char* name = ::strerrorname_np(error.value());
    if (name != nullptr) return std::string(name) + " (" + error.message() + ")";
  }
  return error.message();
}

}  // namespace

const std::error_category& corespun_category() noexcept {
  static const category instance;
  return instance;
}

std::error_code make_error_code(errc e) noexcept {
  return {static_cast<int>(e), corespun_category()};
}

std::string explain(std::error_code error, std::string_view call) {
  std::string text = std::string(call) + " failed: " + name_of(error);
  const auto add = [&](const auto& table) {
    for (const advice& a : table) {
      if (a.code == error.value()) {
        text += std::string("\n  likely: ") + a.likely + "\n  now:    " + a.now;
      }
    }
  };
  if (error.category() == std::system_category()) add(system_advice);
  if (error.category() == corespun_category()) add(own_advice);
  return text;
}

}  // namespace corespun
