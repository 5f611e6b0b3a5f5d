#include "process/stream.h"

namespace bosun {

Stream::Stream(UniqueSocket socket, SharedRings rings, End end) noexcept
    : socket_(std::move(socket)), rings_(std::move(rings)) {
  if (rings_ == nullptr) return;
  const bool is_manager = end == End::kManager;
  reader_.emplace(is_manager ? &rings_->to_manager : &rings_->to_worker);
  writer_.emplace(is_manager ? &rings_->to_worker : &rings_->to_manager);
}

void Stream::Heed() noexcept {
  if (!reader_ || is_ended_) return;
  // More than one ring of the bell may have come together.
  std::uint8_t rings[64];
  is_ended_ = ReceiveSome(socket_.get(), rings) < 0;
}

ssize_t Stream::Receive(std::span<std::uint8_t> target) noexcept {
  if (!reader_) return ReceiveSome(socket_.get(), target);
  const std::size_t got = reader_->Read(target);
  if (got > 0) {
    // Nobody there: the socket says so itself.
    if (reader_->IsWriterToBeWoken()) RingBell();
    return static_cast<ssize_t>(got);
  }
  // What the other end had written before it closed was there to be seen with its end.
  return is_ended_ || reader_->is_broken() ? -1 : 0;
}

ssize_t Stream::Send(std::span<iovec> parts) noexcept {
  if (!writer_) return SendSome(socket_.get(), parts);
  std::size_t total = 0;
  for (;;) {
    const std::size_t before = total;
    const bool is_all = Write(parts, total);
    if (total > before && writer_->Publish() && !RingBell()) return -1;
    // Somebody has to say when the rest can be taken.
    if (is_all || writer_->Sleep()) return static_cast<ssize_t>(total);
  }
}

// What is behind the first `total` bytes; adds what was taken to it. True when that is all.
bool Stream::Write(std::span<const iovec> parts, std::size_t& total) noexcept {
  std::size_t skip = total;
  for (const iovec& part : parts) {
    if (skip >= part.iov_len) {
      skip -= part.iov_len;
      continue;
    }
    const ByteSpan rest(static_cast<const std::uint8_t*>(part.iov_base) + skip, part.iov_len - skip);
    skip = 0;
    const std::size_t taken = writer_->Write(rest);
    total += taken;
    if (taken < rest.size()) return false;
  }
  return true;
}

bool Stream::AwaitRoom(int patience_ms) noexcept {
  if (!AwaitSocket(socket_.get(), !reader_, patience_ms)) return false;
  Heed();
  return !is_ended_;
}

bool Stream::RingBell() noexcept {
  std::uint8_t byte = 0;
  iovec parts[] = {{&byte, sizeof byte}};
  // No room: so many rings that nobody has heeded are as good as one more.
  return SendSome(socket_.get(), parts) >= 0;
}

}  // namespace bosun
