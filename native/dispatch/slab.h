// Task slots: the queued tasks of one manager, outside the V8 heap, addressed by 32-bit indices.
//
// Who: Allocate and Free from any thread; a slot's fields belong to whoever holds its index, which passes from the
// submitter through the queue to the dispatcher. Cost: a compare-and-swap each. Memory: 64 bytes a slot in chunks that
// are kept until the slab goes; payloads are separate and go with their task.
// Source of the free list: Treiber, "Systems programming: coping with parallelism", 1986, with a tag against ABA.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "frame/bytes.h"
#include "frame/shared_bytes.h"

namespace bosun {

inline constexpr std::uint32_t kNoSlot = 0xFFFFFFFF;
inline constexpr std::uint32_t kNoTicket = 0xFFFFFFFF;

enum class SlotStatus : std::uint8_t {
  kFree,
  kQueued,     // its index is in the queue, or in a returned stack
  kSent,       // in flight on a connection
  kHeld,       // an attempt failed; the owner has yet to say how it goes on
  kDelayed,    // it waits for the time of its next attempt
  kCancelled,  // a tombstone in the queue: the task is settled, its index has yet to be popped
};

// What the owner asked for with a task.
inline constexpr std::uint8_t kFlagInboxErrors = 1;    // a failure goes to the inbox too
inline constexpr std::uint8_t kFlagRetryLost = 8;      // when its worker dies
inline constexpr std::uint8_t kFlagRetryError = 16;    // when it throws
inline constexpr std::uint8_t kFlagRetryTimeout = 32;  // when it takes too long
inline constexpr std::uint8_t kOwnersFlags = kFlagInboxErrors | kFlagRetryLost | kFlagRetryError | kFlagRetryTimeout;
// What became of it meanwhile.
inline constexpr std::uint8_t kFlagStopAsked = 2;  // its worker was told to stop it
inline constexpr std::uint8_t kFlagForeign = 4;    // its bytes come from a listening socket
inline constexpr std::uint8_t kFlagTimedOut = 64;  // it was told to stop because it took too long
inline constexpr std::uint8_t kFlagCounted = 128;  // the time that it waited is in the histogram

struct alignas(64) TaskSlot {
  std::uint64_t id = 0;
  std::uint64_t since_us = 0;  // accepted then, or returned for another attempt
  void* data = nullptr;        // the payload; of a long one, what SharedBytes::Detach gave
  std::uint32_t size = 0;
  std::uint32_t ticket = kNoTicket;  // the owner's number for it; of a child, its place among the forks
  std::uint32_t order = 0;           // of submission, modulo 2^32
  std::uint32_t timeout_ms = 0;      // of one run; 0 is none
  std::uint32_t connection = 0;      // while sent; while held, the number of the worker that ran it
  std::uint32_t sequence = 0;        // while sent
  std::atomic<std::uint32_t> next_free{kNoSlot};
  std::uint16_t attempt = 0;  // that is under way, or comes next; the first is 1
  std::uint16_t max_retries = 0;
  std::atomic<SlotStatus> status{SlotStatus::kFree};
  std::uint8_t level = 0;
  std::uint8_t flags = 0;
  std::uint8_t crashes = 0;  // workers that died while they ran it
  std::uint8_t max_crashes = 0;
  std::uint8_t entries = 0;  // in the queue, and the stacks before it; all but one are stale
  bool is_child = false;     // a worker may ask for its result, see forks.h
  bool is_forked = false;    // a task waits for it: it goes before its level, the last one first

  TaskSlot() = default;
  TaskSlot(const TaskSlot&) = delete;
  TaskSlot& operator=(const TaskSlot&) = delete;
  ~TaskSlot() { ReleasePayload(); }

  bool Has(std::uint8_t flag) const noexcept { return (flags & flag) != 0; }
  // The ticket is the owner's.
  bool IsOwned() const noexcept { return ticket != kNoTicket && !is_child; }
  // Long payloads are shared with the sockets that they are written to, all others are copied there.
  static constexpr std::size_t kLong = 32 << 10;

  bool IsLong() const noexcept { return size >= kLong; }
  ByteSpan payload() const noexcept {
    return IsLong() ? SharedBytes::Peek(data) : ByteSpan{static_cast<const std::uint8_t*>(data), size};
  }

