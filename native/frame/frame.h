// The wire format: a frame is a 9-byte header (type u8, body length u64 little-endian) and the body.
//
// Who: pure functions and constants, any thread. Bodies of bosun's own workers begin with the fixed fields below;
// what follows them is a payload, which the manager never looks into.
#pragma once

#include <cstdint>
#include <cstring>

#include "frame/bytes.h"

namespace bosun {

inline constexpr std::size_t kHeaderBytes = 9;
inline constexpr std::uint64_t kDefaultMaxFrameBytes = 256ull << 20;
inline constexpr std::uint16_t kProtocolVersion = 1;

// Worker to manager. A type of kSchedule + p schedules a task at priority p.
inline constexpr std::uint8_t kHello = 'h';        // version u16, capabilities u16, pid u32
inline constexpr std::uint8_t kStartFailed = 'e';  // the worker could not be set up: an error
inline constexpr std::uint8_t kNext = 'n';         // the reference dialogue: idle, next please
inline constexpr std::uint8_t kDone = 't';         // sequence u32, status u8, run time in microseconds u32, payload
inline constexpr std::uint8_t kMessage = 'm';      // payload
inline constexpr std::uint8_t kSchedule = 0x80;    // number u32, time-out u32, deadline u32, retries u16, crashes u8,
                                                   // flags u8, parent u32, payload; times in ms
inline constexpr std::uint8_t kAwait = 'w';        // number u32: the result of that task is wanted
inline constexpr std::uint8_t kProgress = 'p';     // sequence u32, payload: how far that task has come

// Of a worker on another host only, by whoever started it there; and kClose, without a body: it wants to leave.
inline constexpr std::uint8_t kExit = 'q';  // how its process ended: a payload

// Manager to worker; kHello carries the worker's configuration.
inline constexpr std::uint8_t kTask = 't';       // sequence u32, attempt u16, flags u16, id u64, payload
inline constexpr std::uint8_t kAccepted = 'k';   // messages accepted so far, modulo 2^32: u32
inline constexpr std::uint8_t kScheduled = 's';  // the reference dialogue: the task is accepted
inline constexpr std::uint8_t kResult = 'r';     // of a scheduled task: number u32, worker u32, attempt u16, status u8,
                                                 // flags u8 (1: it ran on another host), payload

// Both ways, kProgress too. A worker names its own tasks by their sequence numbers, and those that it has scheduled by
// its numbers for them. To a worker: number u32, flags u8 (1: from another host), payload. From one: number u32,
// payload.
inline constexpr std::uint8_t kLetter = 'd';  // for that task
inline constexpr std::uint8_t kCancel =
    'x';  // sequence u32, reason u8; always answered by a kDone. From one: number u32
inline constexpr std::uint8_t kClose = 'c';  // mode u8: 0 when idle, 1 abort the signals of what runs

inline constexpr std::size_t kHelloFields = 8;
inline constexpr std::size_t kDoneFields = 9;
inline constexpr std::size_t kTaskFields = 16;
inline constexpr std::size_t kScheduleFields = 20;
inline constexpr std::size_t kNumberFields = 4;
inline constexpr std::size_t kLetterFields = 5;
inline constexpr std::size_t kResultFields = 12;
inline constexpr std::size_t kCancelFields = 5;

// Flags of a kTask: its bytes come from a listening socket, so they are to be read with care.
inline constexpr std::uint16_t kTaskForeign = 1;
// It may be begun in the place of a task that waits for another.
inline constexpr std::uint16_t kTaskForked = 2;

// A flag of a kSchedule, beside those of the slab: the task that schedules this one waits for its result.
inline constexpr std::uint8_t kScheduleAwaited = 2;

// What is finished waits for company behind tasks that are shorter than this, for kHeldUs at most.
inline constexpr std::uint32_t kBatchedRunUs = 250;
inline constexpr std::uint64_t kHeldUs = 800;

// How a scheduled task ended. The payload of kValue and kError is its worker's, that of kLost the owner's.
enum class ResultStatus : std::uint8_t {
  kValue = 0,
  kError = 1,
  kCancelled = 2,
  kLost = 3,
  kTimeout = 4,
  kDeadline = 5,
  kDeadlock = 6,  // it was not even tried: every place is taken by a task that waits
  kUnknown = 7,   // the task that scheduled it has ended, and its result went with that
};

enum class DoneStatus : std::uint8_t { kValue = 0, kError = 1, kCancelled = 2 };

// Unaligned little-endian access. Every platform that bosun is built for is little-endian.
template <class T>
inline T Load(const std::uint8_t* from) noexcept {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <class T>
inline std::uint8_t* Store(std::uint8_t* to, T value) noexcept {
  std::memcpy(to, &value, sizeof value);
  return to + sizeof value;
}

// Appends the header of a body of `length` bytes, and room for the first `here` of them, which the caller fills.
inline std::uint8_t* AppendHeader(Bytes& out, std::uint8_t type, std::uint64_t length, std::size_t here) noexcept {
  std::uint8_t* at = out.Extend(kHeaderBytes + here);
  at = Store(at, type);
  return Store(at, length);
}

// Appends a header and room for a body of `length` bytes, which the caller fills.
inline std::uint8_t* AppendFrame(Bytes& out, std::uint8_t type, std::uint64_t length) noexcept {
  return AppendHeader(out, type, length, length);
}

}  // namespace bosun
