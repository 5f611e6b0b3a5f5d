// Bytes in memory that two threads, or two processes, share: one writes, one reads, and neither waits.
//
// Who: one writer and one reader, each with its own object over the same ring. Cost: one copy in, one copy out; an
// atomic store and a load for each call, no system call. Algorithm: Lamport's ring of one producer and one consumer
// (1977), each end keeping its own index to itself and publishing it.
//
// Whoever sleeps says so before, and the other end, which finds that, has to wake it: once. What it says and what the
// other end publishes are a store and a load on each side, all of them sequentially consistent, so that one of the two
// sees the other's.
// Each end keeps its index to itself: the other process may write anything into the memory. An index that cannot be is
// the end of the ring.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <span>

#include "frame/bytes.h"

namespace bosun {

// All zero is an empty one.
struct ByteRing {
  static constexpr std::uint64_t kBytes = 256 << 10;

  alignas(64) std::atomic<std::uint64_t> written;  // since the beginning
  alignas(64) std::atomic<std::uint64_t> read;
  // These change when an end goes to sleep, and no more often.
  alignas(64) std::atomic<std::uint32_t> reader_sleeps;
  std::atomic<std::uint32_t> writer_sleeps;
  alignas(64) std::uint8_t bytes[kBytes];
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "the indices are shared between processes");

class RingWriter {
 public:
  explicit RingWriter(ByteRing* ring) noexcept : ring_(ring) {}

  // How much of it there is room for; nobody sees it before Publish.
  std::size_t Write(ByteSpan bytes) noexcept {
    const std::size_t count = std::min<std::size_t>(bytes.size(), Room());
    const std::size_t at = written_ % ByteRing::kBytes;
    const std::size_t first = std::min<std::size_t>(count, ByteRing::kBytes - at);
    if (first > 0) std::memcpy(ring_->bytes + at, bytes.data(), first);
    if (count > first) std::memcpy(ring_->bytes, bytes.data() + first, count - first);
    written_ += count;
    return count;
  }

  // True when the reader sleeps and is to be woken.
  bool Publish() noexcept {
    // seq_cst, with the load: see RingReader::Sleep. As a release it pairs with the acquire in RingReader::Read.
    ring_->written.store(written_, std::memory_order_seq_cst);
    return ring_->reader_sleeps.load(std::memory_order_seq_cst) != 0 &&
           // acq_rel: only one of those that see it wakes the reader, which may be itself.
           ring_->reader_sleeps.exchange(0, std::memory_order_acq_rel) != 0;
  }

  // There was no room: the reader wakes this end when half of the ring is free. False when it is so already.
  bool Sleep() noexcept {
    // seq_cst: either the reader sees this, or this end sees what it has read.
    ring_->writer_sleeps.store(1, std::memory_order_seq_cst);
    read_ = ring_->read.load(std::memory_order_seq_cst);
    return Room() < ByteRing::kBytes / 2 || ring_->writer_sleeps.exchange(0, std::memory_order_acq_rel) == 0;
  }

 private:
  std::size_t Room() noexcept {
    const std::uint64_t used = written_ - read_;
    if (used > ByteRing::kBytes / 2) {
      // acquire: pairs with the release in RingReader::Read; what was there has been copied.
      read_ = ring_->read.load(std::memory_order_acquire);
    }
    const std::uint64_t now = written_ - read_;
    return now > ByteRing::kBytes ? 0 : ByteRing::kBytes - now;
  }

  ByteRing* const ring_;
  std::uint64_t written_ = 0;
  std::uint64_t read_ = 0;  // as it was when it was looked at last
};

class RingReader {
 public:
  explicit RingReader(ByteRing* ring) noexcept : ring_(ring) {}

  // Copies what is there, as much as fits; 0: nothing.
  std::size_t Read(std::span<std::uint8_t> target) noexcept {
    const std::size_t count = std::min<std::size_t>(target.size(), Waiting());
    if (count == 0) return 0;
    const std::size_t at = read_ % ByteRing::kBytes;
    const std::size_t first = std::min<std::size_t>(count, ByteRing::kBytes - at);
    std::memcpy(target.data(), ring_->bytes + at, first);
    if (count > first) std::memcpy(target.data() + first, ring_->bytes, count - first);
    read_ += count;
    // seq_cst, with the load in IsWriterToBeWoken: see RingWriter::Sleep.
    ring_->read.store(read_, std::memory_order_seq_cst);
    return count;
  }

  // Behind Read: the writer sleeps, and there is room again.
  bool IsWriterToBeWoken() noexcept {
    if (ring_->writer_sleeps.load(std::memory_order_seq_cst) == 0 || Waiting() > ByteRing::kBytes / 2) return false;
    return ring_->writer_sleeps.exchange(0, std::memory_order_acq_rel) != 0;
  }

  // The writer wakes this end when there is something. False when there is already.
  bool Sleep() noexcept {
    // relaxed: only this end sets it, and while it is set nothing has come.
    if (ring_->reader_sleeps.load(std::memory_order_relaxed) != 0) return true;
    // seq_cst: either the writer sees this, or this end sees what it has written.
    ring_->reader_sleeps.store(1, std::memory_order_seq_cst);
    if (ring_->written.load(std::memory_order_seq_cst) == read_) return true;
    // Unless the writer wakes this end all the same.
    ring_->reader_sleeps.store(0, std::memory_order_relaxed);
    return false;
  }

  // What the writer says cannot be.
  bool is_broken() const noexcept { return is_broken_; }

 private:
  std::size_t Waiting() noexcept {
    // acquire: pairs with the release in RingWriter::Publish.
    const std::uint64_t waiting = ring_->written.load(std::memory_order_acquire) - read_;
    is_broken_ = is_broken_ || waiting > ByteRing::kBytes;
    return is_broken_ ? 0 : waiting;
  }

  ByteRing* const ring_;
  std::uint64_t read_ = 0;
  bool is_broken_ = false;
};

}  // namespace bosun
