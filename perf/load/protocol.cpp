#include "protocol.hpp"

#include "echo.hpp"
#include "options.hpp"

namespace load {

std::unique_ptr<protocol> make_protocol(const options& o) {
  return std::make_unique<echo>(o.size_bytes, o.stall);
}

}  // namespace load
