#include <corespun/runtime/this_core.hpp>

#include <corespun/runtime/detail/fatal.hpp>
#include <corespun/runtime/detail/machine.hpp>

namespace corespun::this_core {
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
const char* driver_name() { return here().backend().name(); }

}  // namespace corespun::this_core
