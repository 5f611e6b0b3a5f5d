// A few byte strings that payloads often begin with: tasks of one function differ in their arguments only, and who
// knows the beginning need not decode it again.
//
// Who: one thread. Cost: one memcmp when a payload begins as the one before it did, at most kPlaces otherwise.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "frame/bytes.h"

namespace bosun {

class Prefixes {
 public:
  static constexpr std::uint32_t kPlaces = 16;
  static constexpr std::uint32_t kNone = 0xFFFFFFFF;

  // The place of `prefix`, which must not be the beginning of another one here; the oldest one makes way.
  std::uint32_t Remember(ByteSpan prefix) noexcept {
    const std::uint32_t place = next_;
    next_ = (next_ + 1) % kPlaces;
    places_[place] = Bytes(prefix);
    return place;
  }

  // The place of the one that `payload` begins with, or kNone.
  std::uint32_t Find(ByteSpan payload) noexcept {
    if (Matches(last_, payload)) return last_;
    for (std::uint32_t place = 0; place < kPlaces; ++place) {
      if (Matches(place, payload)) return last_ = place;
    }
    return kNone;
  }

  std::size_t Length(std::uint32_t place) const noexcept { return places_[place].size(); }

 private:
  bool Matches(std::uint32_t place, ByteSpan payload) const noexcept {
    const Bytes& prefix = places_[place];
    return !prefix.empty() && prefix.size() <= payload.size() &&
           std::memcmp(prefix.data(), payload.data(), prefix.size()) == 0;
  }

  std::array<Bytes, kPlaces> places_;
  std::uint32_t next_ = 0;
  std::uint32_t last_ = 0;
};

}  // namespace bosun
