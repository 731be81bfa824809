#include <corespun/io/drivers.hpp>

#include <corespun/io/detail/epoll_driver.hpp>
#include <corespun/io/detail/io_driver.hpp>
#include <corespun/io/detail/uring_driver.hpp>
#include <corespun/runtime/detail/fatal.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string_view>
#include <system_error>

namespace corespun {
namespace {

backend choice(const io_options& options) {
  const char* const text = std::getenv("CORESPUN_DRIVER");
  const std::string_view name = text != nullptr ? text : "";
  if (name.empty()) return options.driver;
  if (name == "auto") return backend::automatic;
  if (name == "uring") return backend::uring;
  if (name == "epoll") return backend::epoll;
  throw std::invalid_argument("corespun: CORESPUN_DRIVER is '" + std::string(name) +
                              "'\n  now: set it to uring, epoll or auto, or unset it");
}

std::unique_ptr<driver> make(const io_options& options, unsigned index) {
  const backend wanted = choice(options);
  if (wanted == backend::epoll) return detail::make_epoll_driver(options, "");
  try {
    return detail::make_uring_driver(options);
  } catch (const std::system_error& e) {
    if (wanted == backend::uring) throw;
    const std::string why =
        "core " + std::to_string(index) + ": " + e.what() +
        "\n  here:   running on epoll; to insist on io_uring set CORESPUN_DRIVER=uring";
    static std::atomic<bool> said{false};
    if (!said.exchange(true)) std::fprintf(stderr, "corespun: %s\n", why.c_str());
    return detail::make_epoll_driver(options, why);
  }
}

detail::io_driver& here() {
  detail::core* const c = detail::core::current();
  if (c == nullptr)
    detail::caller_bug("asked for the I/O driver on a thread that is no core", "ask inside a task");
  return detail::io_driver::of(*c);
}

}  // namespace

driver_factory io_drivers(io_options options) {
  return [options](unsigned index) { return make(options, index); };
}

std::string backend_report() { return here().report(); }

io_counters this_core_io() { return {here().system_calls(), here().in_flight()}; }

}  // namespace corespun
