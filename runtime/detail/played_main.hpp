#pragma once
// played_main: the outermost task of cores without threads: a simulation plays them, or a loop.

#include <corespun/runtime/detail/core.hpp>
#include <corespun/runtime/detail/root.hpp>

namespace corespun::detail {

/// Of a task of cores without threads, from anywhere.
inline void cancel_played(root& task) noexcept {
  core* const there = task.cancel();
  if (there == nullptr) return;
  core* const before = core::current();
  core::stand_in(there);
  task.carry_out_cancel();
  core::stand_in(before);
  there->backend().wake();
}

class played_main final : private joiner {
 public:
  /// Makes it ready on core `home`.
  played_main(root& main, core& home, std::coroutine_handle<> frame, bool bound) noexcept
      : main_(main) {
    main_.adopt(home, *this, frame, bound);
    main_.wake();
  }

  [[nodiscard]] bool ended() const noexcept { return ended_; }
  void cancel() noexcept { cancel_played(main_); }

 private:
  std::coroutine_handle<> child_ended(root&) noexcept override {
    main_.home().when_left(left_.to<&played_main::end>(*this));
    return std::noop_coroutine();
  }
  void end() noexcept { ended_ = true; }

  root& main_;
  bool ended_ = false;
  member_mail<played_main> left_;
};

}  // namespace corespun::detail
