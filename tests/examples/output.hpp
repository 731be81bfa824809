#pragma once
// What an example prints that runs and ends by itself.

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "tests/support/io_process.hpp"
#include "tests/support/io_server.hpp"

namespace corespun::test {

[[nodiscard]] inline std::string output_of(const std::string& name, program::words options = {}) {
  options.insert(options.begin(), example(name));
  program run(std::move(options));
  std::string text = run.output();
  EXPECT_EQ(run.errors(), "");
  EXPECT_EQ(run.wait(), 0);
  return text;
}

}  // namespace corespun::test