  // Exactly as long as it is: a million of them wait.
  void SetPayload(ByteSpan payload) noexcept {
    if (payload.empty()) return;
    size = static_cast<std::uint32_t>(payload.size());
    if (IsLong()) {
      data = SharedBytes(Bytes(payload), 0).Detach();
      return;
    }
    data = std::malloc(payload.size());
    if (data == nullptr) std::abort();
    std::memcpy(data, payload.data(), payload.size());
  }

  // Of a long one.
  SharedBytes SharePayload() const noexcept { return SharedBytes::Share(data); }

  void ReleasePayload() noexcept {
    if (IsLong()) {
      SharedBytes::Attach(data);
    } else {
      std::free(data);
    }
    data = nullptr;
    size = 0;
  }
};

static_assert(sizeof(TaskSlot) == 64);

class Slab {
 public:
  Slab() = default;
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;
  ~Slab() {
    for (std::atomic<TaskSlot*>& chunk : chunks_) delete[] chunk.load(std::memory_order_relaxed);
  }

  TaskSlot& operator[](std::uint32_t index) noexcept {
    // acquire: pairs with the release in Grow; the index may have come from another thread.
    return chunks_[index / kChunk].load(std::memory_order_acquire)[index % kChunk];
  }

  // True for an index that some slot has; it may come from outside.
  bool Has(std::uint32_t index) const noexcept {
    // acquire: pairs with the release in Grow.
    return index / kChunk < kChunks && chunks_[index / kChunk].load(std::memory_order_acquire) != nullptr;
  }

  // kNoSlot when all of them (67 million) are in use.
  std::uint32_t Allocate() noexcept {
    // acquire: pairs with the release in Free, so that next_free is the one that was stored with this head.
    std::uint64_t head = free_.load(std::memory_order_acquire);
    for (;;) {
      const std::uint32_t index = static_cast<std::uint32_t>(head);
      if (index == kNoSlot) {
        if (!Grow()) return kNoSlot;
        head = free_.load(std::memory_order_acquire);  // acquire: as above.
        continue;
      }
      const std::uint32_t next = (*this)[index].next_free.load(std::memory_order_relaxed);
      // acq_rel: joins the release sequence of Free. The tag in the upper half changes with every Free.
      if (free_.compare_exchange_weak(head, (head & kTagMask) | next, std::memory_order_acq_rel,
                                      std::memory_order_acquire)) {
        return index;
      }
    }
  }

  void Free(std::uint32_t index) noexcept {
    TaskSlot& slot = (*this)[index];
    slot.ReleasePayload();
    slot.ticket = kNoTicket;
    slot.is_child = slot.is_forked = false;
    slot.status.store(SlotStatus::kFree, std::memory_order_relaxed);
    PushFree(index, index);
  }

 private:
  static constexpr std::uint32_t kChunk = 4096;
  static constexpr std::uint32_t kChunks = 1 << 14;
  static constexpr std::uint64_t kTagStep = 1ull << 32;
  static constexpr std::uint64_t kTagMask = ~0xFFFFFFFFull;

  // Puts the chain first..last, linked by next_free, on the free list.
  void PushFree(std::uint32_t first, std::uint32_t last) noexcept {
    TaskSlot& end = (*this)[last];
    std::uint64_t head = free_.load(std::memory_order_relaxed);
    std::uint64_t desired;
    do {
      end.next_free.store(static_cast<std::uint32_t>(head), std::memory_order_relaxed);
      desired = ((head & kTagMask) + kTagStep) | first;
      // release: pairs with the acquire in Allocate.
    } while (!free_.compare_exchange_weak(head, desired, std::memory_order_release, std::memory_order_relaxed));
  }

  bool Grow() noexcept {
    const std::uint32_t number = chunk_count_.fetch_add(1, std::memory_order_relaxed);
    if (number >= kChunks) {
      chunk_count_.store(kChunks, std::memory_order_relaxed);
      return false;
    }
    TaskSlot* chunk = new (std::nothrow) TaskSlot[kChunk];
    if (chunk == nullptr) std::abort();
    const std::uint32_t base = number * kChunk;
    for (std::uint32_t i = 0; i + 1 < kChunk; ++i) chunk[i].next_free.store(base + i + 1, std::memory_order_relaxed);
    // release: pairs with the acquire in operator[].
    chunks_[number].store(chunk, std::memory_order_release);
    PushFree(base, base + kChunk - 1);
    return true;
  }

  std::atomic<std::uint64_t> free_{kNoSlot};
  std::atomic<std::uint32_t> chunk_count_{0};
  std::atomic<TaskSlot*> chunks_[kChunks] = {};
};

}  // namespace bosun
