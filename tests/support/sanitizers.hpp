#pragma once
// Whether the tests run under a sanitizer. It then owns operator new and the address space, and the
// memory of coroutine frames is not pooled.

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CORESPUN_TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CORESPUN_TEST_SANITIZED 1
#endif
#endif
#if !defined(CORESPUN_TEST_SANITIZED)
#define CORESPUN_TEST_SANITIZED 0
#endif

namespace corespun::test {

inline constexpr bool sanitized = CORESPUN_TEST_SANITIZED == 1;

}  // namespace corespun::test
