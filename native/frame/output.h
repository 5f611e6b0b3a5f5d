// What waits to be written to one connection: frames, collected until somebody has a socket to write them to.
//
// Who: one thread at a time. Cost: small frames are appended to one block that is used again; long payloads are not
// copied, but written from where they lie.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <utility>

#include "frame/bytes.h"
#include "frame/shared_bytes.h"

namespace bosun {

class Output {
 public:
  bool empty() const noexcept { return size() == 0; }
  // Bytes that wait.
  std::size_t size() const noexcept { return size_ + tail_.size() - written_; }

  // The block that frames are appended to.
  Bytes& tail() noexcept { return tail_; }

  // Behind what has been appended so far.
  void AppendShared(SharedBytes bytes) noexcept {
    SealTail();
    size_ += bytes.span().size();
    segments_.push_back({Bytes(), std::move(bytes), 0});
  }

  // Calls take(span) for each run of bytes, in order, until it returns false.
  template <class Take>
  void Visit(Take&& take) const noexcept {
    for (const Segment& segment : segments_) {
      if (!take(segment.rest())) return;
    }
    if (tail_.size() > written_) take(tail_.span().subspan(written_));
  }

  // The first `count` bytes have been written.
  void Consume(std::size_t count) noexcept {
    while (!segments_.empty()) {
      Segment& first = segments_.front();
      const std::size_t step = std::min(count, first.rest().size());
      first.written += step;
      size_ -= step;
      count -= step;
      if (!first.rest().empty()) return;
      segments_.pop_front();
    }
    written_ += count;
    if (written_ < tail_.size()) return;
    written_ = 0;
    // A burst leaves nothing behind.
    if (tail_.capacity() > kKeep) tail_.Release();
    tail_.Clear();
  }

  void Clear() noexcept {
    segments_.clear();
    size_ = written_ = 0;
    tail_.Release();
  }

  // All of it as one block, for a driver that has no better way to write.
  Bytes Take() noexcept {
    Bytes taken;
    if (segments_.empty() && written_ == 0) {
      taken = std::move(tail_);
    } else {
      Visit([&](ByteSpan bytes) {
        taken.Append(bytes);
        return true;
      });
    }
    Clear();
    return taken;
  }

 private:
  static constexpr std::size_t kKeep = 256 << 10;

  struct Segment {
    Bytes bytes;
    SharedBytes shared;
    std::size_t written;

    ByteSpan rest() const noexcept { return (shared ? shared.span() : bytes.span()).subspan(written); }
  };

  void SealTail() noexcept {
    if (tail_.size() == written_) {
      tail_.Clear();
    } else {
      size_ += tail_.size() - written_;
      segments_.push_back({std::move(tail_), SharedBytes(), written_});
      tail_ = Bytes();
    }
    written_ = 0;
  }

  std::deque<Segment> segments_;
  std::size_t size_ = 0;     // of what is left in the segments
  Bytes tail_;               // behind all of them
  std::size_t written_ = 0;  // of the tail
};

}  // namespace bosun
