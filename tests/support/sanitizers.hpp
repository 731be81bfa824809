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

// The thread sanitizer does not let a program bring its own operator new.
#if defined(__SANITIZE_THREAD__)
#define CORESPUN_TEST_OWN_NEW 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CORESPUN_TEST_OWN_NEW 0
#endif
#endif
#if !defined(CORESPUN_TEST_OWN_NEW)
#define CORESPUN_TEST_OWN_NEW 1
#endif

namespace corespun::test {

inline constexpr bool sanitized = CORESPUN_TEST_SANITIZED == 1;

}  // namespace corespun::test
