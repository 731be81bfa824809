// result, errc, explain: what the world can cause, as a value and as a text for people.

#include <corespun/runtime/result.hpp>

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <type_traits>

namespace corespun {
namespace {

constexpr errc all_codes[] = {errc::cancelled,     errc::timed_out,   errc::closed,
                              errc::end_of_stream, errc::bad_address, errc::not_supported,
                              errc::broken_promise};

TEST(errc, converts_to_an_error_code_of_our_category) {
  const std::error_code e = errc::closed;
  EXPECT_EQ(e.category(), corespun_category());
  EXPECT_STREQ(e.category().name(), "corespun");
  EXPECT_EQ(e, errc::closed);
  EXPECT_NE(e, errc::timed_out);
  EXPECT_TRUE(e) << "no code of ours is zero, which would mean success";
}

TEST(errc, each_code_has_a_text_of_its_own) {
  for (const errc a : all_codes) {
    const std::string text = make_error_code(a).message();
    EXPECT_EQ(text.find("unknown"), std::string::npos) << text;
    for (const errc b : all_codes) {
      EXPECT_EQ(text == make_error_code(b).message(), a == b) << text;
    }
  }
}

TEST(errc, a_number_that_is_no_code_says_so) {
  EXPECT_EQ(corespun_category().message(999), "unknown error 999");
}

TEST(errc, code_that_knows_only_the_standard_conditions_understands_ours) {
  EXPECT_TRUE(make_error_code(errc::cancelled) == std::errc::operation_canceled);
  EXPECT_TRUE(make_error_code(errc::timed_out) == std::errc::timed_out);
  EXPECT_TRUE(make_error_code(errc::bad_address) == std::errc::invalid_argument);
  EXPECT_TRUE(make_error_code(errc::not_supported) == std::errc::operation_not_supported);
  EXPECT_FALSE(make_error_code(errc::closed) == std::errc::timed_out);
}

TEST(result, carries_a_code_without_naming_its_type_twice) {
  const result<int> r = std::unexpected(errc::timed_out);
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error(), errc::timed_out);
}

TEST(result, a_deadline_on_a_result_adds_no_second_layer) {
  EXPECT_TRUE((std::is_same_v<detail::flat_result<int>, result<int>>));
  EXPECT_TRUE((std::is_same_v<detail::flat_result<result<int>>, result<int>>));
  EXPECT_TRUE((std::is_same_v<detail::flat_result<void>, result<>>));
}

TEST(explain, says_the_call_the_name_the_cause_and_what_to_try) {
  EXPECT_EQ(explain(system_error_code(EADDRINUSE), "bind 127.0.0.1:80"),
            "bind 127.0.0.1:80 failed: EADDRINUSE (Address already in use)\n"
            "  likely: another process listens on this address\n"
            "  now:    choose another port, or 0 for any free one");
}

TEST(explain, each_code_of_ours_comes_with_advice) {
  for (const errc e : all_codes) {
    const std::string text = explain(e, "call");
    EXPECT_EQ(text.find("call failed: " + make_error_code(e).message() + "\n  likely: "), 0u)
        << text;
    EXPECT_NE(text.find("\n  now:    "), std::string::npos) << text;
  }
}

TEST(explain, an_error_without_advice_still_has_its_name) {
  EXPECT_EQ(explain(system_error_code(EXDEV), "rename"),
            "rename failed: EXDEV (Invalid cross-device link)");
}

TEST(explain, a_number_that_is_no_errno_does_not_crash) {
  EXPECT_EQ(explain(system_error_code(99999), "call"), "call failed: Unknown error 99999");
}

// Equal numbers in different categories are different errors: ETIMEDOUT is not errc 110.
TEST(explain, gives_no_advice_to_categories_it_does_not_know) {
  const std::error_code same_number(EADDRINUSE, std::generic_category());
  EXPECT_EQ(explain(same_number, "bind").find("likely"), std::string::npos);
}

}  // namespace
}  // namespace corespun
