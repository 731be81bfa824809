// metrics: what is counted is what was done, and the text is what Prometheus can read.

#include <corespun/runtime/detail/frame.hpp>
#include <corespun/runtime/event.hpp>
#include <corespun/runtime/metrics.hpp>
#include <corespun/runtime/offload.hpp>
#include <corespun/runtime/runtime.hpp>
#include <corespun/runtime/scope.hpp>
#include <corespun/runtime/sleep.hpp>
#include <corespun/runtime/this_core.hpp>
#include <corespun/runtime/when.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <cmath>
#include <latch>
#include <limits>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/run.hpp"
#include "tests/support/sanitizers.hpp"
#include "tests/support/tasks.hpp"
#include "tests/support/virtual_time.hpp"

namespace corespun {
namespace {

using namespace std::chrono_literals;

/// Runs fn(runtime&), a task, as main.
template <typename Fn>
void run_with(runtime& rt, Fn fn) {
  auto body = [&] { return fn(rt); };
  EXPECT_TRUE(rt.run([&body] { return test::watched(body); }).has_value());
}

task<> yields(int times) {
  for (int i = 0; i < times; ++i) co_await yield();
}

// --- what is counted ---

TEST(metrics, count_each_time_that_a_task_is_resumed) {
  runtime rt(test::cores(1));
  run_with(rt, [](runtime& here) -> task<> {
    const std::uint64_t before = here.metrics().cores[0].tasks_run;
    for (int i = 0; i < 100; ++i) co_await yield();
    EXPECT_EQ(here.metrics().cores[0].tasks_run - before, 100u);
  });
}

TEST(metrics, count_the_tasks_of_scopes_and_the_branches_of_groups) {
  runtime rt(test::cores(1));
  run_with(rt, [](runtime& here) -> task<> {
    const core_metrics before = here.metrics().cores[0];
    co_await with_scope([](scope& s) -> task<> {
      for (int i = 0; i < 10; ++i) (void)s.spawn(yields, 5);
      co_return;
    });
    auto both = when_all(yields(1), yields(1), yields(1));
    (void)co_await std::move(both);
    const core_metrics after = here.metrics().cores[0];
    EXPECT_EQ(after.spawned - before.spawned, 10u);
    EXPECT_EQ(after.forked - before.forked, 3u);
    // each task at its start and after its yields, and main after the scope; of the group, the
    // first branch begins as a call and the last one to end continues main
    const std::uint64_t resumed = after.tasks_run - before.tasks_run;
    EXPECT_EQ(resumed, 10u * (1 + 5) + 1 + 2 * (1 + 1) + 1);
  });
}

TEST(metrics, tell_what_is_ready_in_the_lanes_and_beside_them) {
  runtime_options options = test::cores(1);
  options.affinity = affinity::any;
  runtime rt(options);
  static constexpr std::size_t tasks = 1000;
  static constexpr std::size_t fork_room = detail::fork_lane::capacity;
  static constexpr std::size_t woken_room = detail::ready_lane::capacity;
  run_with(rt, [](runtime& here) -> task<> {
    event gate;
    co_await with_scope([&](scope& s) -> task<> {
      const auto wait = [&gate]() -> task<> { co_await gate.wait(); };
      for (std::size_t i = 0; i < tasks; ++i) (void)s.spawn(wait);
      const core_metrics spawned = here.metrics().cores[0];
      EXPECT_EQ(spawned.ready_forks, tasks);
      EXPECT_EQ(spawned.overflowed, tasks - fork_room);
      while (here.metrics().cores[0].ready_forks != 0) co_await yield();
      gate.open();
      const core_metrics woken = here.metrics().cores[0];
      EXPECT_EQ(woken.ready_woken, tasks);
      EXPECT_EQ(woken.overflowed - spawned.overflowed, tasks - woken_room);
    });
    const core_metrics empty = here.metrics().cores[0];
    EXPECT_EQ(empty.ready_forks, 0u);
    EXPECT_EQ(empty.ready_woken, 0u);
  });
}

TEST(metrics, tell_what_is_ready_and_stays_on_its_core) {
  runtime rt(test::cores(2));
  run_with(rt, [](runtime& here) -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      for (int i = 0; i < 10; ++i) (void)s.spawn(yields, 0);
      const metrics spawned = here.metrics();
      EXPECT_EQ(spawned.cores[0].ready_bound, 10u);
      EXPECT_EQ(spawned.cores[0].ready_forks, 0u);
      EXPECT_EQ(spawned.cores[1].ready_bound, 0u);
      co_return;
    });
    EXPECT_EQ(here.metrics().cores[0].ready_bound, 0u);
  });
}

