#include <corespun/runtime/metrics.hpp>

#include <corespun/runtime/runtime.hpp>

#include <algorithm>
#include <charconv>
#include <concepts>
#include <string_view>

namespace corespun {
namespace {

core_metrics read(const detail::core& c, clock::duration uptime) {
  const detail::counters& from = c.counts;
  core_metrics m;
  m.driver = c.driver_name();
  m.turns = from.turns.get();
  m.tasks_run = from.tasks_run.get();
  m.spawned = from.spawned.get();
  m.forked = from.forked.get();
  m.stolen = from.stolen.get();
  m.overflowed = from.overflowed.get();
  m.injected = from.injected.get();
  m.allocated = from.allocated.get();
  m.parked = from.parked.get();
  m.wakes = from.wakes.get();
  m.mail = from.mail.get();
  m.ready_forks = c.ready_forks();
  m.ready_woken = c.ready_woken();
  m.ready_bound = c.ready_bound();
  for (std::size_t i = 0; i < m.turns_by_length.size(); ++i)
    m.turns_by_length[i] = from.turns_by_length[i].get();
  m.busy = std::chrono::nanoseconds(from.busy_ns.get());
  if (uptime > clock::duration::zero()) {
    const std::chrono::duration<double> busy = m.busy;
    m.busy_share = std::min(1.0, busy / uptime);
  }
  return m;
}

/// Writes families of samples, each with its help and type in front.
class exposition {
 public:
  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    text_.append("# HELP ").append(name).append(" ").append(help).append("\n# TYPE ");
    text_.append(name).append(" ").append(type).append("\n");
  }
  /// `labels`: what label() and core() have made, joined by commas; or nothing.
  template <typename Number>
  void sample(std::string_view labels, Number value, std::string_view suffix = {}) {
    text_.append(name_).append(suffix);
    if (!labels.empty()) text_.append("{").append(labels).append("}");
    text_.append(" ").append(number(value)).append("\n");
  }
  [[nodiscard]] static std::string label(std::string_view name, std::string_view value) {
    std::string text(name);
    text += "=\"";
    for (const char c : value) {
      if (c == '\\' || c == '"') text += '\\';
      text += c == '\n' ? std::string("\\n") : std::string(1, c);
    }
    return text += '"';
  }
  /// Not as the locale of the host would write it.
  template <typename Number>
  [[nodiscard]] static std::string number(Number value) {
    std::array<char, 32> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
    return std::string(digits.data(), end);
  }
  [[nodiscard]] std::string take() noexcept { return std::move(text_); }

 private:
  std::string text_;
  std::string_view name_;
};

[[nodiscard]] std::string label_of(std::size_t core) {
  return exposition::label("core", exposition::number(core));
}

[[nodiscard]] double seconds(std::chrono::nanoseconds d) {
  return std::chrono::duration<double>(d).count();
}

void write_counters(exposition& to, const metrics& m) {
  struct row {
    std::string_view name, help;
    std::uint64_t core_metrics::* value;
  };
  static constexpr row rows[] = {
      {"corespun_turns_total", "Turns of the loop.", &core_metrics::turns},
      {"corespun_tasks_run_total", "Tasks resumed by the loop.", &core_metrics::tasks_run},
      {"corespun_tasks_spawned_total", "Tasks spawned into scopes.", &core_metrics::spawned},
      {"corespun_tasks_forked_total", "Branches started by when_all and its kin.",
       &core_metrics::forked},
      {"corespun_tasks_stolen_total", "Tasks taken from other cores.", &core_metrics::stolen},
      {"corespun_tasks_overflowed_total",
       "Tasks that found their lane full: others cannot steal them yet.",
       &core_metrics::overflowed},
      {"corespun_tasks_injected_total", "Tasks taken from the shared queue.",
       &core_metrics::injected},
      {"corespun_frames_allocated_total", "Blocks for frames taken from the allocator.",
       &core_metrics::allocated},
      {"corespun_parks_total", "Times that the core went to sleep.", &core_metrics::parked},
      {"corespun_wakes_total", "Wakes that the core sent to others.", &core_metrics::wakes},
      {"corespun_mail_total", "Messages of other threads taken in.", &core_metrics::mail},
  };
  for (const row& r : rows) {
    to.family(r.name, "counter", r.help);
    for (std::size_t i = 0; i < m.cores.size(); ++i) to.sample(label_of(i), m.cores[i].*r.value);
  }
}

void write_lanes(exposition& to, const metrics& m) {
  to.family("corespun_ready_tasks", "gauge", "Tasks that are ready, by the lane that holds them.");
  for (std::size_t i = 0; i < m.cores.size(); ++i) {
    const auto sample = [&](std::string_view lane, std::size_t n) {
      to.sample(label_of(i) + "," + exposition::label("lane", lane), n);
    };
    sample("forks", m.cores[i].ready_forks);
    sample("woken", m.cores[i].ready_woken);
    sample("bound", m.cores[i].ready_bound);
  }
}

void write_turns(exposition& to, const metrics& m) {
  to.family("corespun_turn_seconds", "histogram",
            "Time between two looks at the driver, in which nothing arrives.");
  for (std::size_t i = 0; i < m.cores.size(); ++i) {
    const core_metrics& c = m.cores[i];
    const std::string core = label_of(i);
    std::uint64_t so_far = 0;
    std::chrono::nanoseconds limit = std::chrono::microseconds(1);
    for (std::size_t k = 0; k < c.turns_by_length.size(); ++k, limit *= 2) {
      so_far += c.turns_by_length[k];
      const bool last = k + 1 == c.turns_by_length.size();
      const std::string le = last ? "+Inf" : exposition::number(seconds(limit));
      to.sample(core + "," + exposition::label("le", le), so_far, "_bucket");
    }
    to.sample(core, seconds(c.busy), "_sum");
    to.sample(core, so_far, "_count");
  }
  to.family("corespun_busy_ratio", "gauge", "Part of the time since the start spent in turns.");
  for (std::size_t i = 0; i < m.cores.size(); ++i) to.sample(label_of(i), m.cores[i].busy_share);
}

}  // namespace

metrics runtime::metrics() const {
  corespun::metrics m;
  const clock::duration uptime = machine_.cores.front()->now() - started_;
  for (const auto& c : machine_.cores) m.cores.push_back(read(*c, uptime));
  m.injection_depth = machine_.injected.size();
  const detail::helpers::load offload = machine_.pool.present_load();
  m.offload_threads = offload.threads;
  m.offload_queued = offload.queued;
  return m;
}

std::string to_prometheus(const metrics& m) {
  exposition to;
  to.family("corespun_core_info", "gauge", "What the core waits with; always 1.");
  for (std::size_t i = 0; i < m.cores.size(); ++i)
    to.sample(label_of(i) + "," + exposition::label("driver", m.cores[i].driver), 1);
  write_counters(to, m);
  write_lanes(to, m);
  write_turns(to, m);
  to.family("corespun_injection_tasks", "gauge", "Tasks in the queue that all cores share.");
  to.sample({}, m.injection_depth);
  to.family("corespun_offload_threads", "gauge", "Threads for blocking calls.");
  to.sample({}, m.offload_threads);
  to.family("corespun_offload_queued", "gauge", "Blocking calls that wait for a thread.");
  to.sample({}, m.offload_queued);
  return to.take();
}

}  // namespace corespun
