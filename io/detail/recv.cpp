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

void recv_awaiter::go_on_at(root& task, core& there) noexcept {
  travel(*this, task.leaf(), task, there);
}

// The task goes to the file, has it released there, and comes back.
void recv_awaiter::fetch(recv_awaiter& self, std::coroutine_handle<> leaf, root& task) {
  if (self.comes_from_ == nullptr) self.comes_from_ = &task.home();
  task.go_to(leaf, &self, self.file_->driver().home(), [](mail& m) noexcept {
    root& arrived = static_cast<root&>(m);
    static_cast<recv_awaiter*>(arrived.what())->fetch_from_here(arrived);
  });
}

void recv_awaiter::fetch_from_here(root& task) noexcept {
  const file::where where = file_->hold(io_driver::of(task.home()));
  if (where == file::where::elsewhere) {
    fetch(*this, task.leaf(), task);
    return;
  }
  core& back = *std::exchange(comes_from_, nullptr);
  if (where == file::where::here) {
    file_->let_go();
    if (file_->many != nullptr && is_still(*file_)) {
      if (file_->writing != nullptr || !file_->many->leave(*this, task, back)) bound_elsewhere();
      return;
    }
  }
  go_on_at(task, back);  // to find it closed
}

bool send_away(file& f, std::uint32_t generation, root& task, core& there) noexcept {
  io_driver& here = io_driver::of(task.home());
  if (task.cancelled() || !f.glance(here)) return false;
  const op* const o = f.reading;
  const bool waits_here = o != nullptr && o->task == &task && o->code == op_code::recv_lease;
  const bool waits = f.many != nullptr ? f.many->is_waited_for_by(task) : waits_here;
  const bool may_go = waits && f.generation == generation && f.writing == nullptr && !f.closing &&
                      !f.direct && f.leaves_for == nullptr;
  f.end_glance();
  if (!may_go) return false;
  if (f.many != nullptr) return f.many->send_away(task, there);
  f.leaves_for = &there;
  here.end_early(*f.reading);
  return true;
}

}  // namespace corespun::detail