TEST(metrics, tell_what_other_threads_have_injected_and_count_it_when_it_is_taken) {
  if (test::on_sim()) GTEST_SKIP() << "there are no other threads";
  runtime_options options = test::cores(1);
  options.affinity = affinity::any;
  runtime rt(options);
  run_with(rt, [](runtime& here) -> task<> {
    event gate;
    co_await with_scope([&](scope& s) -> task<> {
      const auto wait = [&gate]() -> task<> { co_await gate.wait(); };
      for (int i = 0; i < 10; ++i) (void)s.spawn(wait);
      while (here.metrics().cores[0].ready_forks != 0) co_await yield();
      std::thread([&gate] { gate.open(); }).join();
      EXPECT_EQ(here.metrics().injection_depth, 10u);
      EXPECT_EQ(here.metrics().cores[0].injected, 1u) << "main alone";
    });
    EXPECT_EQ(here.metrics().injection_depth, 0u);
    EXPECT_EQ(here.metrics().cores[0].injected, 11u);
  });
}

TEST(metrics, tell_the_threads_for_blocking_calls_and_the_calls_that_wait_for_one) {
  if (test::on_sim()) GTEST_SKIP() << "there are no helper threads";
  runtime_options options = test::cores(1);
  options.offload_threads = 2;
  runtime rt(options);
  run_with(rt, [](runtime& here) -> task<> {
    EXPECT_EQ(here.metrics().offload_threads, 0u);
    std::latch go(1);
    std::atomic<int> begun{0};
    const auto blocks = [&] {
      ++begun;
      go.wait();
    };
    co_await with_scope([&](scope& s) -> task<> {
      const auto call = [&blocks]() -> task<> { co_await offload(blocks); };
      for (int i = 0; i < 5; ++i) (void)s.spawn(call);
      while (begun < 2) co_await yield();
      EXPECT_EQ(here.metrics().offload_threads, 2u);
      EXPECT_EQ(here.metrics().offload_queued, 3u);
      go.count_down();
    });
    EXPECT_EQ(here.metrics().offload_queued, 0u);
  });
}

TEST(metrics, count_as_stolen_what_another_core_has_taken) {
  runtime rt(test::eager(test::cores(2)));
  run_with(rt, [](runtime& here) -> task<> {
    std::atomic<bool> moved{false};
    co_await with_scope([&](scope& s) -> task<> {
      const unsigned spawned_on = this_core::index();
      auto until_one_moves = [&, spawned_on]() -> task<> {
        while (!moved) {
          if (this_core::index() != spawned_on) moved = true;
          co_await yield();
        }
      };
      for (int i = 0; i < 8; ++i) (void)s.spawn(until_one_moves);
      co_return;
    });
    const metrics m = here.metrics();
    EXPECT_GT(m.cores[0].stolen + m.cores[1].stolen, 0u);
    EXPECT_EQ(m.cores[0].overflowed + m.cores[1].overflowed, 0u) << "else it may not be a theft";
  });
}

TEST(metrics, count_nothing_as_stolen_on_one_core) {
  runtime_options options = test::cores(1);
  options.affinity = affinity::any;
  runtime rt(options);
  run_with(rt, [](runtime& here) -> task<> {
    co_await with_scope([](scope& s) -> task<> {
      for (int i = 0; i < 50; ++i) (void)s.spawn(yields, 20);
      co_return;
    });
    EXPECT_EQ(here.metrics().cores[0].stolen, 0u);
    EXPECT_EQ(here.metrics().cores[0].wakes, 0u);
  });
}

TEST(metrics, count_mail_where_it_arrives) {
  runtime rt(test::cores(2));
  run_with(rt, [](runtime& here) -> task<> {
    const metrics before = here.metrics();
    co_await with_scope([](scope& s) -> task<> {
      for (int i = 0; i < 20; ++i) (void)s.spawn_on(1, yields, 0);
      co_return;
    });
    const metrics after = here.metrics();
    EXPECT_EQ(after.cores[1].mail - before.cores[1].mail, 20u);
    EXPECT_EQ(after.cores[0].spawned - before.cores[0].spawned, 20u);
    EXPECT_EQ(after.cores[1].spawned, before.cores[1].spawned);
  });
}

