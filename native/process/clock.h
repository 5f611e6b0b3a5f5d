// The clock that a manager and its local workers have in common: microseconds, monotonic, the same in every process of
// this machine.
#pragma once

#if defined(_WIN32)
#include "process/windows.h"
#else
#include <time.h>
#endif

#include <cstdint>

namespace bosun {

#if !defined(_WIN32)

inline std::uint64_t NowUs() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(now.tv_nsec) / 1000;
}

#endif

}  // namespace bosun
