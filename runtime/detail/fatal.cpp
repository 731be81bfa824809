#include <corespun/runtime/detail/fatal.hpp>

#include <cstdio>
#include <cstdlib>

namespace corespun::detail {

void caller_bug(const std::string& what, const std::string& now, std::source_location where) noexcept {
  std::fprintf(stderr, "corespun: bug in the caller: %s\n  at %s:%u\n  now: %s\n", what.c_str(), where.file_name(),
               static_cast<unsigned>(where.line()), now.c_str());
  std::abort();
}

}  // namespace corespun::detail