TEST(metrics, count_sleeps_and_the_wakes_that_end_them) {
  if (test::on_sim()) GTEST_SKIP() << "who sleeps when is chance there";
  runtime rt(test::cores(2));
  const auto sleeps = [&rt](std::size_t core) {  // as soon as it has nothing to do
    std::uint64_t round = 0;
    while (rt.metrics().cores[core].parked == 0 && ++round < 1'000'000'000U)
      std::this_thread::yield();
    return rt.metrics().cores[core].parked > 0;
  };
  ASSERT_TRUE(sleeps(1));
  run_with(rt, [](runtime& here) -> task<> {
    while (here.metrics().cores[0].wakes == 0) {
      co_await with_scope([](scope& s) -> task<> {
        (void)s.spawn_on(1, yields, 0);
        co_return;
      });
    }
  });
  EXPECT_TRUE(sleeps(0));
}

// --- time ---

constexpr std::size_t last_class = detail::turn_classes - 1;

/// How many turns of each length there were while a task computed for `d`.
std::array<std::uint64_t, detail::turn_classes> turns_while_computing(clock::duration d) {
  test::virtual_time time;
  std::array<std::uint64_t, detail::turn_classes> turns{};
  runtime rt(time.options());
  run_with(rt, [&](runtime& here) -> task<> {
    co_await sleep_for(1ms);
    const core_metrics before = here.metrics().cores[0];
    time.pass(d);
    co_await sleep_for(1ms);
    const core_metrics after = here.metrics().cores[0];
    EXPECT_EQ(after.busy - before.busy, d);
    for (std::size_t i = 0; i < turns.size(); ++i)
      turns[i] = after.turns_by_length[i] - before.turns_by_length[i];
  });
  return turns;
}

TEST(metrics, sort_turns_by_their_length_into_powers_of_two) {
  const auto is_in = [](clock::duration d, std::size_t expected) {
    const auto turns = turns_while_computing(d);
    for (std::size_t i = 1; i < turns.size(); ++i)
      EXPECT_EQ(turns[i], i == expected ? 1U : 0U) << d.count() << " ns, class " << i;
  };
  is_in(1us, 0);
  is_in(1001ns, 1);
  is_in(2us, 1);
  is_in(2001ns, 2);
  is_in(4us, 2);
  is_in(100us, 7);
  is_in(1h, last_class);
}

TEST(metrics, call_a_core_busy_only_while_it_does_not_sleep) {
  test::virtual_time time;
  runtime rt(time.options());
  run_with(rt, [&](runtime& here) -> task<> {
    time.pass(1s);
    co_await sleep_for(3s);
    EXPECT_EQ(here.metrics().cores[0].busy, 1s);
    EXPECT_DOUBLE_EQ(here.metrics().cores[0].busy_share, 0.25);
  });
}

TEST(metrics, have_one_length_for_each_turn_that_has_ended) {
  runtime rt(test::cores(1));
  run_with(rt, [](runtime& here) -> task<> {
    for (int i = 0; i < 1000; ++i) co_await yield();
    co_await sleep_for(1ms);
    const core_metrics m = here.metrics().cores[0];
    const auto ended = std::accumulate(m.turns_by_length.begin(), m.turns_by_length.end(), 0ULL);
    EXPECT_EQ(ended + 1, m.turns) << "all but the present one";
    EXPECT_GE(m.turns, m.parked);
    EXPECT_GT(m.parked, 0u);
  });
}

TEST(metrics, can_be_read_while_the_cores_work_and_only_grow) {
  if (test::on_sim()) GTEST_SKIP() << "there are no other threads";
  runtime_options options = test::cores(2);
  options.affinity = affinity::any;
  runtime rt(options);
  std::atomic<bool> over{false};
  std::thread reader([&] {
    metrics before = rt.metrics();
    while (!over) {
      metrics after = rt.metrics();
      for (std::size_t i = 0; i < after.cores.size(); ++i) {
        EXPECT_GE(after.cores[i].tasks_run, before.cores[i].tasks_run);
        EXPECT_GE(after.cores[i].busy, before.cores[i].busy);
        EXPECT_LE(after.cores[i].busy_share, 1.0);
      }
      before = std::move(after);
    }
  });
  run_with(rt, [](runtime&) -> task<> {
    for (int i = 0; i < 50; ++i) {
      co_await with_scope([](scope& s) -> task<> {
        for (int t = 0; t < 100; ++t) (void)s.spawn(yields, 3);
        co_return;
      });
    }
  });
  over = true;
  reader.join();
}

// --- the text ---

struct sample {
  std::string name;
  std::map<std::string, std::string> labels;
  double value = 0;
};

/// What a page says, and what is wrong with its form (the format's specification, version 0.0.4).
class page {
 public:
  explicit page(std::string_view text) {
    if (text.empty() || text.back() != '\n') wrong("the last line does not end");
    while (!text.empty()) {
      const std::size_t end = std::min(text.find('\n'), text.size() - 1);
      line_ = text.substr(0, end);
      text.remove_prefix(end + 1);
      read_line();
    }
    check_histograms();
  }

  [[nodiscard]] const std::vector<std::string>& errors() const { return errors_; }
  [[nodiscard]] const std::map<std::string, std::string>& types() const { return types_; }
  [[nodiscard]] const std::vector<sample>& samples() const { return samples_; }
  /// nullopt: there is none.
  [[nodiscard]] std::optional<double> value(
      const std::string& name, const std::map<std::string, std::string>& labels) const {
    for (const sample& s : samples_) {
      if (s.name == name && s.labels == labels) return s.value;
    }
    return std::nullopt;
  }

 private:
  void wrong(std::string_view why) {
    errors_.push_back(std::string(why) + ": " + std::string(line_));
  }
  static bool is_name(std::string_view s) {
    return !s.empty() && (s[0] < '0' || s[0] > '9') &&
           s.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") ==
               std::string_view::npos;
  }
  static std::optional<double> number(std::string_view s) {
    double value = 0;
    if (s == "+Inf") return std::numeric_limits<double>::infinity();
    const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), value);
    if (error != std::errc() || end != s.data() + s.size()) return std::nullopt;
    return value;
  }

  void read_line() {
    if (line_.starts_with("# HELP ")) {
      const std::string_view rest = line_.substr(7);
      const std::string name(rest.substr(0, rest.find(' ')));
      if (rest.size() <= name.size() + 1) wrong("no help");
      if (!helped_.insert(name).second) wrong("helped twice");
      family_.clear();
    } else if (line_.starts_with("# TYPE ")) {
      const std::string_view rest = line_.substr(7);
      family_ = rest.substr(0, rest.find(' '));
      const std::string type(rest.substr(std::min(rest.size(), family_.size() + 1)));
      if (!std::set<std::string>{"counter", "gauge", "histogram"}.contains(type))
        wrong("unknown type");
      if (!helped_.contains(family_)) wrong("no help before the type");
      if (!types_.emplace(family_, type).second) wrong("a family in two parts");
      if ((type == "counter") != family_.ends_with("_total")) wrong("a counter is named _total");
    } else {
      read_sample();
    }
  }

  void read_sample() {
    sample s;
    std::size_t at = line_.find_first_of("{ ");
    if (at == std::string_view::npos) return wrong("no value");
    s.name = line_.substr(0, at);
    if (!is_name(s.name)) wrong("not a name");
    if (line_[at] == '{' && !read_labels(s, ++at)) return wrong("labels");
    if (at >= line_.size() || line_[at] != ' ') return wrong("no blank before the value");
    const std::optional<double> value = number(line_.substr(at + 1));
    if (!value) return wrong("not a number");
    s.value = *value;
    if (!belongs(s.name)) wrong("not of the family " + family_);
    if (!seen_.insert({s.name, s.labels}).second) wrong("twice");
    samples_.push_back(std::move(s));
  }

  /// From behind the opening brace to behind the closing one.
  bool read_labels(sample& s, std::size_t& at) {
    while (at < line_.size() && line_[at] != '}') {
      const std::size_t equals = line_.find("=\"", at);
      if (equals == std::string_view::npos) return false;
      const std::string name(line_.substr(at, equals - at));
      if (!is_name(name)) return false;
      std::string value;
      for (at = equals + 2; at < line_.size() && line_[at] != '"'; ++at) {
        char c = line_[at];
        if (c == '\\') {
          if (++at >= line_.size()) return false;
          c = line_[at];
          if (c != '\\' && c != '"' && c != 'n') return false;
          if (c == 'n') c = '\n';
        }
        value += c;
      }
      if (at >= line_.size() || !s.labels.emplace(name, value).second) return false;
      if (++at < line_.size() && line_[at] == ',') ++at;
    }
    return at++ < line_.size();
  }

  [[nodiscard]] bool belongs(const std::string& name) const {
    const auto type = types_.find(family_);
    if (family_.empty() || type == types_.end()) return false;
    if (type->second != "histogram") return name == family_;
    return name == family_ + "_bucket" || name == family_ + "_sum" || name == family_ + "_count";
  }

  void check_histograms() {
    for (const auto& [family, type] : types_) {
      if (type != "histogram") continue;
      std::map<std::string, std::pair<double, double>> last;  // by core: le and value
      for (const sample& s : samples_) {
        if (s.name != family + "_bucket") continue;
        const double le = number(s.labels.at("le")).value_or(-1);
        auto& [before_le, before] = last.try_emplace(s.labels.at("core"), -1, 0).first->second;
        if (le <= before_le || s.value < before) errors_.push_back(family + ": buckets go down");
        before_le = le;
        before = s.value;
      }
      for (const auto& [core, top] : last) {
        if (!std::isinf(top.first)) errors_.push_back(family + ": no bucket for all");
        if (value(family + "_count", {{"core", core}}) != top.second)
          errors_.push_back(family + ": the count is not that of the last bucket");
        if (!value(family + "_sum", {{"core", core}})) errors_.push_back(family + ": no sum");
      }
    }
  }

  std::string_view line_;
  std::string family_;
  std::set<std::string> helped_;
  std::map<std::string, std::string> types_;
  std::set<std::pair<std::string, std::map<std::string, std::string>>> seen_;
  std::vector<sample> samples_;
  std::vector<std::string> errors_;
};

