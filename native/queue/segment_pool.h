// Where the segments of Fifos come from and where they go.
//
// What: an allocator with a small cache, shared by the levels of one PriorityQueue.
// Who: any thread, at any time; only the destructor needs to be alone.
// Cost: nothing for each item. For each 1024 items: one take, one retire, one read of every slot.
// Memory: kCached segments are kept, the others go back to the allocator at once. A segment in which a thread is still
//   between two steps is parked and looked at again when the next one is retired, so a thread that has stopped in the
//   middle of an operation holds one segment back, never those behind it.
// When not: small objects of other kinds; this is no general allocator.
// No memory ends the program: a task that was accepted must not be dropped without a word.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

#include "queue/segment.h"
#include "queue/traits.h"

namespace bosun {

template <typename Traits>
class BasicSegmentPool {
 public:
  using Segment = BasicSegment<Traits>;

  BasicSegmentPool() noexcept = default;
  BasicSegmentPool(const BasicSegmentPool&) = delete;
  BasicSegmentPool& operator=(const BasicSegmentPool&) = delete;

  ~BasicSegmentPool() {
    for (auto& cell : cache_) {
      // relaxed: the destructor is alone.
      Free(cell.load(std::memory_order_relaxed));
    }
    for (Segment* segment = parked_.load(std::memory_order_relaxed); segment != nullptr;) {  // relaxed: as above
      Segment* const next = segment->listed;
      Free(segment);
      segment = next;
    }
  }

  // A segment that is empty and belongs to the caller.
  Segment* Take() noexcept {
    for (auto& cell : cache_) {
      // relaxed: a guess, the exchange decides.
      if (cell.load(std::memory_order_relaxed) == nullptr) {
        continue;
      }
      // acquire: pairs with the release in Give, so that Reset comes after the last access of the former owner.
      if (Segment* const segment = cell.exchange(nullptr, std::memory_order_acquire)) {
        segment->Reset();
        return segment;
      }
    }
    Segment* const segment = new (std::nothrow) Segment;
    if (segment == nullptr) {
      std::abort();
    }
    allocated_.fetch_add(1, std::memory_order_relaxed);
    segment->Reset();
    return segment;
  }

  // Takes back a segment that the caller owns alone.
  void Give(Segment* segment) noexcept {
    for (auto& cell : cache_) {
      Segment* none = nullptr;
      // release: pairs with the acquire in Take. relaxed: a taken cell tells nothing.
      if (cell.load(std::memory_order_relaxed) == nullptr &&
          cell.compare_exchange_strong(none, segment, std::memory_order_release, std::memory_order_relaxed)) {
        return;
      }
    }
    Free(segment);
  }

  // Takes back a segment that both ends of its Fifo have left; single slots may still be in use.
  void Retire(Segment* segment) noexcept {
    // relaxed: a guess, the exchange decides. acquire: pairs with the release in Park; taking the whole list leaves no
    // room for ABA, and its segments are the caller's alone.
    Segment* parked = parked_.load(std::memory_order_relaxed) == nullptr
                          ? nullptr
                          : parked_.exchange(nullptr, std::memory_order_acquire);
    segment->listed = parked;
    for (Segment* next; segment != nullptr; segment = next) {
      next = segment->listed;
      if (segment->AllDone()) {
        Give(segment);
      } else {
        Park(segment);
      }
    }
  }

  // Segments that exist, cached and parked ones included. Exact when no other thread is active.
  std::size_t allocated() const noexcept { return allocated_.load(std::memory_order_relaxed); }

  static constexpr std::size_t kCached = 8;

 private:
  void Park(Segment* segment) noexcept {
    // relaxed: the exchange below decides.
    Segment* first = parked_.load(std::memory_order_relaxed);
    do {
      segment->listed = first;
      // release: pairs with the acquire in Retire, for `listed` and `done_before`. relaxed: retried.
    } while (!parked_.compare_exchange_weak(first, segment, std::memory_order_release, std::memory_order_relaxed));
  }

  void Free(Segment* segment) noexcept {
    if (segment != nullptr) {
      allocated_.fetch_sub(1, std::memory_order_relaxed);
      delete segment;
    }
  }

  std::array<std::atomic<Segment*>, kCached> cache_{};
  std::atomic<Segment*> parked_{nullptr};
  std::atomic<std::size_t> allocated_{0};
};

using SegmentPool = BasicSegmentPool<QueueTraits>;

}  // namespace bosun
