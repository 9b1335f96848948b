#pragma once

/// INTAGLIO_SANITIZED is defined where a sanitizer brings a heap of its own, which stays as it is: g++ and clang say it differently.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define INTAGLIO_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define INTAGLIO_SANITIZED
#endif
#endif
