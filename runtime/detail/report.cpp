#include <corespun/runtime/detail/report.hpp>

#include <corespun/runtime/detail/core.hpp>
#include <corespun/runtime/scope.hpp>

#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <new>
#include <string>

namespace corespun::detail {

namespace {

/// Adds a line for r and one for each root below it. What lives on another core goes to
/// elsewhere(root, level).
template <typename Elsewhere>
void describe(root& r, int level, std::string& text, const Elsewhere& elsewhere) {
  if (!r.begun()) return;
  if (r.home().simulated() == nullptr && &r.home() != core::current()) {
    elsewhere(r, level);
    return;
  }
  if (!r.outermost()) return;  // it has ended
  text.append(static_cast<std::size_t>(2 * level + 2), ' ');
  text += "core " + std::to_string(r.home().index()) + ": ";
  if (r.site.line() != 0) {
    text +=
        "task spawned at " + std::string(r.site.file_name()) + ":" + std::to_string(r.site.line());
  } else {
    text += level == 0 ? "main" : "body";
  }
  text += r.waits_for() != nullptr ? std::string(" waits: ") + r.waits_for()->name
                                   : std::string(" is ready to run");
  text += '\n';
  struct below {
    int level;
    std::string& text;
    const Elsewhere& elsewhere;
  } context{level + 1, text, elsewhere};
  r.visit_children(
      [](void* data, root& child) {
        const auto* b = static_cast<const below*>(data);
        describe(child, b->level, b->text, b->elsewhere);
      },
      &context);
}

}  // namespace

std::string waiting_tasks(root& main) {
  std::string text;
  describe(main, 0, text, [](root&, int) {});
  return text;
}

/// Counts the parts that are still being written.
struct task_report::progress {
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t missing = 0;

  void add(int n) {
    const std::lock_guard lock(mutex);
    missing += static_cast<std::size_t>(n);
    changed.notify_all();
  }
};

/// One core's look at one root and what lies below it.
struct task_report::part : mail {
  part(std::shared_ptr<progress> p, root& r, spawned* h, int d)
      : all(std::move(p)), from(r), held(h), depth(d) {
    all->add(1);
    deliver = [](mail& m) noexcept { static_cast<part&>(m).write(); };
  }

  void write() noexcept {
    std::string text;
    try {
      describe(from, depth, text, [this](root& r, int level) {
        // Only spawned tasks live elsewhere; holding one keeps it valid until its core has written
        // about it.
        auto& s = static_cast<spawned&>(r);
        auto* const there = new part(all, s, &s, level);
        s.hold();
        s.home().post(*there);
      });
    } catch (const std::bad_alloc&) {  // half a report is better than none
    }
    std::fwrite(text.data(), 1, text.size(), stderr);
    all->add(-1);
    if (held != nullptr) held->let_go();
    delete this;
  }

  std::shared_ptr<progress> all;
  root& from;
  spawned* held;
  int depth;
};

task_report::task_report(root& main, const char* title) noexcept {
  std::fprintf(stderr, "corespun: %s\n", title);
  try {
    all_ = std::make_shared<progress>();
    main.home().post(*new part(all_, main, nullptr, 0));
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "  there is no memory to list them\n");
    return;
  }
  std::unique_lock lock(all_->mutex);
  if (!all_->changed.wait_for(lock, std::chrono::seconds(1), [&] { return all_->missing == 0; })) {
    std::fprintf(stderr, "  a core does not answer: a task there blocks it\n");
  }
}

task_report::~task_report() {
  if (!all_) return;
  std::unique_lock lock(all_->mutex);
  all_->changed.wait(lock, [&] { return all_->missing == 0; });
}

}  // namespace corespun::detail
