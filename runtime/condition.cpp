#include <corespun/runtime/condition.hpp>

#include <corespun/runtime/detail/fatal.hpp>

namespace corespun::detail {
namespace {

mutex& locked_by(const mutex::guard& held) noexcept {
  if (!held)
    caller_bug("wait() on a condition without its mutex", "lock it: auto held = co_await m.lock()");
  return *held.locked();
}

}  // namespace

const wait_kind condition_wait::kind{"condition", &awaiting::cancel};

condition_wait::condition_wait(condition& c, mutex::guard& held) noexcept
    : place_(c.waiting_), held_(held), again_(locked_by(held).lock()) {}

void condition_wait::begin(root& task, std::coroutine_handle<> leaf) noexcept {
  // Unlocked at the end of this function: after it stands in the list, and when this may be gone.
  mutex::guard held = std::move(held_);
  if (task.cancelled()) held.unlock();  // before it ends: the mutex may belong to it
  if (!task.begin_wait(leaf, static_cast<awaiting*>(this), kind)) return;
  task_ = &task;
  add(place_);
  (void)settle(true);
}

}  // namespace corespun::detail
