#pragma once

#include <corespun/io/options.hpp>
#include <corespun/runtime/driver.hpp>

#include <memory>
#include <string>

namespace corespun::detail {

/// `why` is what the report says about the choice; empty: it was asked for. Throws
/// std::system_error.
[[nodiscard]] std::unique_ptr<driver> make_epoll_driver(const io_options& options, std::string why);

}  // namespace corespun::detail
