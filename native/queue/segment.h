// One segment of a Fifo: 1024 slots of 32 bits, and the 64-bit word that names a segment and a place in it.
//
// Who: fifo.h and segment_pool.h only.
// Cost: 4 KiB of slots and 128 bytes.
// When not: never by itself; whoever holds no pin (see fifo.h) must not follow a segment pointer.
//
// A slot lives through one of two lives. Each ticket is given to one producer and one consumer, so a slot is touched by
// two threads at most:
//
//     kEmpty --producer--> value --consumer--> kDone
//     kEmpty --consumer--> kGivenUp --producer--> kDone      (the consumer did not wait; both try another ticket)
//
// kDone is written by the later of the two, as its last access. A segment full of kDone is nobody's.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace bosun {

struct SegmentHead {
  // The word of the segment that follows, with ticket 0; 0 while there is none.
  std::atomic<std::uint64_t> next{0};
  // Counts the tickets past the last slot that have not been given back; see BasicFifo::Leave.
  std::atomic<std::int64_t> visitors{0};
};

// Aligned to 128 bytes, because x86 prefetches 64-byte lines in pairs and because SegmentWord needs the bits.
template <typename Traits>
struct alignas(128) BasicSegment : SegmentHead {
  static constexpr std::uint32_t kSlots = 1u << Traits::kSlotBits;

  // The three states take the topmost values; see BasicFifo::kMaxValue.
  static constexpr std::uint32_t kEmpty = 0xFFFFFFFF;
  static constexpr std::uint32_t kGivenUp = 0xFFFFFFFE;
  static constexpr std::uint32_t kDone = 0xFFFFFFFD;

  // Both for the owner alone: the lists of the pool, and where AllDone goes on.
  BasicSegment* listed = nullptr;
  std::uint32_t done_before = 0;

  alignas(64) std::atomic<std::uint32_t> slots[kSlots];

  // Neighbouring tickets go to different 64-byte lines: producers and consumers that run side by side share none.
  std::atomic<std::uint32_t>& Slot(std::uint32_t ticket) noexcept {
    constexpr std::uint32_t kLineBits = Traits::kSlotBits - 4;  // 16 slots to a line
    return slots[((ticket << 4) | (ticket >> kLineBits)) & (kSlots - 1)];
  }

  // For the owner alone, before the segment is published.
  void Reset() noexcept {
    next.store(0, std::memory_order_relaxed);  // relaxed: published by the release in BasicFifo::PushPastEnd
    listed = nullptr;
    done_before = 0;
    for (auto& slot : slots) {
      slot.store(kEmpty, std::memory_order_relaxed);  // relaxed: as above
    }
  }

  // True when both threads of every slot have left. For the owner alone; goes on where it last stopped.
  bool AllDone() noexcept {
    for (; done_before < kSlots; ++done_before) {
      // acquire: pairs with the release stores of kDone, so Reset comes after the last access of either thread.
      if (slots[done_before].load(std::memory_order_acquire) != kDone) {
        return false;
      }
    }
    return true;
  }
};

// An end of a Fifo: the address of a segment over its alignment (50 bits, enough for 57-bit addresses), then a ticket
// (14 bits). A ticket exceeds kSlots by at most two for each thread that meets a full segment, so 7680 threads may use
// one Fifo at the same time.
struct SegmentWord {
  static constexpr std::uint32_t kTicketBits = 14;
  static constexpr std::uint64_t kTicketMask = (std::uint64_t{1} << kTicketBits) - 1;
  static constexpr std::uint32_t kAlignBits = 7;
  static constexpr std::uint32_t kShift = kTicketBits - kAlignBits;

  static std::uint64_t Make(const SegmentHead* segment, std::uint32_t ticket) noexcept {
    return static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(segment)) << kShift | ticket;
  }
  static SegmentHead* Address(std::uint64_t word) noexcept {
    return reinterpret_cast<SegmentHead*>(static_cast<std::uintptr_t>((word & ~kTicketMask) >> kShift));
  }
  static std::uint32_t Ticket(std::uint64_t word) noexcept { return static_cast<std::uint32_t>(word & kTicketMask); }
  static std::uint64_t WithTicket(std::uint64_t word, std::uint32_t ticket) noexcept {
    return (word & ~kTicketMask) | ticket;
  }
  static bool SameSegment(std::uint64_t a, std::uint64_t b) noexcept { return ((a ^ b) & ~kTicketMask) == 0; }
};

}  // namespace bosun
