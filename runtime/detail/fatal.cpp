#include <corespun/runtime/detail/fatal.hpp>

#include <corespun/runtime/detail/core.hpp>

#include <cstdio>
#include <cstdlib>

namespace corespun::detail {
namespace {

std::string at(const std::source_location& place) {
  return std::string(place.file_name()) + ":" + std::to_string(place.line());
}

}  // namespace

void caller_bug(const std::string& what, const std::string& now,
                std::source_location where) noexcept {
  std::string text = "corespun: bug in the caller: " + what + "\n";
  if (where.line() != 0) text += "  at " + at(where) + "\n";
  if (const core* const c = core::current(); c != nullptr) {
    text += "  on core " + std::to_string(c->index());
    const root* const r = c->running();
    if (r != nullptr && r->site.line() != 0) text += ", in the task spawned at " + at(r->site);
    text += "\n";
  }
  text += "  now: " + now + "\n";
  std::fputs(text.c_str(), stderr);
  std::abort();
}

}  // namespace corespun::detail
