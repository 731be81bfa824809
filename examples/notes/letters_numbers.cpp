// letters_numbers: letters, then numbers: by hand, and by two ranges whose elements the generator
// yields as its own. They are asked one by one, or collected.

#include <corespun/runtime/generator.hpp>

#include <cstdio>
#include <ranges>
#include <string>
#include <string_view>

using namespace corespun;

generator<char> by_hand() {
  for (const char letter : std::string_view("AB")) co_yield letter;
  for (char number = '1'; number <= '2'; ++number) co_yield number;
}

generator<char> by_elements_of() {
  co_yield elements_of(std::string_view("AB"));
  co_yield elements_of(std::views::iota('1', '3'));
}

int main() {
  auto one_by_one = by_hand();
  while (const char* c = one_by_one.next()) std::printf("%c\n", *c);

  auto rest = by_elements_of();
  std::printf("first %c\n", *rest.next());
  std::string collected;
  for (const char c : rest) collected += c;
  std::printf("then %s\n", collected.c_str());
}
