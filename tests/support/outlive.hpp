#pragma once
// Something that the cores of a runtime do not live to see the end of.

#include <corespun/runtime/core_ptr.hpp>
#include <corespun/runtime/task.hpp>

#include <memory>
#include <utility>

namespace corespun::test {

/// Belongs to one core, and owns the next one, which belongs to another; the last owns something.
struct link {
  core_ptr<link> next;
  std::shared_ptr<void> last;
};

/// By the last task of a runtime of two cores. Each end of a link posts the next one to the other
/// core, so they last longer than the cores do; the thread that ends the runtime ends the last.
inline task<> let_outlive_the_cores(std::shared_ptr<void> last) {
  const auto longer_by_one = [](core_ptr<link> all) {
    return make_core_ptr<link>(std::move(all), std::shared_ptr<void>());
  };
  core_ptr<link> all = make_core_ptr<link>(core_ptr<link>(), std::move(last));
  for (unsigned i = 0; i < 2000; ++i) {
    auto making = on_core(i % 2, longer_by_one, std::move(all));
    all = co_await std::move(making);
  }
}

}  // namespace corespun::test
