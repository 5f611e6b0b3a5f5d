// The word by which a manager and one worker agree on what was started: {claimed: 32, limit: 32}, sequence numbers of
// the tasks on that connection, wrap-safe. It lies in memory that both map.
//
// Who: one manager (Extend, Recall) and one worker (Claim), in two processes. Cost: one compare-and-swap, about 20 ns.
//
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

  // Manager: the last claimed sequence number now.
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

// By which a manager asks for an end that a worker in a synchronous loop cannot read from its socket. The frames say
// the same; this is only sooner.
class StopWord {
 public:
  // Manager. Relaxed in both: a hint, with no data behind it.
  void StopAll() noexcept { all_.store(1, std::memory_order_relaxed); }
  void Stop(std::uint32_t sequence) noexcept { sequence_.store(sequence, std::memory_order_relaxed); }

  // Worker: is the task with this number to stop? Numbers begin with 1.
  bool Requested(std::uint32_t sequence) const noexcept {
    return all_.load(std::memory_order_relaxed) != 0 || sequence_.load(std::memory_order_relaxed) == sequence;
  }

 private:
  std::atomic<std::uint32_t> all_{0};
  std::atomic<std::uint32_t> sequence_{0};
};

// The page that a manager shares with each local worker. Each word is alone on its cache line.
struct StatusPage {
  alignas(64) ClaimWord claim;
  alignas(64) StopWord stop;
};
static_assert(sizeof(StatusPage) == 128);

}  // namespace bosun
