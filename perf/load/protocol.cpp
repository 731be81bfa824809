#include "protocol.hpp"

#include "echo.hpp"
#include "http.hpp"
#include "options.hpp"

namespace load {

std::unique_ptr<protocol> make_protocol(const options& o) {
  if (o.http_path)
    return std::make_unique<http>(o.host + ":" + std::to_string(o.port), *o.http_path);
  return std::make_unique<echo>(o.size_bytes, o.stall);
}

}  // namespace load