TEST(the_checker_of_pages, finds_what_is_wrong) {
  const auto is_wrong = [](const char* text) { return !page(text).errors().empty(); };
  EXPECT_FALSE(is_wrong("# HELP a_total b c\n# TYPE a_total counter\na_total{x=\"\\\\\"} 1\n"));
  EXPECT_TRUE(is_wrong("# HELP a_total b\n# TYPE a_total counter\na_total 1"));
  EXPECT_TRUE(is_wrong("# HELP a b\n# TYPE a counter\na 1\n"));
  EXPECT_TRUE(is_wrong("# TYPE a gauge\na 1\n"));
  EXPECT_TRUE(is_wrong("# HELP a b\n# TYPE a gauge\nc 1\n"));
  EXPECT_TRUE(is_wrong("# HELP a b\n# TYPE a gauge\na 1,5\n"));
  EXPECT_TRUE(is_wrong("# HELP a b\n# TYPE a gauge\na 1\na 1\n"));
  EXPECT_TRUE(is_wrong("# HELP a b\n# TYPE a gauge\na{x=\"\"\"} 1\n"));
  EXPECT_TRUE(is_wrong("# HELP a b\n# TYPE a gauge\na{x=\"1} 1\n"));
  const std::string h = "# HELP h b\n# TYPE h histogram\nh_bucket{core=\"0\",le=\"1\"} 2\n";
  const auto ends_with = [&](const char* all, const char* count) {
    return h + "h_bucket{core=\"0\",le=\"+Inf\"} " + all +
           "\nh_sum{core=\"0\"} 1\nh_count{core=\"0\"} " + count + "\n";
  };
  EXPECT_FALSE(is_wrong(ends_with("2", "2").c_str()));
  EXPECT_TRUE(is_wrong(ends_with("1", "1").c_str()));
  EXPECT_TRUE(is_wrong(ends_with("2", "3").c_str()));
  EXPECT_TRUE(is_wrong((h + "h_sum{core=\"0\"} 1\nh_count{core=\"0\"} 2\n").c_str()));
}

