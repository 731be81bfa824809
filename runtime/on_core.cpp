#include <corespun/runtime/on_core.hpp>

#include <corespun/runtime/affinity.hpp>

namespace corespun::detail {

const wait_kind core_call::kind{
    "on_core", [](root&, void* self) noexcept { static_cast<core_call*>(self)->cancel(); },
    [](void* self, child_visitor visitor, void* context) {
      visitor(context, static_cast<core_call*>(self)->child_);
    }};

namespace {

void deliver(core& there, mail& m) noexcept {
  core& here = *core::current();
  &here == &there ? m.deliver(m) : here.send(there, m);
}

}  // namespace

std::coroutine_handle<> core_call::start(root& parent, std::coroutine_handle<> leaf) {
  core& here = parent.home();
  core& there = core_beside(here, index_, "on_core");
  if (parent.stops_at(leaf)) return std::noop_coroutine();
  if (&here == &there && is_function_ && here.may_go_on_inline()) {
    (void)call();
    return leaf;
  }
  if (!parent.begin_wait(leaf, this, kind)) return std::noop_coroutine();
  parent_ = &parent;
  home_ = &here;
  there_ = &there;
  if (counts_ != nullptr) {
    ++counts_[here.index()].begun;
    ++counts_[here.index()].under_way;
  }
  deliver(there, call_mail_.to<&core_call::begin>(*this));
  return std::noop_coroutine();
}

// --- on the other core ---

void core_call::begin() noexcept {
  const std::coroutine_handle<> made = parent_->cancelled() ? nullptr : call();
  if (!made) {
    end();
    return;
  }
  child_.adopt(*there_, *this, made, true);
  child_.site = parent_->site;
  there_->make_ready(child_);
}

std::coroutine_handle<> core_call::child_ended(root& child) noexcept {
  // Its frames end when nobody stands inside them any more.
  child.deliver = [](mail& m) noexcept {
    auto& self = static_cast<core_call&>(static_cast<root&>(m).owner());
    self.settle();
    self.end();
  };
  child.home().when_left(child);  // it may have gone elsewhere
  return std::noop_coroutine();
}

void core_call::end() noexcept { deliver(*home_, call_mail_.to<&core_call::come_home>(*this)); }

void core_call::reach_child() noexcept {
  core* const where = child_.cancel();
  if (where != nullptr) {
    deliver(*where, cancel_mail_.to<&core_call::follow_child>(*this));
  } else {
    send_cancel_back();
  }
}

void core_call::follow_child() noexcept {
  child_.carry_out_cancel();
  send_cancel_back();
}

void core_call::send_cancel_back() noexcept {
  deliver(*home_, cancel_mail_.to<&core_call::cancel_came_back>(*this));
}

// --- where the parent waits ---

void core_call::come_home() noexcept {
  ended_ = true;
  if (!cancel_is_out_) finish();
}

void core_call::cancel() noexcept {
  if (ended_ || std::exchange(cancel_sent_, true)) return;
  cancel_is_out_ = true;
  deliver(*there_, cancel_mail_.to<&core_call::reach_child>(*this));
}

void core_call::cancel_came_back() noexcept {
  cancel_is_out_ = false;
  if (ended_) finish();
}

void core_call::finish() noexcept {
  if (counts_ != nullptr) {
    call_count& mine = counts_[home_->index()];
    if (--mine.under_way == 0 && mine.waits_for_none != nullptr)
      std::exchange(mine.waits_for_none, nullptr)->complete();
  }
  if (was_stopped()) {
    parent_->stop();
  } else {
    parent_->complete();
  }
}

}  // namespace corespun::detail
