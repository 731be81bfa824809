#pragma once
// The awaiters of I/O. Each takes a record of the core's driver, fills it and waits for its end.

#include <corespun/io/detail/error.hpp>
#include <corespun/io/detail/io_driver.hpp>
#include <corespun/runtime/detail/fatal.hpp>
#include <corespun/runtime/task.hpp>

#include <cerrno>
#include <new>

namespace corespun::detail {

/// One operation. Derived has start(), which calls begin(); code(); used(), which is its file or
/// nullptr; fill(), which prepares the record; and reads the result (await_resume).
///
/// A descriptor comes to the core of the task, or, if somebody else uses it at present, the task
/// goes to the descriptor.
class op_awaiter {
 public:
  [[nodiscard]] bool await_ready() const noexcept { return false; }

 protected:
  op_awaiter() noexcept {}

  /// False: it has completed, go on.
  template <typename Derived>
  [[nodiscard]] static bool begin(Derived& self, std::coroutine_handle<> leaf, root& task) {
    if (task.stops_at(leaf)) return true;
    core& home = task.home();
    io_driver& driver = io_driver::of(home);
    self.task_ = &task;
    self.driver_ = &driver;
    file* const f = self.used();
    if (f != nullptr) {
      const file::where where = self.hold(*f, driver);
      if (where == file::where::elsewhere) {
        if (!self.fetches(leaf, task)) follow(self, leaf, task, *f);
        return true;
      }
      if (where == file::where::closed) {
        task.op_result = -own_error(errc::closed);
        return false;
      }
    }
    const bool cancelled = !task.begin_owning_wait(leaf, &self, kind_of(self.code()));
    try {
      self.op_ = &self.fill(driver);
    } catch (const std::bad_alloc&) {
      if (f != nullptr) f->let_go();
      task.op_result = -ENOMEM;
      (void)task.complete_inline();
      return false;
    }
    self.op_->task = &task;
    self.op_->cancel_asked = cancelled;
    if (!driver.submit(*self.op_) || cancelled) return true;
    // It needed no wait. Going on at once is the fast path, but not for ever.
    if (!home.may_go_on_inline()) {
      task.complete();
      return true;
    }
    (void)task.complete_inline();
    return false;
  }
  /// The task goes where the descriptor is.
  template <typename Derived>
  static void follow(Derived& self, std::coroutine_handle<> leaf, root& task, file& f) {
    if (task.bound()) bound_elsewhere();
    travel(self, leaf, task, place_of(f, task));
  }
  /// start() is called anew there. The file may have been closed when we arrive.
  template <typename Derived>
  static void travel(Derived& self, std::coroutine_handle<> leaf, root& task, core& there) {
    self.set_out(*self.used());
    task.go_to(leaf, &self, there, [](mail& m) noexcept {
      root& arrived = static_cast<root&>(m);
      Derived& me = *static_cast<Derived*>(arrived.what());
      if (arrived.stops_at(arrived.leaf())) return;
      switch (find(me, arrived)) {
        case file::where::closed: arrived.complete(); return;
        case file::where::here: {
          file& f = *me.used();
          if (!me.start(arrived.leaf(), arrived)) arrived.complete();
          f.let_go();
          return;
        }
        case file::where::elsewhere:
          if (!me.fetches(arrived.leaf(), arrived)) follow(me, arrived.leaf(), arrived, *me.used());
      }
    });
  }
  /// The wait is made by a multishot queue, where its file is. False: it has completed.
  template <typename Derived>
  [[nodiscard]] static bool wait_in_queue(Derived& self, std::coroutine_handle<> leaf, root& task) {
    file& f = *self.used();
    io_driver& here = io_driver::of(task.home());
    self.task_ = &task;
    if (f.driver_or_null() != &here || !is_settled(f, here)) {
      if (task.stops_at(leaf)) return true;
      switch (self.hold(f, here)) {
        case file::where::closed: task.op_result = -own_error(errc::closed); return false;
        case file::where::elsewhere:
          if (!self.fetches(leaf, task)) follow(self, leaf, task, f);
          return true;
        case file::where::here: settle(f, here);
      }
    }
    return take_from(f, leaf, task, &self, self.driver_);
  }
  /// From here on the task may be under way to the file while others use it.
  void set_out(const file& f) noexcept {
    if (generation_ == 0) generation_ = f.generation;
  }
  /// Where the file is, at a glance; if it has been closed, where the task is.
  [[nodiscard]] static core& place_of(const file& f, const root& task) noexcept {
    const io_driver* const d = f.driver_or_null();
    return d != nullptr ? d->home() : task.home();
  }
  [[nodiscard]] bool has_set_out() const noexcept { return generation_ != 0; }
  [[nodiscard]] file::where hold(file& f, io_driver& d) const noexcept {
    return f.hold(d, generation_);
  }
  /// The file is elsewhere. True: it has it brought here.
  [[nodiscard]] static bool fetches(std::coroutine_handle<>, root&) noexcept { return false; }
  [[noreturn]] static void bound_elsewhere();
  [[nodiscard]] static const wait_kind& kind_of(op_code code) noexcept;
  [[nodiscard]] int outcome() const noexcept { return task_->op_result; }
  [[nodiscard]] std::uint32_t flags() const noexcept { return task_->op_flags; }
  /// Where it was carried out; its task may be elsewhere since.
  [[nodiscard]] io_driver& driver() const noexcept { return *driver_; }

 private:
  /// Where the file is that the task has set out for. Here: it is held. Closed: that is the result.
  template <typename Derived>
  [[nodiscard]] static file::where find(Derived& self, root& task) noexcept {
    file& f = *self.used();
    const file::where where = self.hold(f, io_driver::of(task.home()));
    if (where == file::where::closed) task.op_result = -own_error(errc::closed);
    return where;
  }
  [[nodiscard]] static bool take_from(file& f, std::coroutine_handle<> leaf, root& task,
                                      void* awaiter, io_driver*& from);
  [[nodiscard]] static bool is_settled(const file& f, const io_driver& here) noexcept;
  static void settle(file& f, io_driver& here) noexcept;
  void cancel() noexcept;
  root* task_ = nullptr;
  io_driver* driver_ = nullptr;
  op* op_ = nullptr;
  std::uint32_t generation_ = 0;  // of the file; 0: we have not set out
};

}  // namespace corespun::detail
