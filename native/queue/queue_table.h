// QueueTable: the process-wide table of PriorityQueues, addressed by numbers that JavaScript can hold.
//
// What: Open makes a queue and gives a handle, Acquire turns a handle into a Pin, Close ends the queue. The queue lives
//   until it is closed and the last Pin has gone.
// Who: any thread, any environment, at any time. The table is allocated once and never freed, because threads of other
//   environments may be inside it while ours ends.
// Cost: Acquire and the end of a Pin are one compare-exchange loop each: hold a Pin, do not take one for each item.
// When not: a queue that only one object knows; make it a member.
//
// A handle is {generation: 42 bits, index: 10 bits}, below 2^52, so exact as a double, and never 0. An entry moves its
// generation on when it is closed and freed; one that has used up its generations is not used again. So a stale handle
// finds nothing, never another queue.
//
//     free {gen, 0} --Open--> open {gen, 1 + pins} --Close--> closed {gen, pins} --last Pin--> free {gen + 1, 0}
#pragma once

#include <atomic>
#include <cassert>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <utility>

#include "queue/priority_queue.h"

namespace bosun {

using QueueHandle = std::uint64_t;

class QueueTable {
 private:
  struct Entry;

 public:
  static constexpr std::uint32_t kMaxQueues = 1024;

  // Keeps a queue alive. False when the handle was stale.
  class Pin {
   public:
    Pin() noexcept = default;
    Pin(Pin&& other) noexcept : entry_(std::exchange(other.entry_, nullptr)) {}
    Pin(const Pin&) = delete;
    Pin& operator=(const Pin&) = delete;
    Pin& operator=(Pin&&) = delete;
    ~Pin() {
      if (entry_ != nullptr) {
        Unpin(*entry_);
      }
    }

    explicit operator bool() const noexcept { return entry_ != nullptr; }
    PriorityQueue* operator->() const noexcept { return entry_->queue; }
    PriorityQueue& operator*() const noexcept { return *entry_->queue; }

   private:
    friend class QueueTable;
    explicit Pin(Entry* entry) noexcept : entry_(entry) {}
    Entry* entry_ = nullptr;
  };

  QueueTable(const QueueTable&) = delete;
  QueueTable& operator=(const QueueTable&) = delete;

  static QueueTable& Instance() noexcept {
    static QueueTable* const table = [] {
      QueueTable* const made = new (std::nothrow) QueueTable;
      if (made == nullptr) {
        std::abort();
      }
      return made;
    }();
    return *table;
  }

  // 0 when the table is full or `levels` is not in 1..128.
  QueueHandle Open(std::uint32_t levels) noexcept {
    if (levels < 1 || levels > PriorityQueue::kMaxLevels) {
      return 0;
    }
    for (std::uint32_t index = 0; index < kMaxQueues; ++index) {
      Entry& entry = entries_[index];
      // relaxed: a guess, the compare-exchange decides.
      std::uint64_t state = entry.state.load(std::memory_order_relaxed);
      if (PinsOf(state) != 0 || GenerationOf(state) == kLastGeneration) {
        continue;
      }
      // One pin and not open: nobody else can enter. acquire: pairs with the release in Unpin, so `queue` is ours.
      if (!entry.state.compare_exchange_strong(state, state + 1, std::memory_order_acquire,
                                               std::memory_order_relaxed)) {
        continue;
      }
      entry.queue = new (std::nothrow) PriorityQueue(levels);
      if (entry.queue == nullptr) {
        std::abort();
      }
      // release: pairs with the acquire in Acquire, so the queue is complete.
      entry.state.store((state + 1) | kOpen, std::memory_order_release);
      return GenerationOf(state) << kIndexBits | index;
    }
    return 0;
  }

  Pin Acquire(QueueHandle handle) noexcept {
    Entry& entry = EntryOf(handle);
    // relaxed: a guess, the compare-exchange decides.
    std::uint64_t state = entry.state.load(std::memory_order_relaxed);
    do {
      if (!IsOpen(state, handle)) {
        return Pin();
      }
      assert(PinsOf(state) != kPinMask);
      // acquire: pairs with the release in Open, so the queue is complete. relaxed: retried.
    } while (
        !entry.state.compare_exchange_weak(state, state + 1, std::memory_order_acquire, std::memory_order_relaxed));
    return Pin(&entry);
  }

  // False when the handle is stale or was closed before. Pins that exist stay good.
  bool Close(QueueHandle handle) noexcept {
    Entry& entry = EntryOf(handle);
    // relaxed: a guess, the compare-exchange decides.
    std::uint64_t state = entry.state.load(std::memory_order_relaxed);
    do {
      if (!IsOpen(state, handle)) {
        return false;
      }
      // relaxed, both: what is freed is ordered by Unpin.
    } while (!entry.state.compare_exchange_weak(state, state & ~kOpen, std::memory_order_relaxed,
                                                std::memory_order_relaxed));
    Unpin(entry);  // the pin of Open
    return true;
  }

 private:
  // The state of an entry: {generation: 42, open: 1, pins: 21}.
  static constexpr std::uint32_t kIndexBits = 10;
  static constexpr std::uint32_t kPinBits = 21;
  static constexpr std::uint64_t kPinMask = (std::uint64_t{1} << kPinBits) - 1;
  static constexpr std::uint64_t kOpen = std::uint64_t{1} << kPinBits;
  static constexpr std::uint32_t kGenerationShift = kPinBits + 1;
  static constexpr std::uint64_t kFirstState = std::uint64_t{1} << kGenerationShift;
  static constexpr std::uint64_t kLastGeneration = (std::uint64_t{1} << (64 - kGenerationShift)) - 1;
  static_assert(kMaxQueues == 1u << kIndexBits);
  static_assert((kLastGeneration >> (53 - kIndexBits)) == 0, "a handle must be exact as a double");

  struct Entry {
    std::atomic<std::uint64_t> state{kFirstState};  // generation 1, so that no handle is 0
    PriorityQueue* queue = nullptr;                 // written while `state` lets nobody else in
  };

  QueueTable() noexcept = default;
  ~QueueTable() = default;

  static std::uint64_t PinsOf(std::uint64_t state) noexcept { return state & kPinMask; }
  static std::uint64_t GenerationOf(std::uint64_t state) noexcept { return state >> kGenerationShift; }
  static bool IsOpen(std::uint64_t state, QueueHandle handle) noexcept {
    return (state & kOpen) != 0 && GenerationOf(state) == handle >> kIndexBits;
  }
  Entry& EntryOf(QueueHandle handle) noexcept { return entries_[handle & (kMaxQueues - 1)]; }

  static void Unpin(Entry& entry) noexcept {
    // relaxed: a guess, the compare-exchange decides.
    std::uint64_t state = entry.state.load(std::memory_order_relaxed);
    while ((state & kOpen) != 0 || PinsOf(state) > 1) {
      // release: pairs with the acquire below, so every use of the queue comes before its end. relaxed: retried.
      if (entry.state.compare_exchange_weak(state, state - 1, std::memory_order_release, std::memory_order_relaxed)) {
        return;
      }
    }
    // The last pin of a closed queue: no one can enter, and no one else can leave.
    // acquire: pairs with the release above.
    state = entry.state.load(std::memory_order_acquire);
    delete std::exchange(entry.queue, nullptr);
    // release: pairs with the acquire in Open.
    entry.state.store((GenerationOf(state) + 1) << kGenerationShift, std::memory_order_release);
  }

  Entry entries_[kMaxQueues];
};

}  // namespace bosun
