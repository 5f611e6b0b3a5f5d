#include "process/worker_link.h"

#include <algorithm>
#include <span>

#include "process/clock.h"

namespace bosun {

WorkerLink::WorkerLink(Stream stream, SharedPage page) noexcept
    : stream_(std::move(stream)), page_(std::move(page)), buffer_(new std::uint8_t[kBufferBytes]), outlet_(stream_) {}

bool WorkerLink::Read() noexcept {
  const auto sink = [this](std::uint8_t type, ByteSpan body) { return Take(type, body); };
  std::size_t total = 0;
  while (total < kReadBytes && !ended_) {
    std::span<std::uint8_t> target = decoder_.Wanted();
    const bool is_direct = !target.empty();
    if (!is_direct) target = {buffer_.get(), expects_large_ ? kGlanceBytes : kBufferBytes};
    const ssize_t got = stream_.Receive(target);
    if (got == 0) break;
    if (got < 0) {
      ended_ = true;
      return true;
    }
    const auto count = static_cast<std::size_t>(got);
    total += count;
    // Neither can fail: there is no limit, and nothing is refused.
    if (is_direct) {
      decoder_.Filled(count, sink);
    } else {
      decoder_.Push(target.first(count), sink);
    }
    // It took all that was there; asking again would only be told so.
    if (count < target.size()) break;
  }
  return total > 0;
}

bool WorkerLink::Take(std::uint8_t type, ByteSpan body) noexcept {
  if (type != kTask || body.size() < kTaskFields) {
    std::uint8_t* at = AppendFrame(control_, type, body.size());
    if (!body.empty()) std::memcpy(at, body.data(), body.size());
    return true;
  }
  expects_large_ = body.size() >= FrameDecoder::kLargeBody;
  if (expects_large_) {
    Bytes own = decoder_.TakeBody();
    arrivals_.PushLarge(own.empty() ? Bytes(body) : std::move(own));
  } else {
    arrivals_.Push(body);
  }
  return true;
}

bool WorkerLink::Spin() noexcept {
  answered_ = false;
  // relaxed: a hint.
  const std::uint32_t limit_us = std::min(page_->spin_us.load(std::memory_order_relaxed), kMaxSpinUs);
  if (limit_us == 0 || ended_ || !spin_rule_.Try()) return false;
  const std::uint64_t until = NowUs() + limit_us;
  do {
    if (Read()) {
      spin_rule_.Hit();
      return true;
    }
  } while (NowUs() < until);
  spin_rule_.Miss();
  return false;
}

bool WorkerLink::MustStay() const noexcept {
  return (arrivals_.NextFlags() & kTaskForked) == 0 && !page_->claim.IsPast(arrivals_.NextSequence());
}

bool WorkerLink::Begin(std::uint32_t lane, ArrivedTask& task, bool forked_only) noexcept {
  if (arrivals_.empty() || (forked_only && MustStay())) return false;
  // The task may be a long one.
  if (held_ > 0) outlet_.Watch();
  const std::uint64_t now = NowUs();
  while (arrivals_.Pop(task)) {
    page_->lanes[lane].Begin(task.sequence, now);
    if (page_->claim.Claim(task.sequence)) {
      lanes_[lane] = {task.sequence, now};
      ++running_;
      return true;
    }
    // The manager took it back; another worker has it by now.
    refused_ = true;
    if (forked_only && !arrivals_.empty() && MustStay()) break;
  }
  page_->lanes[lane].End();
  return false;
}

void WorkerLink::Restart(std::uint32_t lane) noexcept { lanes_[lane].started_us = NowUs(); }

std::uint32_t WorkerLink::Done(std::uint32_t lane, DoneStatus status, ByteSpan payload, int tag) noexcept {
  const auto [sequence, started] = lanes_[lane];
  const std::uint64_t now = NowUs();
  const auto run_us = static_cast<std::uint32_t>(std::min<std::uint64_t>(now - started, 0xFFFFFFFF));
  page_->ended.Ended(sequence);
  page_->lanes[lane].End();
  --running_;
  answered_ = true;

  std::uint8_t fields[kDoneFields + 1];
  std::uint8_t* at = Store(Store(Store(fields, sequence), status), run_us);
  if (tag >= 0) *at++ = static_cast<std::uint8_t>(tag);
  const std::size_t held_bytes = Append(kDone, {fields, at}, payload, now);
  if (run_us > kBatchedRunUs || held_ >= batch_ || held_bytes >= kFlushBytes || now - held_since_us_ >= kHeldUs) {
    Flush();
    batch_ = std::min(2 * batch_, kMaxHeld);
  }
  return run_us;
}

void WorkerLink::Send(std::uint8_t type, ByteSpan fields, ByteSpan payload) noexcept {
  if (Append(type, fields, payload, NowUs()) >= kFlushBytes) Flush();
}

std::size_t WorkerLink::Append(std::uint8_t type, ByteSpan fields, ByteSpan payload, std::uint64_t now_us) noexcept {
  const std::size_t held_bytes = outlet_.Append(type, fields, payload, now_us);
  if (held_++ == 0) held_since_us_ = now_us;
  // Whoever runs now may go on for long.
  if (running_ > 0) outlet_.Watch();
  return held_bytes;
}

bool WorkerLink::Rest() noexcept {
  if (refused_) Append(kNext, {}, {}, NowUs());
  refused_ = false;
  batch_ = kFirstHeld;
  arrivals_.Trim();
  return Flush();
}

bool WorkerLink::Flush() noexcept {
  if (held_ == 0 && !blocked_) return true;
  held_ = 0;
  blocked_ = !outlet_.Flush();
  return !blocked_;
}

bool WorkerLink::FlushFully(int patience_ms) noexcept {
  held_ = 0;
  blocked_ = false;
  return outlet_.FlushFully(patience_ms);
}

StopReason WorkerLink::Stopped(std::uint32_t sequence, std::uint32_t lane) const noexcept {
  const StopReason reason = page_->lanes[lane].Stopped(sequence);
  // relaxed: a hint, with no data behind it.
  const bool closing = page_->closing.load(std::memory_order_relaxed) != 0;
  return reason == StopReason::kNone && closing ? StopReason::kClosing : reason;
}

}  // namespace bosun
