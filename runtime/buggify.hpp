#pragma once
// Calls for services that are tested in a simulation. Elsewhere they do nothing and cost a load.
//
//   if (sim::buggify()) co_return std::unexpected(make_error_code(errc::timed_out));
//   sim::probe("the retry after a lost answer");

#include <corespun/runtime/detail/core.hpp>
#include <corespun/runtime/detail/simulation.hpp>

#include <source_location>

namespace corespun::sim {

/// Whether this place misbehaves now: in a quarter of all runs it can, and then does in a quarter
/// of all calls. Never outside of a simulation.
[[nodiscard]] inline bool buggify(
    std::source_location here = std::source_location::current()) noexcept {
  const detail::core* const c = detail::core::current();
  if (c == nullptr || c->simulated() == nullptr) return false;
  std::uint64_t where = here.line();
  for (const char* p = here.file_name(); *p != 0; ++p)
    where = where * 31 + static_cast<unsigned char>(*p);
  return c->simulated()->buggify(where);
}

/// A number below n: 0 outside of a simulation.
[[nodiscard]] inline std::uint32_t choose(std::uint32_t n) noexcept {
  const detail::core* const c = detail::core::current();
  return c == nullptr || c->simulated() == nullptr ? 0 : c->simulated()->choose(n, site::user);
}

/// This case has been reached; world::reached() tells. For a suite that wants to be sure that its
/// runs come everywhere.
inline void probe(const char* name) noexcept {
  const detail::core* const c = detail::core::current();
  if (c != nullptr && c->simulated() != nullptr) c->simulated()->reach(name);
}

}  // namespace corespun::sim
