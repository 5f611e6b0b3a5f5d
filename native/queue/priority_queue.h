// PriorityQueue: 1 to 128 levels, each a Fifo, and a bitmap that finds the most urgent level with items. 0 is the most
// urgent.
//
// Promise: inside a level, a linearizable FIFO. Across levels, a pop takes from the most urgent level for all pushes
//   that had returned before it began; a push that is still running may be seen or not. TryPop says false only if
//   every value whose push had returned before it began was taken by some pop.
// Who: any thread may call anything at any time; construction and destruction need to be alone.
// Cost: a Fifo operation and a few loads of one line. A level that falls empty costs its next consumer three atomic
//   read-modify-writes, and the next producer one.
// Memory: 256 bytes for each level; a level that has been used keeps one segment of 4 KiB.
// When not: more than 128 priorities, or priorities that change after the push.
//
// How a bit is cleared: a consumer that finds a level empty clears its bit, reads the level again, and sets the bit
// again if it must. In between, a push may return without setting the bit, and another consumer must not be misled. So
// the one that clears first claims the level in `clearing_`, and everyone visits the levels that have either bit:
//
//     clears:   clearing |= b; if empty { ready &= ~b; if not empty { ready |= b } } clearing &= ~b
//     pushes:   push; if ready has no b { ready |= b }
//     pops:     read clearing, then ready; visit the levels of both
//
// Why a pop misses nothing that it owes: suppose that it reads neither bit, and look at the last clearing of `ready`
// before that. If it was claimed after the pop had read `clearing`, then the level was empty after the pop had begun.
// If it was claimed before, then it was also over by then, and a push that it overlooked had been given its bit back.
#pragma once

#include <atomic>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#include "queue/fifo.h"

namespace bosun {

template <typename Traits>
class BasicPriorityQueue {
  using Fifo = BasicFifo<Traits>;

 public:
  static constexpr std::uint32_t kMaxLevels = 128;
  static constexpr std::uint32_t kMaxValue = Fifo::kMaxValue;

  explicit BasicPriorityQueue(std::uint32_t levels) noexcept : level_count_(levels) {
    assert(levels >= 1 && levels <= kMaxLevels);
    fifos_ = static_cast<Fifo*>(::operator new (levels * sizeof(Fifo), std::align_val_t{alignof(Fifo)}, std::nothrow));
    if (fifos_ == nullptr) {
      std::abort();
    }
    for (std::uint32_t level = 0; level < levels; ++level) {
      std::construct_at(fifos_ + level, pool_);
    }
  }
  BasicPriorityQueue(const BasicPriorityQueue&) = delete;
  BasicPriorityQueue& operator=(const BasicPriorityQueue&) = delete;

  ~BasicPriorityQueue() {
    std::destroy_n(fifos_, level_count_);
    ::operator delete (fifos_, std::align_val_t{alignof(Fifo)});
  }

  std::uint32_t levels() const noexcept { return level_count_; }

  void Push(std::uint32_t level, std::uint32_t value) noexcept {
    assert(level < level_count_);
    fifos_[level].Push(value);
    Traits::Between();
    const Bit bit(level);
    // seq_cst: either this load sees that the bit was cleared, or the check after the clearing sees the push.
    if ((ready_[bit.word].load(std::memory_order_seq_cst) & bit.mask) == 0) {
      Traits::Between();
      // seq_cst: read by Candidates.
      ready_[bit.word].fetch_or(bit.mask, std::memory_order_seq_cst);
    }
  }

  bool TryPop(std::uint32_t* value, std::uint32_t* level) noexcept {
    Candidates candidates(*this);
    for (std::uint32_t at; (at = candidates.First()) < kMaxLevels; candidates.Drop(at)) {
      if (fifos_[at].TryPop(value)) {
        *level = at;
        return true;
      }
      Traits::Between();
      ClearBit(at);
    }
    return false;
  }

  // Takes from one level, whatever waits in others.
  bool TryPopLevel(std::uint32_t level, std::uint32_t* value) noexcept {
    assert(level < level_count_);
    return fifos_[level].TryPop(value);
  }

  // The most urgent level that has items, levels() if none has. A hint as soon as other threads are active.
  std::uint32_t FirstLevel() const noexcept {
    Candidates candidates(*this);
    for (std::uint32_t at; (at = candidates.First()) < kMaxLevels; candidates.Drop(at)) {
      if (!fifos_[at].Empty()) {
        return at;
      }
    }
    return level_count_;
  }

  // Items in all levels or in one; close when other threads are active, exact when none is.
  std::size_t ApproxSize() const noexcept {
    std::size_t sum = 0;
    for (std::uint32_t level = 0; level < level_count_; ++level) {
      sum += fifos_[level].ApproxSize();
    }
    return sum;
  }
  std::size_t ApproxSize(std::uint32_t level) const noexcept {
    assert(level < level_count_);
    return fifos_[level].ApproxSize();
  }

  // Segments of 4 KiB that exist; for tests and reports.
  std::size_t allocated() const noexcept { return pool_.allocated(); }

 private:
  struct Bit {
    explicit Bit(std::uint32_t level) noexcept : word(level >> 6), mask(std::uint64_t{1} << (level & 63)) {}
    const std::uint32_t word;
    const std::uint64_t mask;
  };

  // The levels that one pop has to visit.
  class Candidates {
   public:
    explicit Candidates(const BasicPriorityQueue& queue) noexcept {
      // seq_cst, all: `clearing_` before `ready_`, see the top of the file.
      low_ = queue.clearing_[0].load(std::memory_order_seq_cst);
      high_ = queue.clearing_[1].load(std::memory_order_seq_cst);
      Traits::Between();
      low_ |= queue.ready_[0].load(std::memory_order_seq_cst);
      high_ |= queue.ready_[1].load(std::memory_order_seq_cst);
    }
    std::uint32_t First() const noexcept {
      return static_cast<std::uint32_t>(low_ != 0 ? std::countr_zero(low_) : 64 + std::countr_zero(high_));
    }
    void Drop(std::uint32_t level) noexcept { (level < 64 ? low_ : high_) &= ~Bit(level).mask; }

   private:
    std::uint64_t low_;
    std::uint64_t high_;
  };

  void ClearBit(std::uint32_t level) noexcept {
    const Bit bit(level);
    auto& ready = ready_[bit.word];
    auto& clearing = clearing_[bit.word];
    // seq_cst, all: this and Push, this and Candidates each store one word and then read the other.
    if ((clearing.fetch_or(bit.mask, std::memory_order_seq_cst) & bit.mask) != 0) {
      return;  // another consumer is at it
    }
    if (fifos_[level].Empty()) {
      Traits::Between();
      ready.fetch_and(~bit.mask, std::memory_order_seq_cst);
      Traits::Between();
      if (!fifos_[level].Empty()) {
        ready.fetch_or(bit.mask, std::memory_order_seq_cst);
      }
    }
    clearing.fetch_and(~bit.mask, std::memory_order_seq_cst);
  }

  const std::uint32_t level_count_;
  Fifo* fifos_;
  BasicSegmentPool<Traits> pool_;

  // Written when a level falls empty or stops being so, read by every operation.
  alignas(Fifo) std::atomic<std::uint64_t> ready_[2]{};
  std::atomic<std::uint64_t> clearing_[2]{};
};

using PriorityQueue = BasicPriorityQueue<QueueTraits>;

}  // namespace bosun
