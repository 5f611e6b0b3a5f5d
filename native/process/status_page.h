// The memory by which a manager and one worker agree on what was started, what has ended and what is to stop.
//
// Who: one manager and one worker, in two processes that map it. Cost: a claim is one compare-and-swap, about 20 ns;
// all else are plain loads and stores.
//
// The claim word is {claimed: 32, limit: 32}, sequence numbers of the tasks on that connection, wrap-safe.
// A worker claims a task before it runs it. A manager that takes back what is unclaimed moves *both* halves to the
// limit: the frames that the worker still has in its buffers are then behind `claimed`, and later ones continue above.
// (Lowering the limit to `claimed` would let a stale frame be claimed again as soon as the limit is raised.)
//
// A worker can write anything into its page, so a manager clamps what it reads to what it sent.
#pragma once

#include <atomic>
#include <cstdint>

namespace bosun {

class ClaimWord {
 public:
  // Worker: the right to run task `sequence`; false when it was taken back.
  bool Claim(std::uint32_t sequence) noexcept {
    // acquire: pairs with the release in Extend and Recall, so that the limit that we see was meant for this frame.
    std::uint64_t word = word_.load(std::memory_order_acquire);
    for (;;) {
      if (Claimed(word) != sequence - 1) return false;
      if (static_cast<std::int32_t>(Limit(word) - sequence) < 0) return false;
      // release on success: what this worker did before is visible to a manager that reads the claim.
      if (word_.compare_exchange_weak(word, Pack(sequence, Limit(word)), std::memory_order_acq_rel,
                                      std::memory_order_acquire)) {
        return true;
      }
    }
  }

  // Manager: tasks up to `limit` may be claimed. To be called before their frames are sent.
  void Extend(std::uint32_t limit) noexcept {
    std::uint64_t word = word_.load(std::memory_order_relaxed);
    // release: pairs with the acquire in Claim.
    while (!word_.compare_exchange_weak(word, Pack(Claimed(word), limit), std::memory_order_acq_rel,
                                        std::memory_order_relaxed)) {
    }
  }

  // Manager: takes back everything up to `sent` that is not claimed; returns the last claimed sequence number.
  std::uint32_t Recall(std::uint32_t sent) noexcept {
    std::uint64_t word = word_.load(std::memory_order_relaxed);
    // acq_rel: acquire pairs with the release in Claim, release with the acquire there.
    while (!word_.compare_exchange_weak(word, Pack(sent, sent), std::memory_order_acq_rel, std::memory_order_relaxed)) {
    }
    return Claimed(word);
  }

  // Worker: a frame with this number can never be claimed, or has been.
  bool IsPast(std::uint32_t sequence) const noexcept { return static_cast<std::int32_t>(sequence - claimed()) <= 0; }

  // The last claimed sequence number now.
  std::uint32_t claimed() const noexcept {
    // acquire: pairs with the release in Claim.
    return Claimed(word_.load(std::memory_order_acquire));
  }

 private:
  static constexpr std::uint32_t Claimed(std::uint64_t word) noexcept { return static_cast<std::uint32_t>(word >> 32); }
  static constexpr std::uint32_t Limit(std::uint64_t word) noexcept { return static_cast<std::uint32_t>(word); }
  static constexpr std::uint64_t Pack(std::uint32_t claimed, std::uint32_t limit) noexcept {
    return (static_cast<std::uint64_t>(claimed) << 32) | limit;
  }

  std::atomic<std::uint64_t> word_{0};
  static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "the word is shared between processes");
};

// Why a task is to stop. The frames say the same; the page is only sooner, and reaches a synchronous loop.
enum class StopReason : std::uint8_t { kNone = 0, kCancelled = 1, kTimeout = 2, kClosing = 3 };

// One of the places in which a worker runs tasks: as many as it runs at once.
class RunLane {
 public:
  // Worker: before it claims `sequence` for this lane, so that whoever sees the claim finds the lane.
  void Begin(std::uint32_t sequence, std::uint64_t now_us) noexcept {
    // relaxed: the next store publishes.
    started_us_.store(now_us, std::memory_order_relaxed);
    // release: pairs with the acquire in sequence(); the task that was here before is marked as ended.
    sequence_.store(sequence, std::memory_order_release);
  }
  // Worker: it is over, and marked as ended before this, or was not claimed. Numbers begin with 1.
  void End() noexcept {
    sequence_.store(0, std::memory_order_release);  // release: as in Begin.
  }

  // Manager: what runs here; to be read behind ClaimWord::claimed, whose acquire makes it the claimed one, and before
  // EndRing::Has.
  std::uint32_t sequence() const noexcept {
    return sequence_.load(std::memory_order_acquire);  // acquire: pairs with the release in Begin and End.
  }
  std::uint64_t started_us() const noexcept { return started_us_.load(std::memory_order_relaxed); }

  // Manager. Relaxed, as its reader: a hint, with no data behind it.
  void Stop(std::uint32_t sequence, StopReason reason) noexcept {
    stop_.store(static_cast<std::uint64_t>(reason) << 32 | sequence, std::memory_order_relaxed);
  }
  // Worker.
  StopReason Stopped(std::uint32_t sequence) const noexcept {
    const std::uint64_t stop = stop_.load(std::memory_order_relaxed);
    if (static_cast<std::uint32_t>(stop) != sequence) return StopReason::kNone;
    return static_cast<StopReason>(stop >> 32);
  }

 private:
  std::atomic<std::uint32_t> sequence_{0};
  std::atomic<std::uint64_t> started_us_{0};
  std::atomic<std::uint64_t> stop_{0};
};

// Which of the claimed tasks have ended, whether or not their results were sent: a ring of their sequence numbers. A
// worker that holds fewer results back than the ring has places is never misread.
class EndRing {
 public:
  static constexpr std::uint32_t kPlaces = 1024;

  // Worker.
  void Ended(std::uint32_t sequence) noexcept {
    // release: pairs with the acquire in Has; what the task did comes before.
    places_[sequence % kPlaces].store(sequence, std::memory_order_release);
  }
  // Manager.
  bool Has(std::uint32_t sequence) const noexcept {
    return places_[sequence % kPlaces].load(std::memory_order_acquire) == sequence;  // acquire: as above.
  }

 private:
  std::atomic<std::uint32_t> places_[kPlaces];
};

// The page that a manager shares with each local worker. The words that both write are alone on their cache lines.
struct StatusPage {
  // Tasks at once, those included that wait for others; lib/runtime/forks.ts has the same.
  static constexpr std::uint32_t kMaxLanes = 2048;

  alignas(64) ClaimWord claim;
  alignas(64) std::atomic<std::uint32_t> closing;  // every task is to stop
  // For how long a worker that has just answered polls its socket before it sleeps; 0: not at all. Written by the
  // manager; relaxed: a hint, with no data behind it.
  alignas(64) std::atomic<std::uint32_t> spin_us;
  alignas(64) RunLane lanes[kMaxLanes];
  alignas(64) EndRing ended;

  // Manager: the lane in which a claimed task runs, or null when it has ended or its worker lies.
  RunLane* LaneOf(std::uint32_t sequence, std::uint32_t lanes_in_use) noexcept {
    for (std::uint32_t i = 0; i < lanes_in_use && i < kMaxLanes; ++i) {
      if (lanes[i].sequence() == sequence) return &lanes[i];
    }
    return nullptr;
  }
};

}  // namespace bosun