TEST(to_prometheus, writes_a_page_without_errors_that_says_what_the_metrics_say) {
  runtime rt(test::cores(2));
  run_with(rt, [](runtime& here) -> task<> {
    for (int i = 0; i < 200; ++i) co_await yield();
    co_await sleep_for(1ms);
    const metrics m = here.metrics();
    const page p(to_prometheus(m));
    for (const std::string& e : p.errors()) ADD_FAILURE() << e;
    for (std::size_t i = 0; i < 2; ++i) {
      const std::map<std::string, std::string> core{{"core", std::to_string(i)}};
      const core_metrics& c = m.cores[i];
      EXPECT_EQ(p.value("corespun_tasks_run_total", core), static_cast<double>(c.tasks_run));
      EXPECT_EQ(p.value("corespun_turns_total", core), static_cast<double>(c.turns));
      EXPECT_EQ(p.value("corespun_parks_total", core), static_cast<double>(c.parked));
      EXPECT_EQ(p.value("corespun_turn_seconds_sum", core),
                std::chrono::duration<double>(c.busy).count());
      EXPECT_EQ(p.value("corespun_busy_ratio", core), c.busy_share);
    }
    EXPECT_EQ(p.value("corespun_offload_threads", {}), 0.0);
    EXPECT_EQ(p.value("corespun_injection_tasks", {}), 0.0);
    const std::size_t first_bucket = 1;
    EXPECT_EQ(p.value("corespun_turn_seconds_bucket", {{"core", "0"}, {"le", "1e-06"}}),
              static_cast<double>(m.cores[0].turns_by_length[first_bucket - 1]));
  });
}

