// What a worker has to say, on its way to the manager: frames in order, in batches, and no longer than a millisecond
// behind a thread that is busy with something else.
//
// Who: one thread appends and flushes; a thread of this object's own (the flusher) writes what that one has held back
// for too long. Cost of Append: an uncontended mutex and a copy, no system call; Watch is one load while the flusher is
// awake. The flusher sleeps without wake-ups while nothing is held back; else it wakes when the oldest frame is kHoldUs
// old, so at most once in that time.
// Large payloads are written from the caller's memory; only what the system does not take at once is copied.
// Not for: waiting for room. What is not taken stays; flush again when the stream
// has room.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "frame/bytes.h"
#include "process/stream.h"

namespace bosun {

class Outlet {
 public:
  // A payload of this size is worth a system call of its own.
  static constexpr std::size_t kLargePayload = 64 << 10;
  static constexpr std::uint64_t kHoldUs = 1000;

  // The stream outlives this object.
  explicit Outlet(Stream& stream) noexcept;
  Outlet(const Outlet&) = delete;
  Outlet& operator=(const Outlet&) = delete;
  ~Outlet();

  // Appends a frame whose body is the fields and the payload. Returns the bytes that are held back now.
  std::size_t Append(std::uint8_t type, ByteSpan fields, ByteSpan payload, std::uint64_t now_us) noexcept;

  // This thread goes on with something of unknown length: from here on the flusher sees to what is held back.
  void Watch() noexcept {
    // relaxed: the flusher fell asleep before the last Append took the mutex, or it has seen what that one appended.
    if (is_asleep_.load(std::memory_order_relaxed)) Wake();
  }

  // Writes as much as the system takes; true when nothing is left. What is, is the caller's to flush again when there
  // is room: the flusher leaves it alone until more is appended.
  bool Flush() noexcept;

  // Waits for room; gives up when there is none for so long. For a process that is about to end.
  bool FlushFully(int patience_ms) noexcept;

 private:
  static constexpr std::size_t kSpareBytes = 1 << 20;
  static constexpr std::uint64_t kMaxPauseUs = 64'000;

  // All of these with the mutex held.
  void Run() noexcept;
  bool Write() noexcept;
  std::size_t WriteBehindPending(ByteSpan payload) noexcept;
  void Advance(std::size_t written) noexcept;
  std::size_t pending() const noexcept { return bytes_.size() - head_; }

  void Wake() noexcept;

  Stream& stream_;
  std::mutex mutex_;
  std::condition_variable wake_;
  Bytes bytes_;
  std::size_t head_ = 0;              // what is before it has been written
  std::uint64_t held_since_us_ = 0;   // 0: nothing is the flusher's business
  std::uint64_t pause_us_ = kHoldUs;  // until the flusher tries again; longer when there was no room
  bool is_broken_ = false;            // the reader is gone
  bool is_stopping_ = false;
  std::atomic<bool> is_asleep_{false};  // written with the mutex held
  std::thread flusher_;
};

}  // namespace bosun
