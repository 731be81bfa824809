#include <corespun/runtime/generator.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <memory_resource>
#include <ranges>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/sanitizers.hpp"

namespace corespun::test {
namespace {

static_assert(std::ranges::input_range<generator<int>>);
static_assert(std::ranges::view<generator<int>>);
static_assert(!std::ranges::forward_range<generator<int>>);
static_assert(!std::copy_constructible<generator<int>>);
static_assert(std::same_as<std::ranges::range_reference_t<generator<int>>, int&&>);
static_assert(std::same_as<std::ranges::range_reference_t<generator<const std::string&>>,
                           const std::string&>);
static_assert(std::same_as<std::ranges::range_value_t<generator<const std::string&>>, std::string>);

template <typename G>
auto all_of(G&& g) {
  std::vector<std::ranges::range_value_t<G>> all;
  for (auto&& e : g) all.emplace_back(std::forward<decltype(e)>(e));
  return all;
}

generator<int> countdown(int from) {
  while (from > 0) co_yield from--;
}

TEST(generator, is_a_range) {
  EXPECT_EQ(all_of(countdown(3)), (std::vector<int>{3, 2, 1}));
  EXPECT_EQ(all_of(countdown(0)), std::vector<int>{});
}

generator<std::string> look_and_say() {
  std::string term = "1";
  while (true) {
    co_yield term;
    std::string next;
    for (std::size_t i = 0; i < term.size();) {
      const std::size_t end = std::min(term.find_first_not_of(term[i], i), term.size());
      next += std::to_string(end - i) + term[i];
      i = end;
    }
    term = std::move(next);
  }
}

TEST(generator, views_compose_and_take_no_more_than_asked_for) {
  auto terms = look_and_say() | std::views::drop(1) | std::views::take(4);
  EXPECT_EQ(all_of(terms), (std::vector<std::string>{"11", "21", "1211", "111221"}));
}

TEST(generator, runs_nothing_before_it_is_asked) {
  int steps = 0;
  auto body = [&steps]() -> generator<int> {
    ++steps;
    co_yield 1;
    ++steps;
  };
  auto g = body();
  EXPECT_EQ(steps, 0);
  EXPECT_EQ(*g.next(), 1);
  EXPECT_EQ(steps, 1);
  EXPECT_EQ(g.next(), nullptr);
  EXPECT_EQ(steps, 2);
  EXPECT_EQ(g.next(), nullptr);
  EXPECT_EQ(g.begin(), g.end());
}

TEST(generator, a_loop_continues_where_the_one_before_has_stopped) {
  auto g = countdown(5);
  EXPECT_EQ(*g.next(), 5);
  for (const int n : g) {
    if (n == 3) break;
  }
  EXPECT_EQ(all_of(g), (std::vector<int>{2, 1}));
}

TEST(generator, its_iterator_may_be_moved_and_goes_on_by_both_increments) {
  auto g = countdown(3);
  auto other = countdown(9);
  auto at = other.begin();
  at = g.begin();
  EXPECT_EQ(*at, 3);
  at++;
  EXPECT_EQ(*at, 2);
}

struct uncopied {
  int value;
  explicit uncopied(int v) : value(v) {}
  uncopied(const uncopied&) = delete;
  uncopied& operator=(const uncopied&) = delete;
};

generator<const uncopied&> references(const uncopied& one) {
  co_yield one;
  const uncopied two(2);
  co_yield two;
}

TEST(generator, yields_references_without_copies) {
  const uncopied one(1);
  auto g = references(one);
  EXPECT_EQ(g.next(), &one);
  EXPECT_EQ(g.next()->value, 2);
}

generator<int&> slots(std::vector<int>& all) {
  for (int& i : all) co_yield i;
}

TEST(generator, of_mutable_references_changes_what_they_refer_to) {
  std::vector<int> all{1, 2, 3};
  for (int& i : slots(all)) i *= 10;
  EXPECT_EQ(all, (std::vector<int>{10, 20, 30}));
}

generator<std::unique_ptr<int>> boxes() {
  co_yield std::make_unique<int>(1);
  auto two = std::make_unique<int>(2);
  co_yield std::move(two);
}

TEST(generator, elements_may_be_move_only) {
  auto g = boxes();
  const std::unique_ptr<int> one = std::move(*g.next());
  const std::unique_ptr<int> two = std::move(*g.next());
  EXPECT_EQ(*one + *two, 3);
}

generator<std::string> twice_the_same() {
  const std::string kept = "a text that is too long to lie in the string";
  co_yield kept;
  co_yield kept;
}

TEST(generator, what_is_taken_from_a_yielded_constant_leaves_it_as_it_was) {
  auto g = twice_the_same();
  const std::string one = std::move(*g.next());
  EXPECT_EQ(std::move(*g.next()), one);
}

generator<std::pair<int&, const char&>, std::pair<int, char>> zipped(std::vector<int>& numbers,
                                                                     const std::string& letters) {
  for (std::size_t i = 0; i < numbers.size(); ++i)
    co_yield std::pair<int&, const char&>(numbers[i], letters[i]);
}

TEST(generator, yields_proxies) {
  std::vector<int> numbers{1, 2};
  std::string seen;
  for (auto [number, letter] : zipped(numbers, "ab")) {
    number += 10;
    seen += letter;
  }
  EXPECT_EQ(numbers, (std::vector<int>{11, 12}));
  EXPECT_EQ(seen, "ab");
}

// --- elements_of ---

struct tree {
  int value;
  std::unique_ptr<tree> left;
  std::unique_ptr<tree> right;
};

std::unique_ptr<tree> tree_of(int first, int last) {
  if (first > last) return nullptr;
  const int middle = first + (last - first) / 2;
  return std::make_unique<tree>(
      tree{middle, tree_of(first, middle - 1), tree_of(middle + 1, last)});
}

generator<int> in_order(const tree* t) {
  if (t == nullptr) co_return;
  co_yield elements_of(in_order(t->left.get()));
  co_yield t->value;
  co_yield elements_of(in_order(t->right.get()));
}

TEST(generator, walks_a_tree_by_recursion) {
  const auto root = tree_of(1, 100);
  std::vector<int> expected(100);
  for (int i = 0; i < 100; ++i) expected[static_cast<unsigned>(i)] = i + 1;
  EXPECT_EQ(all_of(in_order(root.get())), expected);
}

std::vector<int> letters() { return {'a', 'b'}; }

generator<int> letters_then_numbers(const std::vector<int>& numbers) {
  co_yield elements_of(letters());
  co_yield elements_of(numbers);
  auto rest = countdown(3);
  (void)rest.next();
  co_yield elements_of(std::move(rest));
  co_yield elements_of(countdown(0));
  co_yield elements_of(std::views::iota(7, 9));
}

TEST(generator, yields_the_elements_of_any_range_and_of_begun_generators) {
  EXPECT_EQ(all_of(letters_then_numbers({1, 2})), (std::vector<int>{'a', 'b', 1, 2, 2, 1, 7, 8}));
}

/// The compiler knows nothing about this one.
[[gnu::noinline]] bool has_no_elements(generator<int>& g) {
  return g.begin() == g.end() && g.next() == nullptr;
}

TEST(generator, that_was_moved_from_has_no_elements) {
  auto g = countdown(3);
  auto moved = std::move(g);
  EXPECT_TRUE(has_no_elements(g));  // NOLINT: moved from
  EXPECT_EQ(*moved.next(), 3);
}

TEST(generator, that_has_ended_has_no_elements) {
  auto g = countdown(1);
  (void)all_of(g);
  EXPECT_TRUE(has_no_elements(g));
}

generator<int> all_elements_of(generator<int>& inner) { co_yield elements_of(inner); }

TEST(generator, one_that_was_yielded_has_no_elements_left) {
  auto inner = countdown(2);
  EXPECT_EQ(all_of(all_elements_of(inner)), (std::vector<int>{2, 1}));
  EXPECT_TRUE(has_no_elements(inner));
  EXPECT_EQ(all_of(all_elements_of(inner)), std::vector<int>{});
}

TEST(generator, one_that_has_ended_may_be_yielded) {
  auto ended = countdown(1);
  (void)all_of(ended);
  EXPECT_EQ(all_of(all_elements_of(ended)), std::vector<int>{});
}

generator<int> fives_around(int depth) {
  co_yield 5;
  if (depth > 0) co_yield elements_of(fives_around(depth - 1));
  co_yield 5 + depth;
}

TEST(generator, one_that_has_begun_and_nests_may_be_yielded) {
  auto inner = fives_around(2);
  for (int i = 0; i < 3; ++i) (void)inner.next();
  EXPECT_EQ(all_of(all_elements_of(inner)), (std::vector<int>{5, 6, 7}));
}

generator<int> nested(int depth, bool throws) {
  if (depth > 0) co_yield elements_of(nested(depth - 1, throws));
  if (depth == 0 && throws) throw std::runtime_error("bottom");
  co_yield depth;
}

TEST(generator, nests_a_million_deep) {
  constexpr int depth = 1'000'000;
  long sum = 0;
  for (const int i : nested(depth, false)) sum += i;
  EXPECT_EQ(sum, depth * (depth + 1L) / 2);
  auto half_way = nested(depth, false);
  EXPECT_EQ(*half_way.next(), 0);
  auto throws = nested(sanitized ? 1000 : 100'000, true);  // an exception takes its time at each
  EXPECT_THROW((void)throws.next(), std::runtime_error);
  EXPECT_EQ(throws.next(), nullptr);
}

/// How often coroutines are resumed for an element does not grow with the depth.
generator<int> counts_resumes(int depth, int& resumed) {
  if (depth > 0) {
    co_yield elements_of(counts_resumes(depth - 1, resumed));
    ++resumed;
  } else {
    for (int i = 0; i < 100; ++i) {
      co_yield i;
      ++resumed;
    }
  }
}

TEST(generator, an_element_resumes_only_the_innermost) {
  int resumed = 0;
  auto g = counts_resumes(50, resumed);
  for (int i = 0; i < 100; ++i) (void)g.next();
  EXPECT_EQ(resumed, 99);
  EXPECT_EQ(g.next(), nullptr);
  EXPECT_EQ(resumed, 100 + 50);
}

generator<int> catches_from_inside() {
  int caught = 0;
  try {
    co_yield elements_of(nested(3, true));
  } catch (const std::runtime_error&) {
    caught = 1;
  }
  co_yield caught;
}

TEST(generator, an_exception_goes_through_elements_of) {
  EXPECT_EQ(all_of(catches_from_inside()), std::vector<int>{1});
}

generator<int> throws_after(int elements) {
  for (int i = 0; i < elements; ++i) co_yield i;
  throw std::runtime_error("out of elements");
}

TEST(generator, an_exception_reaches_who_asks_and_ends_it) {
  auto g = throws_after(1);
  auto at = g.begin();
  EXPECT_EQ(*at, 0);
  EXPECT_THROW(++at, std::runtime_error);
  EXPECT_EQ(at, g.end());
  EXPECT_EQ(g.next(), nullptr);
  auto at_once = throws_after(0);
  EXPECT_THROW((void)at_once.begin(), std::runtime_error);
}

struct marks {
  std::string& log;
  char mark;
  marks(std::string& l, char m) : log(l), mark(m) {}
  marks(const marks&) = delete;
  marks& operator=(const marks&) = delete;
  ~marks() { log += mark; }
};

generator<int> never_returns(std::string& log) {
  const marks local(log, 'x');
  for (int i = 0;; ++i) {
    if (i == 1) throw std::runtime_error("one");
    co_yield i;
  }
}

TEST(generator, that_never_returns_and_throws_destroys_its_locals_once) {
  std::string log;
  {
    auto g = never_returns(log);
    (void)g.next();
    EXPECT_THROW((void)g.next(), std::runtime_error);
    EXPECT_EQ(log, "x");
  }
  EXPECT_EQ(log, "x");
}

generator<int> marked(std::string& log, char name, int depth) {
  const marks here(log, name);
  if (depth > 0) co_yield elements_of(marked(log, static_cast<char>(name + 1), depth - 1));
  co_yield 1;
}

TEST(generator, destroyed_half_way_ends_from_the_innermost_outwards) {
  std::string log;
  {
    auto g = marked(log, 'a', 2);
    (void)g.next();
    EXPECT_EQ(log, "");
  }
  EXPECT_EQ(log, "cba");
  log.clear();
  {
    auto g = marked(log, 'a', 2);
    (void)g.next();
    (void)g.next();
    EXPECT_EQ(log, "c");
  }
  EXPECT_EQ(log, "cba");
  log.clear();
  {
    auto never_asked = marked(log, 'a', 2);
  }
  EXPECT_EQ(log, "");
}

generator<const int> constants() {
  co_yield 1;
  co_yield 2;
}

TEST(generator, elements_may_be_constant) {
  auto g = constants();
  EXPECT_EQ(*g.next() + *g.next(), 3);
}

generator<int> moves_itself(generator<int>*& self, generator<int>& there) {
  there = std::move(*self);
  co_yield 1;
}
generator<int> nothing() { co_return; }

TEST(generator, its_body_may_move_it) {
  generator<int>* self = nullptr;
  auto there = nothing();
  auto g = moves_itself(self, there);
  self = &g;
  EXPECT_EQ(*g.next(), 1);
  EXPECT_EQ(there.next(), nullptr);
}

generator<int> yields_itself(generator<int>*& self) { co_yield elements_of(*self); }

TEST(generator_death, put_inside_of_itself_says_so) {
  generator<int>* self = nullptr;
  auto g = yields_itself(self);
  self = &g;
  EXPECT_DEATH((void)g.next(), "inside of itself");
}

TEST(generator_death, put_inside_of_what_it_holds_says_so) {
  auto around = [](generator<int>*& self) -> generator<int> {
    co_yield elements_of(all_elements_of(*self));
  };
  generator<int>* self = nullptr;
  auto g = around(self);
  self = &g;
  EXPECT_DEATH((void)g.next(), "inside of itself");
}

// --- allocators ---

struct counting : std::pmr::memory_resource {
  int blocks = 0;
  int ever = 0;

 private:
  void* do_allocate(std::size_t bytes, std::size_t align) override {
    ++blocks;
    ++ever;
    return std::pmr::new_delete_resource()->allocate(bytes, align);
  }
  void do_deallocate(void* memory, std::size_t bytes, std::size_t align) override {
    --blocks;
    std::pmr::new_delete_resource()->deallocate(memory, bytes, align);
  }
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }
};

using pmr_generator = generator<int, void, std::pmr::polymorphic_allocator<>>;

pmr_generator up_to(std::allocator_arg_t, std::pmr::polymorphic_allocator<>, int last) {
  for (int i = 0; i <= last; ++i) co_yield i;
}

struct has_a_member {
  int last;
  pmr_generator elements(std::allocator_arg_t, std::pmr::polymorphic_allocator<>) {
    for (int i = 0; i <= last; ++i) co_yield i;
  }
};

TEST(generator, takes_its_frame_from_the_allocator_it_is_given) {
  counting memory;
  {
    std::vector<pmr_generator> kept;  // so that the compiler cannot do without the memory
    kept.push_back(up_to(std::allocator_arg, &memory, 2));
    EXPECT_EQ(memory.blocks, 1);
    EXPECT_EQ(all_of(kept.back()), (std::vector<int>{0, 1, 2}));
    has_a_member m(1);
    kept.push_back(m.elements(std::allocator_arg, &memory));
    EXPECT_EQ(all_of(kept.back()), (std::vector<int>{0, 1}));
  }
  EXPECT_EQ(memory.ever, 2);
  EXPECT_EQ(memory.blocks, 0);
}

/// How many counted_allocators there are, and what they have given.
struct allocators {
  int alive = 0;
  int blocks = 0;
  int ever = 0;
};
allocators counts;

template <typename T>
struct counted_allocator {
  using value_type = T;

