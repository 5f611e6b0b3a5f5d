// How long things took: counts of durations in buckets that are at most 1/16 wide, from a microsecond to centuries.
//
// Who: one thread at a time. Cost: Add is a shift and an increment; Quantile walks the 976 buckets.
// Source: log-linear buckets as in Gil Tene's HdrHistogram.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace bosun {

class Histogram {
 public:
  void Add(std::uint64_t us) noexcept {
    ++buckets_[BucketOf(us)];
    ++count_;
    max_ = std::max(max_, us);
  }

  std::uint64_t count() const noexcept { return count_; }
  std::uint64_t max() const noexcept { return max_; }

  // The duration that the share `q` of all stays at or below, to a sixteenth; 0 when there is none.
  std::uint64_t Quantile(double q) const noexcept {
    const auto rank = static_cast<std::uint64_t>(q * static_cast<double>(count_));
    std::uint64_t seen = 0;
    for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
      seen += buckets_[bucket];
      if (seen > rank) return std::min(UpperEnd(bucket), max_);
    }
    return max_;
  }

  void Reset() noexcept {
    buckets_.fill(0);
    count_ = max_ = 0;
  }

 private:
  // 16 buckets for each power of two; the first 32 durations have one each.
  static constexpr unsigned kSubBits = 4;
  static constexpr std::size_t kBuckets = (64 - kSubBits + 1) << kSubBits;

  static std::size_t BucketOf(std::uint64_t us) noexcept {
    const unsigned shift = std::max(static_cast<int>(std::bit_width(us)) - 1 - static_cast<int>(kSubBits), 0);
    return (static_cast<std::size_t>(shift) << kSubBits) + static_cast<std::size_t>(us >> shift);
  }

  static std::uint64_t UpperEnd(std::size_t bucket) noexcept {
    constexpr std::size_t kSub = std::size_t{1} << kSubBits;
    if (bucket < 2 * kSub) return bucket;
    const std::size_t shift = (bucket >> kSubBits) - 1;
    const std::uint64_t first = static_cast<std::uint64_t>(bucket - (shift << kSubBits)) << shift;
    return first + ((std::uint64_t{1} << shift) - 1);
  }

  std::array<std::uint64_t, kBuckets> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace bosun
