// An incremental decoder of frames: takes bytes cut anywhere, yields whole frames in order.
//
// Who: one thread at a time; one decoder a connection. Cost: a frame that lies whole in the bytes given is not copied;
// one that is cut is assembled once. A declared length is checked against the limit before anything is allocated for
// it, and memory grows with the bytes that really arrive, never with the length that a peer declares.
// Not for: deciding which types are legal; that is the receiver's.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "frame/bytes.h"
#include "frame/frame.h"

namespace bosun {

enum class DecodeResult : std::uint8_t { kOk, kTooLarge, kRefused };

class FrameDecoder {
 public:
  explicit FrameDecoder(std::uint64_t max_body) noexcept : max_body_(max_body) {}

  void set_max_body(std::uint64_t max_body) noexcept { max_body_ = max_body; }

  // The length that was refused, after kTooLarge.
  std::uint64_t declared() const noexcept { return length_; }

  // True between frames, where the end of the stream is a clean one.
  bool AtBoundary() const noexcept { return header_have_ == 0; }

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
