#include <corespun/runtime/detail/report.hpp>

#include <corespun/runtime/detail/core.hpp>
#include <corespun/runtime/detail/machine.hpp>

#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <vector>

namespace corespun::detail {

std::string place_of(std::source_location site) {
  return site.line() == 0 ? std::string("main")
                          : "task spawned at " + std::string(site.file_name()) + ":" +
                                std::to_string(site.line());
}

std::string what_runs(std::optional<std::source_location> site) {
  if (!site) return "a function that was sent there (post_to, on_core, sharded)";
  return (site->line() == 0 ? "" : "the ") + place_of(*site);
}

namespace {

/// Adds a line for r and one for each root below it.
void describe(root& r, int level, std::string& text) {
  if (!r.begun() || !r.outermost()) return;  // it has not begun, or has ended
  text.append(static_cast<std::size_t>(2 * level + 2), ' ');
  text += "core " + std::to_string(r.home().index()) + ": ";
  text += r.is_part() ? std::string("body") : place_of(r.site);
  const wait_kind* const kind = r.waits_for();
  text += kind != nullptr ? std::string(" waits: ") + kind->name : " is ready to run";
  text += '\n';
  struct below {
    int level;
    std::string& text;
  } context{level + 1, text};
  r.visit_children(
      [](void* data, root& child) {
        const auto* const b = static_cast<const below*>(data);
        describe(child, b->level, b->text);
      },
      &context);
}

}  // namespace

std::string waiting_tasks(root& main) {
  std::string text;
  describe(main, 0, text);
  return text;
}

namespace {

/// All cores stand still, between two tasks, while there is one of these.
class standstill {
 public:
  explicit standstill(machine& m) : state_(std::make_shared<state>()) {
    for (const auto& c : m.cores) state_->stops.push_back(std::make_unique<stop>(*state_, *c));
    for (const auto& s : state_->stops) {
      s->self = state_;
      s->where.post(*s);
    }
  }
  standstill(const standstill&) = delete;
  standstill& operator=(const standstill&) = delete;
  ~standstill() {
    const std::lock_guard lock(state_->mutex);
    state_->over = true;
    state_->changed.notify_all();
  }

  /// The cores that do not answer in time.
  [[nodiscard]] std::vector<core*> late(std::chrono::seconds limit) {
    std::unique_lock lock(state_->mutex);
    std::vector<core*> missing;
    (void)state_->changed.wait_for(lock, limit,
                                   [&] { return state_->arrived == state_->stops.size(); });
    for (const auto& s : state_->stops) {
      if (!s->arrived) missing.push_back(&s->where);
    }
    return missing;
  }

 private:
  struct stop;
  struct state {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<std::unique_ptr<stop>> stops;
    std::size_t arrived = 0;
    bool over = false;
  };
  struct stop : mail {
    stop(state& s, core& c) : all(s), where(c) {
      deliver = [](mail& m) noexcept { static_cast<stop&>(m).wait(); };
    }
    void wait() noexcept {
      const std::shared_ptr<state> keep = std::move(self);  // a late core comes when all is over
      std::unique_lock lock(all.mutex);
      arrived = true;
      ++all.arrived;
      all.changed.notify_all();
      all.changed.wait(lock, [this] { return all.over; });
    }
    state& all;
    core& where;
    std::shared_ptr<state> self;  // while the mail is under way
    bool arrived = false;
  };
  std::shared_ptr<state> state_;
};

}  // namespace

void report_tasks(root& main, const char* title) noexcept {
  static constinit std::mutex one_at_a_time;
  const std::lock_guard alone(one_at_a_time);
  std::fprintf(stderr, "corespun: %s\n", title);
  try {
    standstill all(main.home().all());
    const std::vector<core*> late = all.late(std::chrono::seconds(1));
    for (const core* c : late) {
      std::fprintf(stderr, "  core %u does not answer: %s blocks it\n", c->index(),
                   what_runs(c->site()).c_str());
    }
    if (late.empty()) std::fputs(waiting_tasks(main).c_str(), stderr);
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "  there is no memory to list them\n");
  }
}

}  // namespace corespun::detail
