// What the sanitizers are told.

/// The queue of the injection orders by fences, which the thread sanitizer does not understand;
/// what goes through it is published by edge Q6.
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() { return "race:moodycamel::\n"; }
