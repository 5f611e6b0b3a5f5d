// A worker's end of the connection to its manager: tasks in, results out, both in batches, and the page that says which
// of the tasks are still the worker's.
//
// Who: one thread, that of the worker's event loop; a thread of its own sees to results that are held back (outlet.h).
// Cost per small task: two copies of its bytes, a compare-and-swap, a mutex and a clock; no system call.
// Not for: deciding when to flush. Who begins a task that may never return flushes before.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "frame/decoder.h"
#include "frame/frame.h"
#include "process/arrivals.h"
#include "process/outlet.h"
#include "process/shared_page.h"
#include "process/spin_rule.h"
#include "process/stream.h"

namespace bosun {

class WorkerLink {
 public:
  WorkerLink(Stream stream, SharedPage page) noexcept;
  WorkerLink(const WorkerLink&) = delete;
  WorkerLink& operator=(const WorkerLink&) = delete;

  Socket socket() const noexcept { return stream_.socket(); }
  bool is_in_memory() const noexcept { return stream_.is_in_memory(); }

  // To be called when the descriptor is readable, before Read.
  void Heed() noexcept { stream_.Heed(); }
  // To be called before the thread sleeps; false when there is something to read already.
  bool Sleep() noexcept { return ended_ || stream_.Rest(); }

  // Takes what has arrived, about a mebibyte at most; false when nothing has. The end of the stream counts as
  // something.
  bool Read() noexcept;

  // Polls for as long as the manager asks for, if that has paid lately; true when something arrived. To be called when
  // the thread would sleep otherwise. `answered` becomes false.
  bool Spin() noexcept;

  // A result was given since the last Spin.
  bool answered() const noexcept { return answered_; }

  // Nothing more will arrive: the manager is gone.
  bool ended() const noexcept { return ended_; }
  bool HasTasks() const noexcept { return !arrivals_.empty(); }

  // Frames that are no tasks, whole and in order; empty afterwards.
  bool HasControl() const noexcept { return !control_.empty(); }
  Bytes TakeControl() noexcept { return std::move(control_); }

  // The next task that has not been taken back becomes this worker's; false when there is none. `lane` is free, and
  // below StatusPage::kMaxLanes. `forked_only`: nothing else is begun in the place of a task that waits; the manager
  // takes back what is before.
  bool Begin(std::uint32_t lane, ArrivedTask& task, bool forked_only = false) noexcept;

  // The code of the task in this lane begins only now: how long it runs is counted from here.
  void Restart(std::uint32_t lane) noexcept;

  // The task in this lane is over. `tag` and `payload` are its result; -1: `payload` has its tag. Returns for how many
  // microseconds it ran. Flushes behind a task that was not short, and when much is held back.
  std::uint32_t Done(std::uint32_t lane, DoneStatus status, ByteSpan payload, int tag = -1) noexcept;

  // Any other frame. Stays until something flushes, or for a millisecond.
  void Send(std::uint8_t type, ByteSpan fields, ByteSpan payload) noexcept;

  // There is nothing to begin. Tells the manager if that is because it has taken tasks back, and flushes.
  bool Rest() noexcept;

  // Writes what the system takes; true when nothing is left.
  bool Flush() noexcept;
  bool FlushFully(int patience_ms) noexcept;

  // Frames that were given and not flushed; the thread that watches may have written them.
  std::uint32_t held() const noexcept { return held_; }
  // The last Flush left something: to be called again when there is room.
  bool blocked() const noexcept { return blocked_; }

  // Why the task in this lane is to stop.
  StopReason Stopped(std::uint32_t sequence, std::uint32_t lane) const noexcept;

  // The first answers leave early, so that the manager has something to do meanwhile; the more follow without a rest,
  // the more leave together.
  static constexpr std::uint32_t kFirstHeld = 16;
  // The page remembers the ends of a thousand tasks; what it forgets must have been sent.
  static constexpr std::uint32_t kMaxHeld = 512;
  static constexpr std::size_t kFlushBytes = 48 << 10;
  static_assert(kMaxHeld < EndRing::kPlaces);

 private:
  static constexpr std::size_t kBufferBytes = 256 << 10;
  // Behind a large task another one is likely: its header is enough, the rest goes to its own memory.
  static constexpr std::size_t kGlanceBytes = 16 << 10;
  static constexpr std::size_t kReadBytes = 1 << 20;
  static constexpr std::uint32_t kMaxSpinUs = 1000;

  bool Take(std::uint8_t type, ByteSpan body) noexcept;
  bool MustStay() const noexcept;
  std::size_t Append(std::uint8_t type, ByteSpan fields, ByteSpan payload, std::uint64_t now_us) noexcept;

  struct Lane {
    std::uint32_t sequence = 0;
    std::uint64_t started_us = 0;
  };

  Stream stream_;
  const SharedPage page_;
  // The manager has checked what it sends.
  FrameDecoder decoder_{~std::uint64_t{0}};
  const std::unique_ptr<std::uint8_t[]> buffer_;
  Arrivals arrivals_;
  Bytes control_;
  std::array<Lane, StatusPage::kMaxLanes> lanes_;
  SpinRule spin_rule_;
  std::uint32_t running_ = 0;
  std::uint32_t held_ = 0;
  std::uint32_t batch_ = kFirstHeld;
  std::uint64_t held_since_us_ = 0;  // while something is held
  bool refused_ = false;  // tasks were taken back since the manager was last told that there is nothing to begin
  bool answered_ = false;
  bool blocked_ = false;
  bool ended_ = false;
  bool expects_large_ = false;
  Outlet outlet_;
};

}  // namespace bosun