TEST(metrics, count_frames_that_no_free_block_served) {
  if (test::sanitized) GTEST_SKIP() << "there are no lists of free blocks";
  detail::release_free_frames();  // of cores that were played on this thread
  runtime here(test::cores(1));
  EXPECT_TRUE(here.run([&]() -> task<> {
                    const auto allocated = [&] { return here.metrics().cores[0].allocated; };
                    const std::uint64_t none = allocated();
                    constexpr std::size_t many =
                        100;  // a few blocks may be free from what began here
                    std::vector<task<>> frames;
                    while (frames.size() < many) frames.push_back(test::yield_once());
                    const std::uint64_t first = allocated();
                    EXPECT_GT(first - none, many / 2);
                    frames.clear();
                    while (frames.size() < many) frames.push_back(test::yield_once());
                    EXPECT_EQ(allocated(), first);
                    co_return;
                  })
                  .has_value());
}

TEST(to_prometheus, gives_each_value_its_own_name) {
  metrics m;
  core_metrics& c = m.cores.emplace_back();
  c.turns = 1;
  c.tasks_run = 2;
  c.spawned = 3;
  c.forked = 4;
  c.stolen = 5;
  c.overflowed = 6;
  c.injected = 7;
  c.allocated = 8;
  c.parked = 9;
  c.wakes = 10;
  c.mail = 11;
  c.ready_forks = 12;
  c.ready_woken = 13;
  c.ready_bound = 14;
  m.injection_depth = 15;
  m.offload_threads = 16;
  m.offload_queued = 17;
  const page p(to_prometheus(m));
  for (const std::string& e : p.errors()) ADD_FAILURE() << e;
  double expected = 1;
  for (const char* name :
       {"turns", "tasks_run", "tasks_spawned", "tasks_forked", "tasks_stolen", "tasks_overflowed",
        "tasks_injected", "frames_allocated", "parks", "wakes", "mail"}) {
    EXPECT_EQ(p.value("corespun_" + std::string(name) + "_total", {{"core", "0"}}), expected++)
        << name;
  }
  for (const char* lane : {"forks", "woken", "bound"})
    EXPECT_EQ(p.value("corespun_ready_tasks", {{"core", "0"}, {"lane", lane}}), expected++) << lane;
  for (const char* name : {"injection_tasks", "offload_threads", "offload_queued"})
    EXPECT_EQ(p.value("corespun_" + std::string(name), {}), expected++) << name;
}

TEST(to_prometheus, escapes_what_a_label_must_not_contain) {
  metrics m;
  m.cores.emplace_back().driver = "a\"b\\c\nd";
  const page p(to_prometheus(m));
  for (const std::string& e : p.errors()) ADD_FAILURE() << e;
  EXPECT_EQ(p.value("corespun_core_info", {{"core", "0"}, {"driver", "a\"b\\c\nd"}}), 1.0);
}

}  // namespace
}  // namespace corespun
