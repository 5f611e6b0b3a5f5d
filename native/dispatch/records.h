// What the dispatcher tells its owner: records of a fixed header and a payload, in order, in one byte queue.
//
// Who: one thread at a time. Cost: one copy in, one copy out; blocks are freed as they are read, so a burst leaves
// nothing behind. The owner drains many records by one call.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>

#include "frame/bytes.h"
#include "frame/frame.h"

namespace bosun {

enum class RecordKind : std::uint8_t {
  kValue = 1,        // a task ended; the payload is its result, empty when its worker could say none
  kError = 2,        // a task failed; the payload is its error
  kCancelled = 3,    // a task was dropped from the queue, or stopped when it was asked to; no payload
  kLost = 4,         // its worker died; the payload is the task's own. The owner answers with SettleLost
  kMessage = 5,      // a message of a task, in the inbox
  kReady = 6,        // a worker has been set up
  kStartFailed = 7,  // a worker could not be set up; the payload is the error
  kFull = 8,         // a submission found no slot; nothing was accepted
  kRetry = 9,        // an attempt failed and another is allowed; the payload is its error. The owner answers with Retry
  kTimeout = 10,     // a task ended after it was told to stop because it took too long
  kStopping =
      11,  // a task was told to stop a moment ago and goes on; its end is certain, kTimeout or kCancelled follows
  kDeadline = 12,        // a task had not begun in time
  kLostResult = 13,      // as kLost, but it had ended: only its result was lost
  kUnresponsive = 14,    // a worker goes on with a task that it was told to stop
  kForeignMessage = 15,  // as kMessage, from a listening socket
  kClosed = 16,      // a connection has ended; run_us is the Fault for which it was ended, id the tasks it has ended
  kWorkerExit = 17,  // the process of a remote worker has ended; the payload says how
  kProgress = 18,    // a task says how far it has come
};

// A bit of the kind: the payload comes from a remote worker.
inline constexpr std::uint8_t kForeignPayload = 0x40;

// lib/manager/records.ts reads this layout.
struct Record {
  std::uint32_t length = 0;  // of the payload
  std::uint32_t ticket = 0;
  std::uint32_t slot = 0;
  std::uint32_t worker = 0;
  std::uint32_t run_us = 0;
  RecordKind kind = RecordKind::kValue;
  std::uint8_t level = 0;  // the highest bit: the task's bytes come from a listening socket
  std::uint16_t attempt = 0;
  std::uint64_t id = 0;
};
static_assert(sizeof(Record) == 32);

class RecordQueue {
 public:
  void Append(Record record, ByteSpan payload) noexcept {
    record.length = static_cast<std::uint32_t>(payload.size());
    if (blocks_.empty() || blocks_.back().size() + sizeof record + payload.size() > kBlock) blocks_.emplace_back();
    Bytes& block = blocks_.back();
    std::memcpy(block.Extend(sizeof record), &record, sizeof record);
    block.Append(payload);
    ++count_;
    ++appended_;
    // What is no result is something that the owner has to see to, at once.
    const auto kind =
        static_cast<std::uint8_t>(static_cast<std::uint8_t>(record.kind) & ~(kAttached | kForeignPayload));
    const bool is_result = kind == static_cast<std::uint8_t>(RecordKind::kValue) ||
                           kind == static_cast<std::uint8_t>(RecordKind::kProgress);
    most_urgent_ = std::min(most_urgent_, is_result ? static_cast<std::uint8_t>(record.level & 0x7F) : std::uint8_t{0});
    bytes_ += sizeof record + payload.size();
  }

  // A long payload, from `offset` of its memory on, which is handed over to whoever calls TakeAttached when he has read
  // the record; that has a flag and no payload itself.
  void AppendAttached(Record record, Bytes&& memory, std::size_t offset) noexcept {
    record.kind = static_cast<RecordKind>(static_cast<std::uint8_t>(record.kind) | kAttached);
    Append(record, {});
    bytes_ += memory.size();
    attached_.push_back({std::move(memory), offset});
  }

  struct Attachment {
    Bytes memory;
    std::size_t offset = 0;
  };

  // The payload of the first record with one that has not been taken.
  Attachment TakeAttached() noexcept {
    if (attached_.empty()) return {};
    Attachment first = std::move(attached_.front());
    attached_.pop_front();
    bytes_ -= first.memory.size();
    return first;
  }

  // Shorter payloads are copied.
  static constexpr std::size_t kLong = 32 << 10;

  std::size_t count() const noexcept { return count_; }
  std::size_t bytes() const noexcept { return bytes_; }
  // Ever.
  std::uint64_t appended() const noexcept { return appended_; }
  // The level of the most urgent one since this was last reset; of those that concern no task, 0.
  std::uint8_t most_urgent() const noexcept { return most_urgent_; }
  void ResetMostUrgent() noexcept { most_urgent_ = 0xFF; }

  // Moves whole records into `target`; returns the bytes written. 0 with records left means that the first one needs
  // NextSize() bytes.
  std::size_t Drain(std::span<std::uint8_t> target) noexcept {
    std::size_t written = 0;
    while (count_ > 0) {
      const std::size_t size = NextSize();
      if (size > target.size() - written) break;
      std::memcpy(target.data() + written, blocks_.front().data() + read_, size);
      written += size;
      read_ += size;
      --count_;
      bytes_ -= size;
      if (read_ == blocks_.front().size()) {
        blocks_.pop_front();
        read_ = 0;
      }
    }
    return written;
  }

  std::size_t NextSize() const noexcept {
    if (count_ == 0) return 0;
    return sizeof(Record) + Load<std::uint32_t>(blocks_.front().data() + read_);
  }

  void Clear() noexcept {
    blocks_.clear();
    attached_.clear();
    read_ = count_ = bytes_ = 0;
  }

 private:
  static constexpr std::size_t kBlock = 64 << 10;
  static constexpr std::uint8_t kAttached = 0x80;

  std::deque<Bytes> blocks_;
  std::deque<Attachment> attached_;
  std::size_t read_ = 0;  // in the first block
  std::size_t count_ = 0;
  std::size_t bytes_ = 0;
  std::uint64_t appended_ = 0;
  std::uint8_t most_urgent_ = 0xFF;
};

}  // namespace bosun
