#pragma once
// sim_driver: the third driver. It obeys the contract of the other two on a simulated machine.

#include <corespun/io/detail/sim_kernel.hpp>
#include <corespun/io/options.hpp>
#include <corespun/runtime/driver.hpp>

#include <functional>
#include <memory>
#include <string>

namespace corespun::detail {

/// What the drivers of a machine tell whoever plays it.
struct sim_watch {
  /// something that must not happen; the first one counts
  std::function<void(std::string)> wrong;
  /// at the end of a driver: what it still had
  std::function<void(const std::string&)> left_over;
};

[[nodiscard]] std::unique_ptr<driver> make_sim_driver(const io_options& options, sim_host& host,
                                                      const sim_watch& watch);

}  // namespace corespun::detail