  counted_allocator() { ++counts.alive; }
  counted_allocator(const counted_allocator&) { ++counts.alive; }
  template <typename U>
  explicit counted_allocator(const counted_allocator<U>&) {
    ++counts.alive;
  }
  counted_allocator& operator=(const counted_allocator&) = default;
  ~counted_allocator() { --counts.alive; }
  T* allocate(std::size_t n) {
    ++counts.blocks;
    ++counts.ever;
    return std::allocator<T>().allocate(n);
  }
  void deallocate(T* memory, std::size_t n) {
    --counts.blocks;
    std::allocator<T>().deallocate(memory, n);
  }
};

generator<int, void, counted_allocator<int>> by_default(int last) {
  for (int i = 0; i <= last; ++i) co_yield i;
}

TEST(generator, makes_the_allocator_it_is_not_given_and_ends_it_with_the_frame) {
  counts = {};
  {
    std::vector<generator<int, void, counted_allocator<int>>> kept;
    kept.push_back(by_default(2));
    EXPECT_EQ(all_of(kept.back()), (std::vector<int>{0, 1, 2}));
    EXPECT_EQ(counts.blocks, 1);
    EXPECT_EQ(counts.alive, 1);
  }
  EXPECT_EQ(counts.ever, 1);
  EXPECT_EQ(counts.blocks, 0);
  EXPECT_EQ(counts.alive, 0);
}

}  // namespace
}  // namespace corespun::test
