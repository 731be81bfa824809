#pragma once
// What the example servers share: their options, and the line that says where they listen.

#include <corespun/corespun.hpp>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <string>
#include <string_view>

namespace example {

struct server_options {
  server_options() {}
  std::uint16_t port = 0;
  unsigned cores = 0;
};

/// An option that only this example has: without a value, or with a number.
struct flag {
  const char* name;
  const char* text;
  bool* on = nullptr;
  unsigned* number = nullptr;
};
using flags = std::initializer_list<flag>;

[[noreturn]] inline void usage(const char* name, const char* what, flags own, int code) {
  std::FILE* const out = code == 0 ? stdout : stderr;
  std::fprintf(out,
               "%s: %s\n"
               "  --port N     listen on 127.0.0.1:N; 0, the default: any free port\n"
               "  --cores N    run on N cores; 0, the default: all that this process may use\n",
               name, what);
  for (const flag& f : own) {
    const std::string option = std::string(f.name) + (f.number != nullptr ? " N" : "");
    std::fprintf(out, "  %-12s %s\n", option.c_str(), f.text);
  }
  std::fprintf(out,
               "  --help       this text\n"
               "CORESPUN_DRIVER=uring|epoll chooses how the cores wait. SIGINT or SIGTERM ends the "
               "server.\n");
  std::exit(code);
}

inline server_options parse(int argc, char** argv, const char* what, flags own = {}) {
  server_options o;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    if (arg == "--help") usage(argv[0], what, own, 0);
    const auto number = [&](auto& into) {
      const std::string_view text = i + 1 < argc ? argv[++i] : "";
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), into);
      if (text.empty() || error != std::errc{} || end != text.data() + text.size()) {
        std::fprintf(stderr, "%s: %s needs a number in range, not '%s'\n", argv[0], argv[i - 1],
                     std::string(text).c_str());
        usage(argv[0], what, own, 2);
      }
    };
    const auto* const found =
        std::find_if(own.begin(), own.end(), [&](const flag& f) { return arg == f.name; });
    if (arg == "--port") {
      number(o.port);
    } else if (arg == "--cores") {
      number(o.cores);
    } else if (found != own.end() && found->number != nullptr) {
      number(*found->number);
    } else if (found != own.end()) {
      *found->on = true;
    } else {
      std::fprintf(stderr, "%s: unknown option '%s'\n", argv[0], argv[i]);
      usage(argv[0], what, own, 2);
    }
  }
  return o;
}

/// The line that scripts and tests wait for.
inline void say_where(const corespun::tcp_listener& listener) {
  std::printf("listening on %s (%s, %u cores)\n", listener.local_address().to_string().c_str(),
              corespun::this_core::driver_name(), corespun::this_core::count());
  std::fflush(stdout);
}

/// Binds, says so, and serves until the end. The exit code for main.
template <typename Handler>
corespun::task<int> listen_and_serve(corespun::address at, Handler handler) {
  corespun::result<corespun::tcp_listener> listener = corespun::tcp_listener::bind(at);
  if (!listener) {
    std::fprintf(stderr, "%s\n",
                 corespun::explain(listener.error(), "bind " + at.to_string()).c_str());
    co_return 1;
  }
  say_where(*listener);
  const corespun::result<> served =
      co_await corespun::serve(std::move(*listener), std::move(handler));
  if (!served) std::fprintf(stderr, "%s\n", corespun::explain(served.error(), "serve").c_str());
  co_return served ? 0 : 1;
}

}  // namespace example
