#include "process/outlet.h"

#include <algorithm>
#include <chrono>

#include "frame/frame.h"
#include "process/clock.h"
#include "process/quiet_thread.h"

namespace bosun {
Outlet::Outlet(Stream& stream) noexcept : stream_(stream) {
  flusher_ = StartQuietThread([this] { Run(); });
}

Outlet::~Outlet() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  wake_.notify_one();
  flusher_.join();
}

std::size_t Outlet::Append(std::uint8_t type, ByteSpan fields, ByteSpan payload, std::uint64_t now_us) noexcept {
  const std::lock_guard lock(mutex_);
  if (is_broken_) return 0;
  if (bytes_.capacity() - bytes_.size() < kHeaderBytes + fields.size() + payload.size() && head_ > 0) {
    // Before it grows: what was written makes room.
    bytes_ = Bytes(bytes_.span().subspan(head_));
    head_ = 0;
  }
  std::uint8_t* at = bytes_.Extend(kHeaderBytes + fields.size());
  at = Store(Store(at, type), static_cast<std::uint64_t>(fields.size() + payload.size()));
  if (!fields.empty()) std::memcpy(at, fields.data(), fields.size());
  if (payload.size() >= kLargePayload) payload = payload.subspan(WriteBehindPending(payload));
  if (is_broken_) return 0;
  bytes_.Append(payload);
  if (held_since_us_ == 0 && pending() > 0) held_since_us_ = now_us;
  return pending();
}

void Outlet::Wake() noexcept {
  // With the mutex, so that it sleeps, and is not only about to.
  const std::lock_guard lock(mutex_);
  wake_.notify_one();
}

bool Outlet::Flush() noexcept {
  const std::lock_guard lock(mutex_);
  const bool is_done = Write();
  held_since_us_ = 0;
  pause_us_ = kHoldUs;
  return is_done;
}

bool Outlet::FlushFully(int patience_ms) noexcept {
  const std::lock_guard lock(mutex_);
  while (!Write()) {
    if (stream_.AwaitRoom(patience_ms)) continue;
    is_broken_ = true;
    bytes_.Release();
    head_ = 0;
  }
  held_since_us_ = 0;
  return !is_broken_;
}

// True when nothing is left to be written.
bool Outlet::Write() noexcept {
  while (pending() > 0) {
    iovec parts[] = {PartOf(bytes_.span().subspan(head_))};
    const ssize_t written = stream_.Send(parts);
    if (written == 0) return false;
    Advance(written < 0 ? pending() : static_cast<std::size_t>(written));
    is_broken_ = written < 0;
  }
  return true;
}

// How much of the payload the system has taken, behind all else.
std::size_t Outlet::WriteBehindPending(ByteSpan payload) noexcept {
  std::size_t taken = 0;
  while (taken < payload.size()) {
    iovec parts[] = {PartOf(bytes_.span().subspan(head_)), PartOf(payload.subspan(taken))};
    const ssize_t written = stream_.Send(parts);
    if (written == 0) break;
    is_broken_ = written < 0;
    if (is_broken_) return payload.size();
    const std::size_t before = std::min(static_cast<std::size_t>(written), pending());
    Advance(before);
    taken += static_cast<std::size_t>(written) - before;
  }
  return taken;
}

void Outlet::Advance(std::size_t written) noexcept {
  head_ += written;
  if (head_ < bytes_.size()) return;
  head_ = 0;
  if (bytes_.capacity() > kSpareBytes) {
    bytes_.Release();
  } else {
    bytes_.Clear();
  }
}

void Outlet::Run() noexcept {
  std::unique_lock lock(mutex_);
  while (!is_stopping_) {
    if (held_since_us_ == 0) {
      is_asleep_.store(true, std::memory_order_relaxed);
      wake_.wait(lock, [this] { return is_stopping_ || held_since_us_ != 0; });
      is_asleep_.store(false, std::memory_order_relaxed);
      continue;
    }
    const std::uint64_t now = NowUs();
    const std::uint64_t due = held_since_us_ + pause_us_;
    if (now < due) {
      wake_.wait_for(lock, std::chrono::microseconds(due - now), [this] { return is_stopping_; });
    } else if (Write()) {
      held_since_us_ = 0;
      pause_us_ = kHoldUs;
    } else {
      // The reader is slow; asking it ever more seldom costs nothing that is not lost already.
      held_since_us_ = now;
      pause_us_ = std::min(2 * pause_us_, kMaxPauseUs);
    }
  }
}

}  // namespace bosun
