#include <corespun/net/serve.hpp>

#include <cerrno>
#include <cstdio>
#include <new>
#include <utility>

namespace corespun::detail {

pace::pace(double per_second) noexcept
    : distance_(per_second > 0 ? std::chrono::duration_cast<clock::duration>(
                                     std::chrono::duration<double>(1 / per_second))
                               : clock::duration::zero()),
      due_(clock::now()) {}

// A bucket of a tenth of a second: short bursts pass, the rate holds.
clock::time_point pace::next() noexcept {
  if (distance_ == clock::duration::zero()) return clock::time_point::min();
  return due_ = std::max(due_, clock::now() - std::chrono::milliseconds(100)) + distance_;
}

clock::duration pace::pause(std::error_code error, const address& at) noexcept {
  if (!said_) {
    try {
      std::fprintf(stderr,
                   "corespun: %s\n  here:   accepting pauses until it works again; said once\n",
                   explain(error, "accept on " + at.to_string()).c_str());
      said_ = true;
    } catch (const std::bad_alloc&) {  // said next time
    }
  }
  return std::exchange(pause_,
                       std::min<std::chrono::milliseconds>(2 * pause_, std::chrono::seconds(1)));
}

bool passes_with_time(std::error_code error) noexcept {
  if (error == std::errc::not_enough_memory) return true;
  if (error.category() != std::system_category()) return false;
  switch (error.value()) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS: return true;
    default: return false;
  }
}

// accept(2): the errors of a connection that failed while it waited in the queue.
bool died_in_queue(std::error_code error) noexcept {
  if (error.category() != std::system_category()) return false;
  switch (error.value()) {
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EPERM:
    case EINTR: return true;
    default: return false;
  }
}

void report_handler_error() noexcept {
  static thread_local clock::time_point next = clock::time_point::min();
  static thread_local unsigned unsaid = 0;
  const clock::time_point now = clock::now();
  if (now < next) {
    ++unsaid;
    return;
  }
  const char* what = "an exception that is no std::exception";
  try {
    throw;
  } catch (const std::exception& e) {
    what = e.what();  // the caller's catch block keeps it alive
  } catch (...) {
  }
  std::fprintf(stderr, "corespun: core %u: a connection handler threw: %s\n", this_core::index(),
               what);
  if (unsaid > 0) std::fprintf(stderr, "  and %u more since the last report\n", unsaid);
  unsaid = 0;
  next = now + std::chrono::seconds(1);
}

}  // namespace corespun::detail
