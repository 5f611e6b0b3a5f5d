// Fifo: an unbounded queue of 32-bit values, for many producers and many consumers, lock-free and linearizable.
//
// When to use: a level of the scheduler, or wherever the order must hold across producers (per-producer sub-queues, as
//   moodycamel::ConcurrentQueue has them, are about as fast and do not give that).
// When not: one producer and one consumer (a ring is faster), values wider than 32 bits, waiting (there is none here).
// Who: any thread may call anything at any time; construction and destruction need to be alone.
// Cost: a push is two atomic read-modify-writes, a pop one; see native/test/queue_bench.cc for times. No thread
//   registration, no thread_local, no fence.
// Memory: 4 bytes for each item. Before the first push nothing but the object, after it one segment at least; the rest
//   goes back as it is used up, see segment_pool.h. No memory: abort.
// Values: 0..kMaxValue, the three above it are states of a slot.
// Source: the FAA array queue (Correia and Ramalhete 2016), itself from LCRQ (Morrison and Afek, PPoPP 2013). Memory
//   reclamation is ours:
//
//     head_ = {segment A, ticket}                tail_ = {segment C, ticket}
//           |                                          |
//           A (1024 slots) ---next---> B ---next---> C
//
// A fetch_add on such a word names a segment and takes a ticket for it in one step, and that ticket is the pin: a
// segment is reused only when (1) all its slots are kDone, so every ticket below kSlots has been used up by both sides,
// and (2) both ends have moved on and every ticket past its last slot has been given back by Leave. The
// compare-exchange that moves an end knows how many those were. So nobody who may follow a pointer needs a hazard
// pointer or an epoch; who has only loaded a word never follows it.
#pragma once

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cstddef>
#include <cstdint>

#include "queue/segment.h"
#include "queue/segment_pool.h"
#include "queue/traits.h"

namespace bosun {

template <typename Traits>
class BasicFifo {
  using Segment = BasicSegment<Traits>;
  using Pool = BasicSegmentPool<Traits>;

 public:
  static constexpr std::uint32_t kMaxValue = Segment::kDone - 1;

  // The pool must outlive the Fifo.
  explicit BasicFifo(Pool& pool) noexcept : pool_(pool) {}
  BasicFifo(const BasicFifo&) = delete;
  BasicFifo& operator=(const BasicFifo&) = delete;

  ~BasicFifo() {
    // relaxed: the destructor is alone.
    SegmentHead* segment = Word::Address(head_.load(std::memory_order_relaxed));
    while (segment != nullptr) {
      SegmentHead* const next = Word::Address(segment->next.load(std::memory_order_relaxed));  // relaxed: as above
      if (segment != &root_) {
        pool_.Give(static_cast<Segment*>(segment));
      }
      segment = next;
    }
  }

  void Push(std::uint32_t value) noexcept {
    assert(value <= kMaxValue);
    for (;;) {
      // seq_cst: ordered against the loads of Empty; acquire part: pairs with MoveEnd, so the segment is complete.
      const std::uint64_t got = tail_.fetch_add(1, std::memory_order_seq_cst);
      if (Word::Ticket(got) >= kSlots) [[unlikely]] {
        if (PushPastEnd(got, value)) {
          return;
        }
        continue;
      }
      Traits::Between();
      auto& slot = static_cast<Segment*>(Word::Address(got))->Slot(Word::Ticket(got));
      std::uint32_t seen = Segment::kEmpty;
      // release: pairs with the acquire in Receive, so what the value stands for is complete. acquire: pairs with the
      // exchange in Receive, so the consumer's last access comes before kDone.
      if (slot.compare_exchange_strong(seen, value, std::memory_order_release, std::memory_order_acquire)) [[likely]] {
        return;
      }
      Traits::Between();
      // release: pairs with the acquire in BasicSegment::AllDone.
      slot.store(Segment::kDone, std::memory_order_release);
    }
  }

  bool TryPop(std::uint32_t* out) noexcept {
    for (;;) {
      if (!MayHaveItems()) {
        return false;
      }
      Traits::Between();
      // seq_cst: ordered against the loads of Empty; acquire part: pairs with MoveEnd, so the segment is complete.
      const std::uint64_t got = head_.fetch_add(1, std::memory_order_seq_cst);
      if (Word::Ticket(got) >= kSlots) [[unlikely]] {
        PopPastEnd(got);
        continue;
      }
      Traits::Between();
      auto& slot = static_cast<Segment*>(Word::Address(got))->Slot(Word::Ticket(got));
      const std::uint32_t value = Receive(slot, got);
      if (value != Segment::kEmpty) [[likely]] {
        Traits::Between();
        // release: pairs with the acquire in BasicSegment::AllDone.
        slot.store(Segment::kDone, std::memory_order_release);
        *out = value;
        return true;
      }
    }
  }

