// selectors/export.hpp - what leaves the shared library. Everything else is hidden.
#pragma once

#if defined(_WIN32)
#if defined(SELECTORS_STATIC)
#define SELECTORS_API
#elif defined(SELECTORS_BUILDING)
#define SELECTORS_API __declspec(dllexport)
#else
#define SELECTORS_API __declspec(dllimport)
#endif
#else
#define SELECTORS_API __attribute__((visibility("default")))
#endif
