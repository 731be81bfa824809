#pragma once
// The lane in which one simulated machine takes the place of the kernel (CORESPUN_TEST_DRIVER=sim).
// Time is virtual, and all chance comes from CORESPUN_TEST_SEED.

#include <corespun/io/detail/sim_driver.hpp>
#include <corespun/io/options.hpp>
#include <corespun/runtime/runtime.hpp>

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <string_view>

namespace corespun::test {

[[nodiscard]] inline bool on_sim() {
  static const char* const driver = std::getenv("CORESPUN_TEST_DRIVER");
  return driver != nullptr && std::string_view(driver) == "sim";
}

/// Ready tasks run in the order of production, which tests of the drivers rely on; all else is
/// chance.
class lane_chance final : public sim::chance {
 public:
  std::uint32_t choose(std::uint32_t n, sim::site where) override {
    return where == sim::site::next_task ? 0 : all_else_.choose(n, where);
  }

 private:
  sim::seeded all_else_{std::getenv("CORESPUN_TEST_SEED") != nullptr
                            ? std::strtoull(std::getenv("CORESPUN_TEST_SEED"), nullptr, 10)
                            : 1};
};

/// The machine of this process.
struct sim_machine {
  sim_machine() {
    net.short_one_in = 0;  // tests say how many bytes a read yields
    watch.wrong = [](const std::string& text) { ADD_FAILURE() << text; };
    watch.left_over = watch.wrong;
  }
  [[nodiscard]] static sim_machine& get() {
    static sim_machine it;
    return it;
  }
  /// Makes these cores run on it.
  void play(runtime_options& options, const io_options& io) {
    options.simulation = &all;
    options.driver = [this, io](unsigned) { return detail::make_sim_driver(io, kernel, watch); };
  }
  /// A blocking call: its core stands still, all else goes on.
  template <typename Call>
  [[nodiscard]] long block(Call call) {
    while (true) {
      const long n = call();
      if (n >= 0) return n;
      if (n != -EAGAIN) {
        errno = static_cast<int>(-n);
        return -1;
      }
      if (!all.step()) throw std::runtime_error("a blocking call would wait for ever");
    }
  }

  lane_chance chance;
  detail::simulation all{chance};
  detail::sim_network net{all};
  detail::sim_host kernel{net, "10.0.0.1"};
  detail::sim_watch watch;
};

}  // namespace corespun::test