  // True if at some moment of the call no completed push was unclaimed by a pop.
  bool Empty() const noexcept {
    for (;;) {
      const Ends ends = LoadEnds();
      if (!LooksEmpty(ends)) {
        return false;
      }
      if (Consistent(ends)) {
        return true;
      }
    }
  }

  // Close when other threads are active, exact when none is and both ends have passed the last slot that a pop gave up.
  std::size_t ApproxSize() const noexcept {
    // relaxed: a hint.
    const auto segments = static_cast<std::int64_t>(tail_moves_.load(std::memory_order_relaxed) -
                                                    head_moves_.load(std::memory_order_relaxed));
    const auto last = std::min(Word::Ticket(tail_.load(std::memory_order_relaxed)), kSlots);
    const auto first = std::min(Word::Ticket(head_.load(std::memory_order_relaxed)), kSlots);
    return static_cast<std::size_t>(std::max<std::int64_t>(0, segments * kSlots + last - first));
  }

 private:
  using Word = SegmentWord;
  static constexpr std::uint32_t kSlots = Segment::kSlots;

  struct Ends {
    std::uint64_t moves;
    std::uint64_t head;
    std::uint64_t tail;
  };

  // Each end starts with this share of `visitors`, so that the sum cannot touch 0 before both have moved on.
  static constexpr std::int64_t kEnd = std::int64_t{1} << 32;

  Ends LoadEnds() const noexcept {
    Ends ends;
    // acquire: pairs with the release in MoveEnd; read before head_, see Consistent.
    ends.moves = head_moves_.load(std::memory_order_acquire);
    // seq_cst, both: the tail read is not older than the head read, and a push that has returned is seen.
    ends.head = head_.load(std::memory_order_seq_cst);
    Traits::Between();
    ends.tail = tail_.load(std::memory_order_seq_cst);
    Traits::Between();
    return ends;
  }

  static bool LooksEmpty(const Ends& ends) noexcept {
    return Word::SameSegment(ends.head, ends.tail) &&
           Word::Ticket(ends.head) >= std::min(Word::Ticket(ends.tail), kSlots);
  }

  // Between the two loads the segment may have left the queue and come back, and then the words mean different lives of
  // it. Before a segment can come back, head_moves_ has counted that head_ left it.
  bool Consistent(const Ends& ends) const noexcept {
    // acquire: keeps its place after the load of tail_, which makes the count visible.
    return head_moves_.load(std::memory_order_acquire) == ends.moves;
  }

  // False only if the Fifo was empty at some moment of the call.
  bool MayHaveItems() noexcept {
    for (;;) {
      // relaxed, both: the guess costs at most one ticket when it is wrong, and spares consumers the producers' line.
      const std::uint64_t head = head_.load(std::memory_order_relaxed);
      const std::uint64_t seen = tail_seen_.load(std::memory_order_relaxed);
      if (Word::SameSegment(head, seen) && Word::Ticket(head) < Word::Ticket(seen)) {
        return true;
      }
      const Ends ends = LoadEnds();
      if (!LooksEmpty(ends)) {
        // A tail in a later segment means that this one is full. Never past kSlots: consumers must not take tickets
        // there while they wait for a next segment. relaxed: a hint.
        const std::uint32_t filled =
            Word::SameSegment(ends.head, ends.tail) ? std::min(Word::Ticket(ends.tail), kSlots) : kSlots;
        tail_seen_.store(Word::WithTicket(ends.head, filled), std::memory_order_relaxed);
        return true;
      }
      if (Consistent(ends)) {
        return false;
      }
    }
  }

  // The value of the slot whose ticket is `got`, or kEmpty once it has been given up.
  std::uint32_t Receive(std::atomic<std::uint32_t>& slot, std::uint64_t got) noexcept {
    // acquire: pairs with the release in Push, so what the value stands for is complete.
    std::uint32_t value = slot.load(std::memory_order_acquire);
    if (value != Segment::kEmpty) [[likely]] {
      return value;
    }
    // seq_cst: as in LoadEnds. A ticket that no producer holds is not worth waiting for.
    const std::uint64_t tail = tail_.load(std::memory_order_seq_cst);
    if (Word::SameSegment(tail, got) && Word::Ticket(tail) <= Word::Ticket(got)) {
      tail_seen_.store(tail, std::memory_order_relaxed);  // relaxed: a hint
    } else {
      for (int spins = 0; spins < kSpins; ++spins) {
        Pause();
        // acquire: as above.
        value = slot.load(std::memory_order_acquire);
        if (value != Segment::kEmpty) {
          return value;
        }
      }
    }
    Traits::Between();
    // acquire: as above. release: pairs with the failed compare-exchange in Push.
    return slot.exchange(Segment::kGivenUp, std::memory_order_acq_rel);
  }

