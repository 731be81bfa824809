#pragma once
// machine: what the cores of one runtime share.

#include <corespun/runtime/detail/core.hpp>
#include <corespun/runtime/detail/helpers.hpp>

#include <memory>
#include <vector>

namespace corespun::detail {

struct machine {
  explicit machine(unsigned offload_threads) noexcept : pool(offload_threads) {}

  std::vector<std::unique_ptr<core>> cores;  // fixed once the runtime has started
  helpers pool;                              // declared last: its threads post to cores
};

}  // namespace corespun::detail
