// An incremental decoder of frames: takes bytes cut anywhere, yields whole frames in order.
//
// Who: one thread at a time; one decoder a connection. Cost: a frame that lies whole in the bytes given is not copied;
// one that is cut is assembled once. A declared length is checked against the limit before anything is allocated for
// it, and memory grows with the bytes that really arrive, never with the length that a peer declares. A large body can
// be received into its own memory (Wanted, Filled) and be taken over by the sink (TakeBody): nothing of it is copied
// but what arrived together with its header. Not for: deciding which types are legal; that is the receiver's.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>

#include "frame/bytes.h"
#include "frame/frame.h"

namespace bosun {

enum class DecodeResult : std::uint8_t { kOk, kTooLarge, kRefused };

class FrameDecoder {
 public:
  // From here on a body is worth memory of its own.
  static constexpr std::uint64_t kLargeBody = 64 << 10;

  explicit FrameDecoder(std::uint64_t max_body) noexcept : max_body_(max_body) {}

  void set_max_body(std::uint64_t max_body) noexcept { max_body_ = max_body; }

  // The length that was refused, after kTooLarge.
  std::uint64_t declared() const noexcept { return length_; }

  // True between frames, where the end of the stream is a clean one.
  bool AtBoundary() const noexcept { return header_have_ == 0; }

  // Where the next bytes are to be received while a large body is on its way; empty at all other times, and then they
  // go through Push. At most as much memory again as has arrived of it.
  std::span<std::uint8_t> Wanted() noexcept {
    if (header_have_ < kHeaderBytes || length_ < kLargeBody) return {};
    body_.Reserve(std::min<std::uint64_t>(length_, std::max<std::uint64_t>(kFirstLarge, 2 * body_.size())));
    return {body_.data() + body_.size(), std::min<std::uint64_t>(length_, body_.capacity()) - body_.size()};
  }

  // The first `count` bytes of what Wanted has just returned are there.
  template <class Sink>
  DecodeResult Filled(std::size_t count, Sink&& sink) noexcept {
    body_.Extend(count);
    return body_.size() == length_ && !EmitAssembled(sink) ? DecodeResult::kRefused : DecodeResult::kOk;
  }

  // For a sink, during its call: the memory of the body, which stays where it is; nothing if the body lies in the bytes
  // that were pushed.
  Bytes TakeBody() noexcept { return std::move(body_); }

  // Calls sink(type, body) for each frame that these bytes complete; `body` is valid during the call only. A sink that
  // returns false refuses the frame. After anything but kOk the decoder is of no more use.
  template <class Sink>
  DecodeResult Push(ByteSpan bytes, Sink&& sink) noexcept {
    while (!bytes.empty()) {
      if (header_have_ < kHeaderBytes) {
        const std::size_t take = std::min(kHeaderBytes - header_have_, bytes.size());
        std::memcpy(header_ + header_have_, bytes.data(), take);
        header_have_ += take;
        bytes = bytes.subspan(take);
        if (header_have_ < kHeaderBytes) return DecodeResult::kOk;
        length_ = Load<std::uint64_t>(header_ + 1);
        if (length_ > max_body_) return DecodeResult::kTooLarge;
        if (length_ > bytes.size() && !bytes.empty()) body_.Reserve(std::min<std::uint64_t>(length_, kFirstBody));
      }
      if (body_.empty() && length_ <= bytes.size()) {
        if (!Emit(bytes.first(length_), sink)) return DecodeResult::kRefused;
        bytes = bytes.subspan(length_);
        continue;
      }
      const std::size_t take = std::min<std::uint64_t>(length_ - body_.size(), bytes.size());
      body_.Append(bytes.first(take));
      bytes = bytes.subspan(take);
      if (body_.size() == length_ && !EmitAssembled(sink)) return DecodeResult::kRefused;
    }
    // A frame without a body is complete with its header, though no byte follows.
    if (header_have_ == kHeaderBytes && length_ == 0 && !Emit({}, sink)) return DecodeResult::kRefused;
    return DecodeResult::kOk;
  }

 private:
  // Most frames that are cut are small; a large one grows by doubling as it arrives.
  static constexpr std::uint64_t kFirstBody = 64 << 10;
  static constexpr std::uint64_t kFirstLarge = 256 << 10;

  template <class Sink>
  bool Emit(ByteSpan body, Sink& sink) noexcept {
    header_have_ = 0;
    return sink(header_[0], body);
  }

  template <class Sink>
  bool EmitAssembled(Sink& sink) noexcept {
    const bool accepted = Emit(body_.span(), sink);
    if (body_.capacity() > kFirstBody) {
      body_.Release();
    } else {
      body_.Clear();
    }
    return accepted;
  }

  std::uint64_t max_body_;
  std::uint64_t length_ = 0;
  std::size_t header_have_ = 0;
  std::uint8_t header_[kHeaderBytes] = {};
  Bytes body_;
};

}  // namespace bosun
