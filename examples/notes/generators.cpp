// generators: a sequence that ends, one that does not and is taken lazily, and one that is made by
// a recursive walk.

#include <corespun/runtime/generator.hpp>

#include <cstdio>
#include <memory>
#include <ranges>
#include <string>

using namespace corespun;

generator<int> countdown(int from) {
  while (from > 0) co_yield from--;
}

/// "2112", two 1s and one 2, for "112".
std::string said(const std::string& digits) {
  std::string all;
  for (std::size_t begin = 0; begin < digits.size();) {
    const std::size_t other = digits.find_first_not_of(digits[begin], begin);
    const std::size_t end = other == digits.npos ? digits.size() : other;
    all += std::to_string(end - begin) + digits[begin];
    begin = end;
  }
  return all;
}

generator<std::string> look_and_say() {
  std::string digits = "1";
  while (true) {
    co_yield digits;
    digits = said(digits);
  }
}

struct node {
  int value;
  std::unique_ptr<node> left;
  std::unique_ptr<node> right;
};

void insert(std::unique_ptr<node>& into, int value) {
  if (into) return insert(value < into->value ? into->left : into->right, value);
  into = std::make_unique<node>();
  into->value = value;
}

generator<int> walk(const node* from) {
  if (from == nullptr) co_return;
  co_yield elements_of(walk(from->left.get()));
  co_yield from->value;
  co_yield elements_of(walk(from->right.get()));
}

int main() {
  for (const int n : countdown(5)) std::printf("%d ", n);
  std::printf("\n");

  for (const std::string& s : look_and_say() | std::views::take(6)) std::printf("%s ", s.c_str());
  std::printf("\n");

  std::unique_ptr<node> tree;
  for (const int value : {4, 2, 6, 1, 3, 5, 7}) insert(tree, value);
  for (const int value : walk(tree.get())) std::printf("%d ", value);
  std::printf("\n");
}
