// Attempts of tasks at one fake worker, and a clock that the test moves.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "dispatch_harness.h"

namespace bosun::test {

inline constexpr std::uint64_t kMs = 1000;
inline constexpr std::uint64_t kStart = 1'000'000'000;
inline constexpr std::uint64_t kGraceUs = 5'000 * kMs;
inline constexpr std::uint64_t kMomentUs = 100 * kMs;

inline DispatcherOptions Options(std::uint32_t prefetch = 1, std::uint32_t concurrency = 1) {
  return {.prefetch = prefetch, .concurrency = concurrency, .grace_us = kGraceUs};
}

inline Submission Retries(std::uint16_t max_retries, std::uint32_t timeout_ms = 0, std::uint8_t max_crashes = 0) {
  return {.max_crashes = max_crashes, .max_retries = max_retries, .timeout_ms = timeout_ms};
}

// The one task that the worker was sent, claimed.
inline Task Begin(Dispatcher& d, FakeWorker& w, std::uint64_t now_us) {
  Turn(d, {&w});
  const std::vector<Task> tasks = w.Tasks();
  CHECK_EQ(tasks.size(), 1u);
  CHECK(w.Claim(tasks[0], 0, now_us));
  CheckSums(d);
  return tasks[0];
}

inline Fault Finish(FakeWorker& w, const Task& task, DoneStatus status = DoneStatus::kValue,
                    std::string_view result = "") {
  w.End(task);
  return w.Done(task.sequence, status, 5000, result);
}

// The record of the task that is held, without the others.
inline Record HeldOf(Dispatcher& d) {
  for (const Read& read : ReadAll(d.completions())) {
    const RecordKind kind = read.record.kind;
    if (kind == RecordKind::kLost || kind == RecordKind::kLostResult || kind == RecordKind::kRetry) return read.record;
  }
  return {};
}

}  // namespace bosun::test