  // The caller has a ticket past the end of a full segment. True if its value has been pushed.
  bool PushPastEnd(std::uint64_t got, std::uint32_t value) noexcept {
    SegmentHead* const full = Word::Address(got);
    // acquire: pairs with the release below, so the next segment is complete.
    std::uint64_t next = full->next.load(std::memory_order_acquire);
    bool pushed = false;
    Traits::Between();
    if (next == 0) {
      Segment* const fresh = pool_.Take();
      fresh->visitors.store(2 * kEnd, std::memory_order_relaxed);  // relaxed: published by the release below
      fresh->Slot(0).store(value, std::memory_order_relaxed);      // relaxed: as above
      // release: pairs with every acquire of `next`. acquire: as above.
      pushed = full->next.compare_exchange_strong(next, Word::Make(fresh, 0), std::memory_order_acq_rel,
                                                  std::memory_order_acquire);
      if (pushed) {
        next = Word::Make(fresh, 0);
      } else {
        pool_.Give(fresh);
      }
    }
    Traits::Between();
    // Ticket 0 belongs to the value that came with the segment.
    MoveEnd(tail_, tail_moves_, got, next + 1);
    Traits::Between();
    Leave(full);
    return pushed;
  }

  // The caller has a ticket past the end of a segment that is used up.
  void PopPastEnd(std::uint64_t got) noexcept {
    SegmentHead* const full = Word::Address(got);
    // acquire: pairs with the release in PushPastEnd, so the next segment is complete.
    const std::uint64_t next = full->next.load(std::memory_order_acquire);
    if (next != 0) {
      Traits::Between();
      // The tail first: LooksEmpty relies on a head that never overtakes it.
      MoveEnd(tail_, tail_moves_, got, next + 1);
      MoveEnd(head_, head_moves_, got, next);
      Traits::Between();
    }
    Leave(full);
  }

  // Moves an end from the segment of `got` to `to`, unless another thread has. The caller holds a ticket past its end,
  // so the segment cannot come back in the meantime.
  static void MoveEnd(std::atomic<std::uint64_t>& end, std::atomic<std::uint64_t>& moves, std::uint64_t got,
                      std::uint64_t to) noexcept {
    // seq_cst, all: as the fetch_adds on these words; release part: hands the new segment to who takes a ticket.
    std::uint64_t seen = end.load(std::memory_order_seq_cst);
    while (Word::SameSegment(seen, got)) {
      Traits::Between();
      if (end.compare_exchange_weak(seen, to, std::memory_order_seq_cst, std::memory_order_seq_cst)) {
        Traits::Between();
        // release: pairs with the acquires in LoadEnds and Consistent; before Leave, so before any reuse.
        moves.fetch_add(1, std::memory_order_release);
        Traits::Between();
        // relaxed: the Leave that follows publishes it.
        Word::Address(got)->visitors.fetch_add(Word::Ticket(seen) - std::int64_t{kSlots} - kEnd,
                                               std::memory_order_relaxed);
        return;
      }
    }
  }

  // Gives back a ticket past the end. Whoever gives back the last one, after both ends have moved on, retires the
  // segment.
  void Leave(SegmentHead* segment) noexcept {
    // acq_rel: pairs with itself, so the last to leave comes after all others.
    if (segment->visitors.fetch_sub(1, std::memory_order_acq_rel) == 1 && segment != &root_) {
      pool_.Retire(static_cast<Segment*>(segment));
    }
  }

  static void Pause() noexcept {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }

  // A producer between its two steps needs some tens of nanoseconds, unless it has been taken off its core.
  static constexpr int kSpins = 32;

  // What an unused Fifo has instead of a first segment: a full one without slots.
  alignas(Segment) SegmentHead root_{.visitors = 2 * kEnd};
  Pool& pool_;
  std::atomic<std::uint64_t> tail_moves_{0};  // how often tail_ and head_ have gone to a next segment
  std::atomic<std::uint64_t> tail_{Word::Make(&root_, kSlots)};

  alignas(Segment) std::atomic<std::uint64_t> head_{Word::Make(&root_, kSlots)};
  std::atomic<std::uint64_t> head_moves_{0};
  std::atomic<std::uint64_t> tail_seen_{0};  // what some consumer saw in tail_, see MayHaveItems
};

using Fifo = BasicFifo<QueueTraits>;

}  // namespace bosun
