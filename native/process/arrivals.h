// The tasks that a worker has received and not begun, in order, as the bytes that arrived.
//
// Who: one thread. Cost: one copy in for each small task, none for a large one; memory is given back behind a burst.
#pragma once

#include <cstdint>
#include <deque>
#include <utility>

#include "frame/bytes.h"
#include "frame/decoder.h"
#include "frame/frame.h"

namespace bosun {

// The fixed fields of a task's frame, and where the rest is.
struct ArrivedTask {
  std::uint32_t sequence = 0;
  std::uint16_t attempt = 0;
  std::uint16_t flags = 0;
  std::uint64_t id = 0;
  ByteSpan payload;  // of a small one: valid until the next call of Push or Trim
  Bytes body;        // of a large one: fields and payload

  bool IsLarge() const noexcept { return !body.empty(); }
};

class Arrivals {
 public:
  bool empty() const noexcept { return head_ == bytes_.size(); }

  // A body that is shorter than FrameDecoder::kLargeBody and has its fields.
  void Push(ByteSpan body) noexcept {
    if (empty()) {
      bytes_.Clear();
      head_ = 0;
    } else if (head_ >= kCompactBytes && head_ >= bytes_.size() / 2) {
      bytes_ = Bytes(bytes_.span().subspan(head_));
      head_ = 0;
    }
    std::uint8_t* at = bytes_.Extend(sizeof(std::uint32_t) + body.size());
    at = Store(at, static_cast<std::uint32_t>(body.size()));
    if (!body.empty()) std::memcpy(at, body.data(), body.size());
  }

  // Any other: only its place in the order goes through the bytes.
  void PushLarge(Bytes&& body) noexcept {
    Push({});
    large_.push_back(std::move(body));
  }

  // The fields of the next one; there is one.
  std::uint32_t NextSequence() const noexcept { return Load<std::uint32_t>(NextFields()); }
  std::uint16_t NextFlags() const noexcept { return Load<std::uint16_t>(NextFields() + 6); }

  bool Pop(ArrivedTask& task) noexcept {
    if (empty()) return false;
    const std::uint8_t* at = bytes_.data() + head_;
    const std::size_t length = Load<std::uint32_t>(at);
    at += sizeof(std::uint32_t);
    head_ += sizeof(std::uint32_t) + length;
    if (length == 0) {
      task.body = std::move(large_.front());
      large_.pop_front();
      task.payload = {};
      at = task.body.data();
    } else {
      task.body.Release();
      task.payload = {at + kTaskFields, length - kTaskFields};
    }
    task.sequence = Load<std::uint32_t>(at);
    task.attempt = Load<std::uint16_t>(at + 4);
    task.flags = Load<std::uint16_t>(at + 6);
    task.id = Load<std::uint64_t>(at + 8);
    return true;
  }

  // To be called when nothing goes on.
  void Trim() noexcept {
    if (!empty() || bytes_.capacity() <= kSpareBytes) return;
    bytes_.Release();
    head_ = 0;
  }

 private:
  const std::uint8_t* NextFields() const noexcept {
    const std::uint8_t* at = bytes_.data() + head_;
    return Load<std::uint32_t>(at) == 0 ? large_.front().data() : at + sizeof(std::uint32_t);
  }

  static constexpr std::size_t kSpareBytes = 1 << 20;
  static constexpr std::size_t kCompactBytes = 64 << 10;

  Bytes bytes_;  // {length u32, body} for each; the length of a large one is 0
  std::size_t head_ = 0;
  std::deque<Bytes> large_;
};

}  // namespace bosun
