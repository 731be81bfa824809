#include <corespun/runtime/this_core.hpp>

#include <corespun/runtime/affinity.hpp>

#include <corespun/runtime/detail/fatal.hpp>
#include <corespun/runtime/detail/machine.hpp>

namespace corespun {

detail::core& detail::core_beside(core& here, unsigned index, const char* call) {
  const auto& cores = here.all().cores;
  if (index >= cores.size()) {
    caller_bug(std::string(call) + " core " + std::to_string(index) + " of " +
                   std::to_string(cores.size()),
               "ask this_core::count() for the number of cores");
  }
  return *cores[index];
}

namespace this_core {
namespace {

detail::core& here() {
  detail::core* const c = detail::core::current();
  if (c == nullptr) {
    detail::caller_bug("this_core asked on a thread that is no core",
                       "ask inside a task; offload() runs elsewhere");
  }
  return *c;
}

}  // namespace

unsigned index() { return here().index(); }
unsigned count() { return static_cast<unsigned>(here().all().cores.size()); }
bool need_yield() { return here().needs_yield(); }
const char* driver_name() { return here().backend().name(); }

}  // namespace this_core
}  // namespace corespun
