#include <corespun/io/detail/recv.hpp>

#include <corespun/io/detail/multishot.hpp>

namespace corespun::detail {

op& recv_awaiter::fill(io_driver& d) const {
  op& o = d.make_op(op_code::recv_lease, *file_);
  o.buffers = file_->buffers;
  return o;
}

result<lease> recv_awaiter::await_resume() const noexcept {
  const int n = outcome();
  if (n < 0) return std::unexpected(error_of(n));
  io_driver& d = driver();
  if ((flags() & flag_buffer) == 0) return lease();
  const unsigned cls = (flags() & flag_large) != 0 ? 1 : 0;
  return lease(d, d.pool().at(cls, flags() >> buffer_shift), static_cast<std::size_t>(n), flags());
}

void recv_awaiter::leave(root& task, core& there) noexcept {
  const bool again = task.op_result == -ECANCELED;
  if (again) prepare_to_go();
  file_->let_go();
  (void)task.complete_inline();
  again ? go_on_at(task, there) : end_at(task, there);
}

/// There it has what is in the task.
void recv_awaiter::end_at(root& task, core& there) noexcept {
  task.go_to(task.leaf(), this, there, [](mail& m) noexcept { static_cast<root&>(m).complete(); });
}

void recv_awaiter::go_on_at(root& task, core& there) noexcept {
  travel(*this, task.leaf(), task, there);
}

bool recv_awaiter::fetches(std::coroutine_handle<> leaf, root& task) noexcept {
  if (!task.bound()) return false;
  // Else two tasks of different cores use the stream.
  if (!has_set_out() && (file_->stays || file_->many == nullptr)) return false;
  comes_from_ = &task.home();
  set_out(*file_);
  visit(leaf, task);
  return true;
}

void recv_awaiter::visit(std::coroutine_handle<> leaf, root& task) noexcept {
  task.go_to(leaf, this, place_of(*file_, task), [](mail& m) noexcept {
    root& arrived = static_cast<root&>(m);
    static_cast<recv_awaiter*>(arrived.what())->look_around(arrived);
  });
}

void recv_awaiter::look_around(root& task) noexcept {
  io_driver& here = io_driver::of(task.home());
  const file::where where = hold(*file_, here);
  if (where == file::where::elsewhere) {
    visit(task.leaf(), task);
    return;
  }
  core& back = *std::exchange(comes_from_, nullptr);
  const bool closed = where == file::where::closed || file_->closing;
  const bool in_queue = !closed && file_->many != nullptr && file_->many->is_settled_at(here);
  const bool used = !closed && (file_->reading != nullptr || file_->writing != nullptr);
  if (where == file::where::here) file_->let_go();
  if (closed) {
    task.op_result = -own_error(errc::closed);
    end_at(task, back);
  } else if (in_queue) {
    if (file_->writing != nullptr || !file_->many->leave(*this, task, back)) bound_elsewhere();
  } else {
    if (used) bound_elsewhere();
    go_on_at(task, back);
  }
}

bool waits_for_data(const root& task) noexcept {
  const wait_kind* const kind = task.waits_for();
  return kind == &recv_awaiter::kind_of(op_code::recv_lease) || multishot_queue::is_wait(kind);
}

bool send_away(file& f, std::uint32_t generation, root& task, core& there) noexcept {
  io_driver& here = io_driver::of(task.home());
  if (task.cancelled() || !f.glance(here)) return false;
  const op* const o = f.reading;
  const bool waits_here = o != nullptr && o->task == &task && o->code == op_code::recv_lease;
  const bool waits = f.many != nullptr ? f.many->is_waited_for_by(task) : waits_here;
  const bool may_go = waits && f.generation == generation && f.writing == nullptr && !f.closing &&
                      !f.stays && f.leaves_for == nullptr;
  f.end_glance();
  if (!may_go) return false;
  if (f.many != nullptr) return f.many->send_away(task, there);
  f.leaves_for = &there;
  here.end_early(*f.reading);
  return true;
}

}  // namespace corespun::detail
